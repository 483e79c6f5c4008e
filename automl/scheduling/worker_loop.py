"""The loop of a worker: ask, climb, tell. A trial's whole life stands in `WorkerLoop._attempt`."""

from __future__ import annotations

import logging
import math
import time
from contextlib import suppress
from typing import Any

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import TrialState

from automl.data.resident import Resident
from automl.errors import Infeasible, LeaseLost, MachineFailed, NonFinite, OutOfTime, RunError, Stop, TrialFailed
from automl.failpoints import passing
from automl.racing.climb import Advanceable, Outcome, climb
from automl.racing.curves import Curves, FoldEpoch
from automl.racing.overfitting import OverfittingRule
from automl.racing.race import Race
from automl.run.context import SearchContext
from automl.run.folder import RunFolder
from automl.scheduling.callbacks import Callback, EpochEnded, FeaturesComputed, TrialStarted, ignore
from automl.scheduling.deadline import Budget
from automl.scheduling.failures import too_long
from automl.scheduling.leases import FoldClaim, Leases, fold_key
from automl.scheduling.scheduler import Job, Scheduler
from automl.scheduling.shared_folds import SharedFolds
from automl.scheduling.time_estimates import TimeEstimates
from automl.scheduling.trial_outcomes import TrialOutcomes
from automl.study.reasons import Reason
from automl.study.standings import count_attempt, count_repeated, forget_attempt
from automl.study.storage.opening import storage_errors
from automl.study.storage.trials import frozen_trial, open_trial
from automl.study.trial_record import known_config, seconds_so_far, store_config
from automl.training.run import TrialRun

log = logging.getLogger("automl.search")

SHARE = 1 / 5  # of the time left that one training may take

SAVE_EVERY = 30.0  # seconds of a climb after which the next epoch's end is saved too
SAVE_SHARE = 0.05  # or such a share of the timeout: what the deadline breaks off may be the best network there is


class WorkerLoop:
    """One process' part in the search over a study: alone all of it.

    Args:
        context: the checked ingredients.
        study: Optuna's study, new or with the trials of earlier sessions.
        folder: where checkpoints and artifacts go.
        budget: how long.
        callback: is told what happens.
        race: the standings that the study's sampler looks at; the trials of earlier sessions are entered here.
        leases: the agreement with other processes that search the same study; None: there are none.
    """

    def __init__(
        self,
        context: SearchContext,
        study: optuna.Study,
        folder: RunFolder,
        budget: Budget,
        race: Race,
        callback: Callback = ignore,
        leases: Leases | None = None,
    ):
        self.context = context
        self.study = study
        self.folder = folder
        self.budget = budget
        self.callback = callback
        self.race = race
        settings = context.settings
        self.rule = OverfittingRule.of(settings.epochs, settings.patience, settings.tolerance)
        self.resident: Resident = context.resident(folder.features)
        self.resident.feature_files.progress = lambda done, total: callback(FeaturesComputed(done, total))
        tested = len(context.splits.test)
        self.estimates = TimeEstimates(race, settings.repeats, settings.final, context.fused, tested)
        self.leases = leases or Leases()
        self.scheduler = Scheduler(
            study, race, budget, self.estimates, self.leases, len(context.space.first), context.objective
        )
        self.until = math.inf  # when the present trial has taken too long, on the monotonic clock
        self.outcomes = TrialOutcomes(context, study, folder, callback, race, self.leases)

    def run(self) -> None:
        """Races until the budget is used up and nobody may climb any more.

        Raises:
            Interrupted: the user stopped it; the study can be resumed.
            NoTrialSucceeded: trials fail one after the other for the same cause before any has been trained.
            MachineFailed: disk or storage failed; the study can be resumed.
        """
        try:
            while (job := self.scheduler.next()) is not None:
                self._climb(job)
        except OutOfTime:
            log.info("time is up after %.0f s", self.budget.elapsed)

    def _climb(self, job: Job) -> None:
        """Takes a trial to a rung, unless another worker has taken it over meanwhile: then only its result counts."""
        try:
            if job.fold is None:
                self._attempt(job)
            else:
                self._help(job.trial, job.fold)
        except (LeaseLost, UpdateFinishedTrialError):
            log.warning("trial %d was taken over by another worker; what this one found is dropped", job.trial)
            self.outcomes.stopped.pop(job.trial, None)
            self.scheduler.forget(job.trial)

    def _attempt(self, job: Job) -> None:
        """A trial's whole climb: build or restore, train, classify what went wrong, record, tell."""
        number, rung = job.trial, job.rung
        trial, config = self._begin(number)
        if self.scheduler.alone:
            with storage_errors():
                job = job._replace(attempt=count_attempt(trial, rung))
        self.race.assign(number, str(config["architecture"]))
        self.callback(TrialStarted(number, rung, config))
        curves = self.context.no_curves()
        run: TrialRun | None = None
        try:
            if job.poisonous:
                raise TrialFailed(f"{job.attempt - 1} workers died of it, each on its way to rung {rung + 1}")
            run = self._build(trial, config)
            self.race.assign(number, run.family)
            curves = self._restore(run, number, curves)
            self._check_time(run, number, curves)
            with storage_errors():
                count_repeated(trial, curves, self.race.ladder[rung].folds)
            outcome = self._train(trial, rung, run, curves)
            if self.budget.timeout is not None:  # the test of the final model needs time, too
                run.measure_prediction()
            self.outcomes.check_lease(number)
        except Stop as stop:
            self.outcomes.stopped[number] = curves
            if isinstance(stop, OutOfTime):
                self.outcomes.keep_curves(trial, run, curves)
                if run is not None:
                    self.estimates.learn(number, run.seconds, curves, run.prediction_seconds)
            if self.scheduler.alone:
                with storage_errors():
                    forget_attempt(trial)
            raise
        except (LeaseLost, UpdateFinishedTrialError, MachineFailed):
            raise
        except Infeasible as error:
            self.outcomes.finish(trial, run, curves, TrialState.PRUNED, Reason.INFEASIBLE, str(error))
        except NonFinite as error:
            self.outcomes.finish(trial, run, curves, TrialState.PRUNED, Reason.DIVERGED, str(error))
        except TrialFailed as error:
            self.outcomes.finish(trial, run, curves, TrialState.FAIL, error.reason)
        except Exception as error:
            cause = str(self.context.host.blame(error, config))
            self.outcomes.finish(trial, run, curves, TrialState.FAIL, cause)
            self.outcomes.failures.add(cause, self.race)
        else:
            self._record(trial, config, run, curves, outcome)
        finally:
            if run is not None:
                run.release()

    def _begin(self, number: int) -> tuple[optuna.Trial, dict[str, Any]]:
        """The trial and its config; from now on its time runs."""
        with storage_errors():
            trial = open_trial(self.study, number)
            config = known_config(trial)
            if config is None:
                config = dict(self.context.space.suggest(trial))
                store_config(trial, config)
        if (limit := self.context.settings.trial_timeout) is not None:
            self.until = time.monotonic() + limit - seconds_so_far(trial)
        return trial, config

    def _help(self, number: int, fold: int) -> None:
        """Trains one fold of a trial that another worker has, and leaves it where that one looks for it.

        Whatever goes wrong, that worker trains the fold itself and says what is wrong with it.
        """
        trial, config = self._begin(number)
        curves = self.context.no_curves()
        run: TrialRun | None = None
        try:
            run = self._build(trial, config)
            for results in run.advance_fold(fold, self.race.ladder[self.race.top].epochs):
                curves.add(results)
                if frozen_trial(self.study, number).state.is_finished():
                    return
            with storage_errors():
                run.save_fold(fold, self.folder.part(number, fold), curves)
        except (Stop, MachineFailed):
            raise
        except Exception as error:
            log.warning("fold %d of trial %d is left to the worker that has the trial: %s", fold + 1, number, error)
        finally:
            with suppress(MachineFailed), storage_errors():
                self.leases.claim(fold_key(number, fold), FoldClaim.RELEASED)
            if run is not None:
                run.release()

    def _build(self, trial: optuna.Trial, config: dict[str, Any]) -> TrialRun:
        return self.context.trial_run(config, trial.number, self.resident, fused=self.context.fused, tick=self._tick)

    def _check_time(self, run: TrialRun, number: int, curves: Curves) -> None:
        """Whether a training may begin, where heads on frozen features, which take seconds, are at hand.

        Raises `Infeasible` for one that alone would take a good part of the time; not for the first of a search.
        """
        others = any(s.scores or s.climbing for trial, s in self.race.standings.items() if trial != number)
        if self.budget.timeout is None or curves.fold_epochs or not others or not self.resident.feature_files.shapes:
            return
        # Who trains the baseline has no hand free for features.
        busy = any(self.race.standings[trial].climbing for trial in self.race.fast_tracked)
        workers = 1 if busy else self.leases.num_workers
        left = self.budget.deadline.left
        seconds = run.expected_seconds(workers, SHARE * left)
        if seconds > SHARE * left:
            raise Infeasible(
                f"one training, or the features for it, takes about {seconds:.0f} s, more than {SHARE:.0%} of the "
                f"{left:.0f} s left"
            )

    def _tick(self) -> None:
        """Before each batch: whether there is time left, for the search and for the trial."""
        self.scheduler.renew_deadline()
        self.scheduler.deadline.check()
        if time.monotonic() > self.until:
            raise TrialFailed(too_long(self.context.settings.trial_timeout or math.inf))

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
        saved, timeout = time.monotonic(), self.budget.timeout
        every = SAVE_EVERY if timeout is None else min(SAVE_EVERY, SAVE_SHARE * timeout)
        steps = climb(self.race, trial.number, rung, self._shared(trial.number, rung, run), curves, self.rule)
        while True:
            try:
                results = next(steps)
            except StopIteration as ended:
                outcome: Outcome = ended.value
                return outcome
            passing("epoch")
            self._report(trial, curves, results)
            passing("report")
            self.callback(EpochEnded(trial.number, rung, curves))
            # A fold that was brought in has its last state from its first epoch on: no moment for a checkpoint.
            if time.monotonic() - saved > every and curves.fold_epochs == run.fold_epochs:
                self.outcomes.check_lease(trial.number)
                self._save(run, trial.number, curves)
                saved = time.monotonic()

    def _shared(self, number: int, rung: int, run: TrialRun) -> Advanceable:
        """The trial's training, with folds for other workers where they wait for nothing as much as for this trial."""
        alone = self.leases.num_workers == 1 or self.context.fused
        if alone or rung != self.race.top or number not in self.race.fast_tracked:
            return run

        def tick() -> None:
            self._tick()
            self.outcomes.check_lease(number)

        return SharedFolds(run, number, rung, self.folder, self.leases, tick)

    def _report(self, trial: optuna.Trial, curves: Curves, results: list[FoldEpoch]) -> None:
        """Reports the score at this epoch, the mean of the folds at it; Optuna keeps the first report of a step."""
        column = curves.objective.column
        epoch = results[0].epoch
        folds = max(result.fold for result in results) + 1
        if min(result.fold for result in results) == 0:
            with storage_errors():
                trial.report(float(curves.values[:folds, epoch - 1, column].mean()), epoch)

    def _save(self, run: TrialRun, number: int, curves: Curves) -> None:
        passing("checkpoint")
        with storage_errors():
            run.save(self.folder.checkpoint(number), curves)

    def _record(
        self, trial: optuna.Trial, config: dict[str, Any], run: TrialRun, curves: Curves, outcome: Outcome
    ) -> None:
        """After a climb that went well: the trial waits, is complete, or is pruned as overfitting."""
        standing, finish = self.race.standings[trial.number], self.outcomes.finish
        self.estimates.learn(trial.number, run.seconds, curves, run.prediction_seconds)
        if standing.complete:
            self._save(run, trial.number, curves)
            detail = f"early-stopped: {outcome.verdict}" if outcome.verdict else ""
            finish(trial, run, curves, TrialState.COMPLETE, Reason.EARLY_STOPPED if detail else "", detail, outcome)
        elif outcome.verdict:
            finish(trial, run, curves, TrialState.PRUNED, Reason.OVERFITTING, str(outcome.verdict), outcome)
        else:
            self._save(run, trial.number, curves)
            self.outcomes.rest(trial, config, run, curves)
