"""Trials that take longer than `--trial-timeout`, and the workers that hang in them.

A worker looks at the time before each batch and ends its trial by itself. One that is stuck, in a plugin's build or
step, cannot: who started it sees by its claims how long it has been on its way, and kills it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import optuna
from optuna.trial import TrialState

from automl.run.context import SearchContext
from automl.run.curve_files import save_curves, trial_curves
from automl.run.folder import RunFolder
from automl.scheduling.failures import too_long
from automl.scheduling.leases import FoldClaim, Key, trial_key
from automl.study.standings import standing_of
from automl.study.storage.internals import trial_of
from automl.study.trial_record import result_attributes, seconds_so_far, write_attributes
from automl.workers.shared_leases import SharedLeases

SLACK = 3.0  # seconds in which a worker may end its trial by itself


@dataclass(eq=False)
class HungTrials:
    """Finds and fails the trials whose workers hang.

    Args:
        context: the ingredients of the search; `trial_timeout` of its settings is set.
        study: of the search.
        folder: the run's.
        leases: the claims of all workers, kept up to date by who asks.
        clock: seconds that only go forward.
    """

    context: SearchContext
    study: optuna.Study
    folder: RunFolder
    leases: SharedLeases
    clock: Callable[[], float] = time.monotonic
    _since: dict[tuple[Key, int], float] = field(default_factory=dict, init=False)

    @property
    def limit(self) -> float:
        """Seconds that a trial may take in all."""
        assert self.context.settings.trial_timeout is not None
        return self.context.settings.trial_timeout

    def hangs_in(self, worker: str) -> int | None:
        """The trial in which the worker has been for too long, or in a fold of it; None: in none."""
        key, version = self.leases.newest.get(worker, (None, 0))
        number = None if key is None else key.trial
        if key is None or number is None or self.leases.held[key].rung == FoldClaim.RELEASED:
            return None
        if self.leases.held[key].rung == FoldClaim.OWN:  # its time runs since it has the trial
            key = trial_key(number)
            version = self.leases.held[key].version
            if self.leases.held[key].worker != worker:
                return None
        since = self._since.setdefault((key, version), self.clock())
        trial = self.study.get_trials(deepcopy=False)[number]
        if self.clock() - since <= self.limit - seconds_so_far(trial) + SLACK:
            return None
        lease = self.leases.held[key]
        if lease.version != version:  # taken over: it hangs so that it does not even move its counter
            return number if self.leases.is_dead(worker) else None
        helps = key != trial_key(number)  # it lets go of the fold when it sees that the trial has ended
        ended = trial.state.is_finished() or lease.rung in standing_of(trial).scores
        return None if ended and not helps else number

    def fail(self, worker: str, number: int) -> None:
        """Tells Optuna that the trial failed, unless another worker has it; `worker` has been killed."""
        trial = self.study.get_trials(deepcopy=False)[number]
        if self.leases.held[trial_key(number)].worker != worker or trial.state.is_finished():
            return
        curves = trial_curves(self.folder, number, self.context.objective) or self.context.no_curves()
        reason = f"{too_long(self.limit)}: its worker hung and was killed"
        attributes = result_attributes(curves, TrialState.FAIL, {"reason": reason})
        write_attributes(trial_of(self.study, trial), attributes)
        save_curves(self.folder, number, curves)
        self.study.tell(number, state=TrialState.FAIL)
        self.folder.checkpoint(number).unlink(missing_ok=True)
        self.folder.drop_parts(number)
