"""The search: ask, climb, tell. A trial's whole life stands in `Search._attempt`."""

from __future__ import annotations

import logging
import math
import time
from typing import Any

import optuna
import torch
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import FrozenTrial, TrialState

from automl.data.resident import Resident
from automl.errors import Infeasible, MachineFailed, RunError, TrialFailed
from automl.failpoints import passing
from automl.racing.climb import Outcome, climb
from automl.racing.curves import Curves, FoldEpoch
from automl.racing.overfitting import OverfittingRule, default_patience
from automl.racing.race import Race
from automl.study.budget import Budget, OutOfTime, Stop
from automl.study.failures import Failures, too_long
from automl.study.folder import RunFolder
from automl.study.forecast import Forecast
from automl.study.leases import RUN, Alone, LeaseLost, Leases, thing_of
from automl.study.prepare import Prepared
from automl.study.records import (
    describe,
    received_curves,
    remember_result,
    seconds_so_far,
    send_curves,
    standing_attribute,
    trial_curves,
    write_attributes,
)
from automl.study.storage.opening import storage_errors
from automl.study.turns import Turn, Turns
from automl.study.watcher import Watcher
from automl.training.executor import NOT_ASKED
from automl.training.run import TrialRun

log = logging.getLogger("automl.search")

SAVE_EVERY = 30.0  # seconds of a climb after which the next epoch's end is saved too


class Search:
    """One process' part in the search over a study: alone all of it.

    Args:
        prepared: the checked ingredients.
        study: Optuna's study, new or with the trials of earlier sessions.
        folder: where checkpoints and artifacts go.
        budget: how long.
        watcher: is told what happens.
        race: the standings that the study's sampler looks at; the trials of earlier sessions are entered here.
        leases: the agreement with other processes that search the same study; None: there are none.
    """

    def __init__(
        self,
        prepared: Prepared,
        study: optuna.Study,
        folder: RunFolder,
        budget: Budget,
        watcher: Watcher,
        race: Race,
        leases: Leases | None = None,
    ):
        self.prepared = prepared
        self.study = study
        self.folder = folder
        self.budget = budget
        self.watcher = watcher
        self.race = race
        settings = prepared.settings
        self.rule = OverfittingRule(settings.patience or default_patience(settings.epochs), settings.tolerance)
        self.resident: Resident = prepared.resident()
        self.timing = prepared.timing()
        self.forecast = Forecast(race, settings.repeats, settings.final)
        self.leases = leases or Alone()
        self.turns = Turns(study, race, budget, self.forecast, self.leases, len(prepared.space.first))
        self.until = math.inf  # when the present trial has taken too long, on the monotonic clock
        self.stopped: dict[int, Curves] = {}  # the curves of a climb that was stopped in its midst
        self.failures = Failures()

    def run(self) -> None:
        """Races until the budget is used up and nobody may climb any more.

        Raises:
            Interrupted: the user stopped it; the study can be resumed.
            NoTrialSucceeded: trials fail one after the other for the same cause.
            MachineFailed: disk or storage failed; the study can be resumed.
        """
        try:
            while (turn := self.turns.next()) is not None:
                self._climb(turn)
        except OutOfTime:
            log.info("time is up after %.0f s", self.budget.elapsed)

    def _climb(self, turn: Turn) -> None:
        """Takes a trial to a rung, unless another worker has taken it over meanwhile: then only its result counts."""
        try:
            self._attempt(turn)
        except (LeaseLost, UpdateFinishedTrialError):
            log.warning("trial %d was taken over by another worker; what this one found is dropped", turn.trial)
            self.stopped.pop(turn.trial, None)
            self.turns.forget(turn.trial)

    def _attempt(self, turn: Turn) -> None:
        """A trial's whole climb: build or restore, train, classify what went wrong, record, tell."""
        number, rung = turn.trial, turn.rung
        with storage_errors():
            trial = optuna.Trial(self.study, self._trial_id(number))
            config = self.prepared.space.suggest(trial)
        if (limit := self.prepared.settings.trial_timeout) is not None:
            self.until = time.monotonic() + limit - seconds_so_far(trial)
        self.race.assign(number, str(config["architecture"]))
        self.watcher.climbing(number, rung, config)
        curves = self._no_curves()
        run: TrialRun | None = None
        try:
            if turn.poisonous:
                raise TrialFailed(f"{turn.attempt - 1} workers died of it, each on its way to rung {rung + 1}")
            run = self._build(number, config)
            curves = self._restore(run, number, curves)
            outcome = self._train(trial, rung, run, curves)
            self._check_lease(number)
        except Stop:
            self.stopped[number] = curves
            raise
        except (LeaseLost, UpdateFinishedTrialError, MachineFailed):
            raise
        except Infeasible as error:
            self._end(trial, run, curves, TrialState.PRUNED, "infeasible", str(error))
        except TrialFailed as error:
            self._end(trial, run, curves, TrialState.FAIL, error.reason)
        except Exception as error:
            self._end(trial, run, curves, TrialState.FAIL, str(self.prepared.host.blame(error, config)))
        else:
            self._record(trial, run, curves, outcome)
        finally:
            if run is not None:
                run.release()

    def _build(self, number: int, config: dict[str, Any]) -> TrialRun:
        return self.prepared.trial_run(
            config,
            number,
            self.resident,
            stacked=self.prepared.stacked,
            timing=self.timing,
            tick=self._tick,
        )

    def _tick(self) -> None:
        """Before each batch: whether there is time left, for the search and for the trial."""
        self.budget.check()
        if time.monotonic() > self.until:
            raise TrialFailed(too_long(self.prepared.settings.trial_timeout or math.inf))

    def _restore(self, run: TrialRun, number: int, fresh: Curves) -> Curves:
        """The curves of the trial's checkpoint; a trial without a readable one starts again."""
        path = self.folder.checkpoint(number)
        if not path.exists():
            return fresh
        try:
            return run.restore(path)
        except RunError as error:
            log.warning("trial %d starts again: %s", number, error)
            run.release()
            return fresh

    def _train(self, trial: optuna.Trial, rung: int, run: TrialRun, curves: Curves) -> Outcome:
        """The climb itself, with its reports to Optuna and its checkpoints."""
        saved = time.monotonic()
        steps = climb(self.race, trial.number, rung, run, curves, self.rule)
        while True:
            try:
                results = next(steps)
            except StopIteration as ended:
                outcome: Outcome = ended.value
                return outcome
            passing("epoch")
            self._report(trial, curves, results)
            passing("report")
            self.watcher.epoch(trial.number, rung, curves)
            if time.monotonic() - saved > SAVE_EVERY:
                self._check_lease(trial.number)
                self._save(run, trial.number, curves)
                saved = time.monotonic()

    def _report(self, trial: optuna.Trial, curves: Curves, results: list[FoldEpoch]) -> None:
        """Reports the fold mean of the score at this epoch, once: Optuna keeps the first report of a step."""
        column = curves.objective.column
        epoch = results[0].epoch
        folds = max(result.fold for result in results) + 1
        if min(result.fold for result in results) == 0:
            with storage_errors():
                trial.report(float(curves.values[:folds, epoch - 1, column].mean()), epoch)

    def _check_lease(self, number: int) -> None:
        with storage_errors():
            if not self.leases.holds(thing_of(number)):
                raise LeaseLost

    def _save(self, run: TrialRun, number: int, curves: Curves) -> None:
        passing("checkpoint")
        with storage_errors():
            run.save(self.folder.checkpoint(number), curves)

    def _record(self, trial: optuna.Trial, run: TrialRun, curves: Curves, outcome: Outcome) -> None:
        """After a climb that went well: the trial waits, is complete, or is pruned as overfitting."""
        standing = self.race.standings[trial.number]
        self.failures.clear()
        self.forecast.learn(trial.number, run.seconds, curves)
        if standing.complete:
            self._save(run, trial.number, curves)
            detail = f"early-stopped: {outcome.verdict}" if outcome.verdict else ""
            self._end(trial, run, curves, TrialState.COMPLETE, "early-stopped" if detail else "", detail, outcome)
        elif outcome.verdict:
            self._end(trial, run, curves, TrialState.PRUNED, "overfitting", str(outcome.verdict), outcome)
        else:
            self._save(run, trial.number, curves)
            with storage_errors():
                if self.leases.home != RUN:
                    send_curves(trial, curves)
                # What the attributes of an ended trial say is also of use while it waits, in the dashboard.
                write_attributes(trial, {**_costs(run, curves), **standing_attribute(standing, curves)})
            self.watcher.waiting(trial.number, self.race, describe(curves))

    def _end(
        self,
        trial: optuna.Trial,
        run: TrialRun | None,
        curves: Curves,
        state: TrialState,
        reason: str,
        detail: str = "",
        outcome: Outcome | None = None,
    ) -> None:
        """Tells Optuna how a trial ended and writes down what it came to; raises `LeaseLost` if others have it."""
        self._check_lease(trial.number)
        facts: dict[str, Any] = {"reason": reason}
        if detail:
            facts["detail"] = detail
        if run is not None:
            facts |= _costs(run, curves)
        with storage_errors():
            if outcome is not None and outcome.verdict:
                verdict = outcome.verdict
                facts |= {
                    "overfitting_epoch": verdict.epoch,
                    "overfitting_gap": verdict.gap,
                    "overfitting_train_loss": verdict.train_loss,
                    "overfitting_validation_loss": verdict.validation_loss,
                }
                if state == TrialState.PRUNED:
                    # A trial pruned late would otherwise rank as a good one.
                    trial.set_constraint("overfitting", verdict.gap)
            # Its scores still count at their rungs, also after a restart.
            standing = standing_attribute(self.race.standings[trial.number])
            remember_result(trial, self.folder, curves, {**standing, **facts})
            if self.leases.home != RUN and curves.fold_epochs:
                send_curves(trial, curves)
            value = curves.objective.value(outcome.score) if state == TrialState.COMPLETE and outcome else None
            passing("tell")
            if self._frozen(trial.number).state.is_finished():
                raise LeaseLost
            told = self.study.tell(trial.number, value, state=state)
        passing("told")
        if state != TrialState.COMPLETE:
            self.race.leave(trial.number)
            self.folder.checkpoint(trial.number).unlink(missing_ok=True)
        self.stopped.pop(trial.number, None)
        self.watcher.ended(told, self.race)
        if state == TrialState.FAIL:
            self.failures.add(reason)
        else:
            self.failures.clear()

    def prune_waiting(self) -> None:
        """Tells Optuna that the trials which still race were outpaced: at the end, when nobody searches any more."""
        with storage_errors():
            unfinished = [t for t in self.study.get_trials(deepcopy=False) if not t.state.is_finished()]
        for frozen in unfinished:
            curves = self.stopped.get(frozen.number) or self._known_curves(frozen)
            with storage_errors():  # from here on, what a worker comes with that was taken for dead is dropped
                self.leases.claim(thing_of(frozen.number), self.race.top)
            trial = optuna.Trial(self.study, frozen._trial_id)
            self._end(trial, None, curves, TrialState.PRUNED, "outpaced")

    def _known_curves(self, trial: FrozenTrial) -> Curves:
        objective = self.prepared.objective
        saved = trial_curves(self.folder, trial.number, objective)
        return saved or received_curves(trial, objective) or self._no_curves()

    def _no_curves(self) -> Curves:
        settings = self.prepared.settings
        return Curves(settings.folds, settings.epochs, self.prepared.objective)

    def _frozen(self, number: int) -> FrozenTrial:
        with storage_errors():
            return self.study._storage.get_trial(self._trial_id(number))

    def _trial_id(self, number: int) -> int:
        return self.study._storage.get_trial_id_from_study_id_trial_number(self.study._study_id, number)


def _costs(run: TrialRun, curves: Curves) -> dict[str, Any]:
    costs = {
        "parameters": run.parameters,
        "seconds": run.seconds,
        "fold_epochs": curves.fold_epochs,
        "peak_memory": run.peak_memory,
        "executor": run.executor.name,
        "threads": torch.get_num_threads(),
    }
    if run.executor.reason not in ("", NOT_ASKED):
        costs["executor_reason"] = run.executor.reason
    return costs
