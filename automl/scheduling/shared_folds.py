"""The folds of one trial, shared out among workers: each trains whole folds, and the trial's own puts them together.

For the trial that many wait for: the baseline of a short search, which is complete in little more than half the time
with two workers. Its own worker takes the folds from the first on, helpers from the last. A fold's seeds are its own,
so it learns the same wherever it is trained; only the overfitting rule is asked later, when the last fold is there.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator

from automl.errors import RunError
from automl.racing.curves import FoldEpoch
from automl.racing.race import Race
from automl.run.folder import RunFolder
from automl.scheduling.leases import FoldClaim, Key, Kind, Leases, fold_key, trial_key
from automl.study.storage.opening import storage_errors
from automl.training.run import TrialRun

log = logging.getLogger("automl.search")

WAITING = 0.5  # seconds between two looks for a fold that another worker has


class SharedFolds:
    """A trial's training of which other workers may take folds: `advance` as of a `TrialRun`.

    Args:
        run: trains the folds that this worker takes, and holds all of them in the end.
        trial: its number; this worker has its lease.
        rung: to which it climbs.
        folder: where helpers leave their folds.
        leases: the agreement on who has which fold.
        tick: called while it waits; may raise to stop.
    """

    def __init__(
        self, run: TrialRun, trial: int, rung: int, folder: RunFolder, leases: Leases, tick: Callable[[], None]
    ):
        self.run = run
        self.trial = trial
        self.folder = folder
        self.leases = leases
        self.tick = tick
        with storage_errors():
            leases.claim(Key(Kind.SHARED, trial), rung)

    def advance(self, epochs: int, folds: int) -> Iterator[list[FoldEpoch]]:
        """Brings the first `folds` folds to `epochs` epochs, one after the other; yields each one's epochs.

        Raises as `TrialRun.advance`, and what `tick` raises.
        """
        for fold in range(folds):
            while not self._has(fold, epochs):
                if self.folder.part(self.trial, fold).exists():
                    yield from self._join(fold)
                elif self._takes(fold):
                    yield from self.run.advance_fold(fold, epochs)
                else:
                    self.tick()
                    time.sleep(WAITING)

    def _has(self, fold: int, epochs: int) -> bool:
        return fold < len(self.run.folds) and self.run.folds[fold].epochs >= epochs

    def _takes(self, fold: int) -> bool:
        """Whether the fold is this worker's to train: no helper has it, or is at it any more."""
        key = fold_key(self.trial, fold)
        with storage_errors():
            self.leases.sync()
            if self.leases.holds(key):
                return True
            lease = self.leases.held.get(key)
            free = lease is None or lease.rung in {*FoldClaim} or self.leases.is_dead(lease.worker)
            # A helper writes the fold before it lets go of it.
            return free and not self.folder.part(self.trial, fold).exists() and self.leases.claim(key, FoldClaim.OWN)

    def _join(self, fold: int) -> Iterator[list[FoldEpoch]]:
        """What a helper has left."""
        path = self.folder.part(self.trial, fold)
        try:
            shown = self.run.join_fold(fold, path)
        except RunError as error:
            log.warning("fold %d of trial %d is trained again: %s", fold + 1, self.trial, error)
            with storage_errors():
                path.unlink(missing_ok=True)
                self.leases.claim(fold_key(self.trial, fold), FoldClaim.OWN)
            return
        yield from ([epoch] for epoch in shown)


def fold_to_help_with(race: Race, leases: Leases) -> tuple[int, int] | None:
    """A fold of another worker's trial that may be claimed: (trial, fold), or None.

    Only folds that no rung has begun yet, from the last on. Who has the trial must live, and at this worker's home,
    where it finds the result.
    """
    for trial in sorted(race.fast_tracked):
        lease, sharing = leases.held.get(trial_key(trial)), leases.held.get(Key(Kind.SHARED, trial))
        if lease is None or sharing is None or not race.standings[trial].climbing:
            continue
        if (sharing.worker, lease.rung, lease.home) != (lease.worker, race.top, leases.home):
            continue
        begun = race.ladder[race.standings[trial].rung].folds
        for fold in range(race.ladder[race.top].folds - 1, begun - 1, -1):
            mine, key = leases.holds(trial_key(trial)), fold_key(trial, fold)
            if not mine and key not in leases.held and not leases.is_dead(lease.worker):
                return trial, fold
    return None
