"""Leases: what a search asks and tells other workers about who has which climb. `shared_leases` is how they agree."""

from __future__ import annotations

import os
from enum import IntEnum, StrEnum
from typing import NamedTuple

GRACE = float(os.environ.get("AUTOML_GRACE", "30"))  # seconds; tests wait for less
BEATS_PER_GRACE = 6  # in a grace period
RUN = ""  # the home of all that see the run's folder
SUPERVISOR = "supervisor"  # the worker that only watches


class Kind(StrEnum):
    """What is claimed."""

    TRIAL = "trial"  # the right to train it
    FOLD = "fold"  # the right to train one fold of a trial that is shared
    SHARED = "shared"  # by the worker that has the trial: others may train some of its folds
    FAST_TRACK = "fast track"  # sends the trial straight to the top
    BASELINE = "baseline"  # the right to decide which trial is the baseline
    SLOT = "slot"  # a place that the budget has for a trial; they are numbered


class Key(NamedTuple):
    """What is claimed: of a slot its `number`, of everything else that of the trial; the `fold` counts from 0."""

    kind: Kind
    number: int = 0
    fold: int = 0

    @property
    def trial(self) -> int | None:
        """The trial that the worker with this key is training, or a fold of it; None for another kind."""
        return self.number if self.kind in (Kind.TRIAL, Kind.FOLD) else None


BASELINE = Key(Kind.BASELINE)
ANY_SLOT = Key(Kind.SLOT, -1)  # the next that is free


def trial_key(trial: int) -> Key:
    """The right to train a trial."""
    return Key(Kind.TRIAL, trial)


def fold_key(trial: int, fold: int) -> Key:
    """The right to train one fold of a shared trial."""
    return Key(Kind.FOLD, trial, fold)


def slot_key(number: int) -> Key:
    """A place for a trial."""
    return Key(Kind.SLOT, number)


class FoldClaim(IntEnum):
    """In the place of a rung, of a fold that nobody is to be waited for."""

    RELEASED = -1  # its worker is done with it
    OWN = -2  # the worker of the whole trial trains it


class Lease(NamedTuple):
    """Who has a key, for which rung; `version` counts its claims.

    `attempt` counts those for this rung (from 1), and anew when the trial has got further: `reached` says how many
    epochs it had reported.
    """

    worker: str
    rung: int
    version: int
    attempt: int
    home: str = RUN
    reached: int = 0


class Leases:
    """What a search knows of the other workers, and agrees on with them. These are of one that no other process takes
    part in: nothing is written, and whatever is claimed is granted.
    """

    home = RUN
    grace = GRACE  # seconds for which a worker may show no life

    def __init__(self) -> None:
        self.held: dict[Key, Lease] = {}  # the newest lease of each key

    @property
    def num_workers(self) -> int:
        """How many workers take part, this one included."""
        return 1

    def sync(self) -> None:
        """Reads what the others have claimed."""

    def drain_claims(self) -> set[Key]:
        """The keys that were claimed since this was last asked, as of the last `sync`."""
        return set()

    def claim(self, key: Key, rung: int = 0, reached: int = 0) -> bool:
        """Takes the next version of a key, as of the last `sync`; False when another worker was quicker.

        `reached`: the epochs that the trial has reported so far.
        """
        return True

    def claim_slot(self, least: int, limit: int) -> int | None:
        """Takes `slot N` for the first N from `least` that is free; None when that is `limit`."""
        return least if least < limit else None

    def holds(self, key: Key) -> bool:
        """Whether this worker's claim of the key is still the newest."""
        return True

    def is_dead(self, worker: str) -> bool:
        """Whether the worker has ended, or its counter has stood still for the grace period."""
        return True

    def attempt(self, key: Key, rung: int, reached: int = 0) -> int:
        """Which attempt (from 1) a claim of the key for this rung would be, as of the last `sync`."""
        return 1

    def can_access(self, key: Key) -> bool:
        """Whether the trial rests at this worker's home, or at one where nobody lives any more."""
        return True
