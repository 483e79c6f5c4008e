"""Leases: what a search asks and tells other workers about who has which climb. `shared_leases` is how they agree."""

from __future__ import annotations

import os
from typing import NamedTuple, Protocol

GRACE = float(os.environ.get("AUTOML_GRACE", "30"))  # seconds; tests wait for less
BEATS = 6  # in a grace period
RUN = ""  # the home of all that see the run's folder
SUPERVISOR = "supervisor"  # the worker that only watches
BASELINE = "baseline"  # who has it decides which trial is the baseline
SLOT = "slot"  # a place that the budget has for a trial; they are numbered
# The rungs of folds that nobody is to be waited for: its worker is done with it, or has it with the whole trial.
LET_GO, OWN = -1, -2


def thing_of(trial: int) -> str:
    """What a trial is called among the things that can be claimed."""
    return f"trial {trial}"


def straight(trial: int) -> str:
    """Who claims it sends the trial straight to the top."""
    return f"straight {trial}"


def shared(trial: int) -> str:
    """Who has it has the trial, and lets others train some of its folds."""
    return f"shared {trial}"


def fold_of(trial: int, fold: int | str) -> str:
    """One fold of a trial that is `shared`; "": the beginning of all their names."""
    return f"fold {trial} {fold}"


def trial_of(thing: str) -> int | None:
    """The trial that who has the thing is training, or a fold of it; None for another thing."""
    kind, *numbers = thing.split(" ")
    return int(numbers[0]) if kind in ("trial", "fold") else None


class Lease(NamedTuple):
    """Who holds a thing, for which rung; `version` counts its claims.

    `attempt` counts those for this rung (from 1), and anew when the trial has got further: `reached` says how many
    epochs it had reported.
    """

    worker: str
    rung: int
    version: int
    attempt: int
    home: str = RUN
    reached: int = 0


class Leases(Protocol):
    """What a search knows of the other workers; `grace` is how long, in seconds, one may show no life."""

    grace: float

    home: str

    @property
    def crew(self) -> int:
        """How many workers take part, this one included."""
        ...

    def sync(self) -> None:
        """Reads what the others have claimed."""

    def news(self) -> set[str]:
        """The things that were claimed since this was last asked, as of the last `sync`."""
        ...

    def claim(self, thing: str, rung: int = 0, reached: int = 0) -> bool:
        """Takes the next version of a thing, as of the last `sync`; False when another worker was quicker.

        `reached`: the epochs that the trial has reported so far.
        """
        ...

    def draw(self, least: int, limit: int) -> int | None:
        """Takes `slot N` for the first N from `least` that is free; None when that is `limit`."""
        ...

    def holds(self, thing: str) -> bool:
        """Whether this worker's claim of the thing is still the newest."""
        ...

    @property
    def held(self) -> dict[str, Lease]:
        """The newest lease of each thing."""
        ...

    def is_dead(self, worker: str) -> bool:
        """Whether the worker has ended, or its counter has stood still for the grace period."""
        ...

    def attempt(self, thing: str, rung: int, reached: int = 0) -> int:
        """Which attempt (from 1) a claim of the thing for this rung would be, as of the last `sync`."""
        ...

    def reaches(self, thing: str) -> bool:
        """Whether the thing rests at this worker's home, or at one where nobody lives any more."""
        ...


class Alone:
    """The leases of a search that no other process takes part in: nothing is written."""

    home = RUN
    held: dict[str, Lease] = {}  # noqa: RUF012  (never changed)
    grace = GRACE
    crew = 1

    def sync(self) -> None:
        """Nobody claims anything."""

    def news(self) -> set[str]:
        """Nothing."""
        return set()

    def claim(self, thing: str, rung: int = 0, reached: int = 0) -> bool:
        """Always granted."""
        return True

    def draw(self, least: int, limit: int) -> int | None:
        """Always the first."""
        return least if least < limit else None

    def holds(self, thing: str) -> bool:
        """Always."""
        return True

    def is_dead(self, worker: str) -> bool:
        """There is no other worker."""
        return True

    def attempt(self, thing: str, rung: int, reached: int = 0) -> int:
        """Always the first."""
        return 1

    def reaches(self, thing: str) -> bool:
        """Always."""
        return True
