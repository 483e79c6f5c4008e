"""How trials rest and end: told to Optuna, and written down."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import optuna
import torch
from optuna.trial import FrozenTrial, TrialState

from automl.errors import LeaseLost
from automl.failpoints import passing
from automl.racing.climb import Outcome
from automl.racing.curves import Curves
from automl.racing.race import Race
from automl.run.context import SearchContext
from automl.run.curve_files import save_curves, trial_curves
from automl.run.folder import RunFolder
from automl.scheduling.callbacks import Callback, TrialEnded, TrialRested
from automl.scheduling.failures import Failures
from automl.scheduling.leases import RUN, Leases, trial_key
from automl.study.reasons import BROKEN, VIOLATION, Reason
from automl.study.sent_curves import received_curves, send_curves
from automl.study.standings import standing_attribute
from automl.study.storage.internals import trial_of
from automl.study.storage.opening import storage_errors
from automl.study.storage.trials import frozen_trial
from automl.study.trial_record import (
    TrialRecord,
    overfitting_attributes,
    rest_attributes,
    result_attributes,
    write_attributes,
)
from automl.training.executor import NO_GRAPHS, NOT_ASKED
from automl.training.run import TrialRun


@dataclass(eq=False)
class TrialOutcomes:
    """Tells Optuna and the callback how trials rest and end; arguments as those of `WorkerLoop`.

    `stopped`: the curves of a climb that was stopped in its midst.
    """

    context: SearchContext
    study: optuna.Study
    folder: RunFolder
    callback: Callback
    race: Race
    leases: Leases
    stopped: dict[int, Curves] = field(default_factory=dict)
    failures: Failures = field(default_factory=Failures)

    def check_lease(self, number: int) -> None:
        """Raises `LeaseLost` where another worker has taken the trial over."""
        with storage_errors():
            if not self.leases.holds(trial_key(number)):
                raise LeaseLost

    def rest(self, trial: optuna.Trial, config: Mapping[str, Any], run: TrialRun, curves: Curves) -> None:
        """The trial has reached its rung, and its checkpoint is written."""
        standing = self.race.standings[trial.number]
        with storage_errors():
            if self.leases.home != RUN:
                send_curves(trial, curves)
            attributes = rest_attributes(curves, self.race.ladder[standing.rung], _costs(run, curves), standing)
            write_attributes(trial, attributes)
        state, objective = TrialState.RUNNING, self.context.objective
        self.callback(TrialRested(TrialRecord.decode(trial.number, state, objective, config, attributes)))

    def keep_curves(self, trial: optuna.Trial, run: TrialRun | None, curves: Curves) -> None:
        """Leaves the curves of a climb that the deadline stopped where who ends the search finds them, and what it
        took until then.
        """
        self.check_lease(trial.number)
        with storage_errors():
            if run is not None:
                write_attributes(trial, _costs(run, curves))
            save_curves(self.folder, trial.number, curves)
            if self.leases.home != RUN:
                send_curves(trial, curves)

    def finish(
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
        self.check_lease(trial.number)
        facts: dict[str, Any] = {"reason": reason}
        if detail:
            facts["detail"] = detail
        if run is not None:
            facts |= _costs(run, curves)
        with storage_errors():
            if outcome is not None and outcome.verdict:
                facts |= overfitting_attributes(outcome.verdict)
                if state == TrialState.PRUNED:
                    # A trial pruned late would otherwise rank as a good one.
                    trial.set_constraint(reason, outcome.verdict.gap)
            if reason in BROKEN:
                trial.set_constraint(reason, VIOLATION)
            # Its scores still count at their rungs, also after a restart.
            standing = standing_attribute(self.race.standings[trial.number], judged=outcome is not None)
            complete = state == TrialState.COMPLETE
            write_attributes(trial, result_attributes(curves, state, {**standing, **facts}))
            save_curves(self.folder, trial.number, curves)
            if self.leases.home != RUN and curves.fold_epochs:
                send_curves(trial, curves)
            value = curves.objective.value(outcome.score) if complete and outcome else None
            passing("tell")
            if frozen_trial(self.study, trial.number).state.is_finished():
                raise LeaseLost
            told = self.study.tell(trial.number, value, state=state)
        passing("told")
        if not complete:
            self.race.leave(trial.number)
        if not complete and reason != Reason.DEADLINE:  # the model may be made of its networks
            self.folder.checkpoint(trial.number).unlink(missing_ok=True)
        self.folder.drop_parts(trial.number)
        self.stopped.pop(trial.number, None)
        self.callback(TrialEnded(TrialRecord.of(told, self.context.objective)))
        if state != TrialState.FAIL:
            self.failures.clear()

    def prune_waiting(self) -> None:
        """Tells Optuna how the trials end that still race, when nobody searches any more.

        Others were better than most of them; those that would have gone on were stopped by the deadline.
        """
        with storage_errors():
            racing = [t for t in self.study.get_trials(deepcopy=False) if not t.state.is_finished()]
        resting = {trial for trial, standing in self.race.standings.items() if standing.waiting}
        stopped = self.race.unfinished() | {trial.number for trial in racing if trial.number not in resting}
        for frozen in racing:
            curves = self.stopped.get(frozen.number) or self._known_curves(frozen)
            with storage_errors():  # from here on, what a worker comes with that was taken for dead is dropped
                self.leases.claim(trial_key(frozen.number), self.race.top)
            trial = trial_of(self.study, frozen)
            reason = Reason.DEADLINE if frozen.number in stopped else Reason.OUTPACED
            self.finish(trial, None, curves, TrialState.PRUNED, reason)
        self.folder.drop_parts()

    def _known_curves(self, trial: FrozenTrial) -> Curves:
        objective = self.context.objective
        saved = trial_curves(self.folder, trial.number, objective)
        return saved or received_curves(trial, objective) or self.context.no_curves()


def _costs(run: TrialRun, curves: Curves) -> dict[str, Any]:
    costs = {
        "parameters": run.parameters,
        "seconds": run.seconds,
        "fold_epochs": curves.fold_epochs,
        "peak_memory": run.peak_memory,
        "executor": run.executor.name,
        "threads": torch.get_num_threads(),
    }
    if run.prediction_seconds:
        costs["seconds_per_prediction"] = run.prediction_seconds
    if run.executor.reason not in ("", NOT_ASKED, NO_GRAPHS):
        costs["executor_reason"] = run.executor.reason
    return costs
