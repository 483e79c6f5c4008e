"""How much a search may still do: trials, a deadline, and the wish of the user to stop."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from automl.errors import Interrupted, OutOfTime

CLOSING, CLOSING_SHARE = 3.0, 0.05
"""Seconds, and a share of the timeout at most, that stay for what follows the final fit: the test and the report."""


@dataclass(frozen=True)
class Deadline:
    """A point in time, at which a training must end; `end` by the `clock`, None for never. It is never moved: what must
    leave time for something later gets an earlier one.

    `interrupted` says whether the user wants to stop.
    """

    end: float | None = None
    interrupted: Callable[[], bool] = lambda: False
    clock: Callable[[], float] = time.monotonic

    @property
    def left(self) -> float:
        """Seconds; infinite where there is no end."""
        return float("inf") if self.end is None else self.end - self.clock()

    def minus(self, seconds: float) -> Deadline:
        """The deadline that keeps so many seconds for what follows."""
        return self if self.end is None else replace(self, end=self.end - seconds)

    def check(self) -> None:
        """Raises `Interrupted` when the user wants to stop, `OutOfTime` when no time is left."""
        self.check_interrupted()
        if self.left <= 0:
            raise OutOfTime

    def check_interrupted(self) -> None:
        """Raises `Interrupted` when the user wants to stop."""
        if self.interrupted():
            raise Interrupted


@dataclass(frozen=True)
class Budget:
    """The budget of one search.

    Args:
        trials: so many trials are asked for in all, those of earlier sessions included.
        timeout: seconds until the whole search is over, counted from `started`; None: it has no end.
        started: when the search began, by the clock of `deadline`.
        deadline: of the last training, a moment before the timeout.
    """

    trials: int
    timeout: float | None
    started: float
    deadline: Deadline

    @classmethod
    def of(
        cls,
        trials: int,
        timeout: float | None = None,
        interrupted: Callable[[], bool] = lambda: False,
        clock: Callable[[], float] = time.monotonic,
        started: float | None = None,
    ) -> Budget:
        """The budget of a search that began at `started` by the `clock`; None: now."""
        begun = clock() if started is None else started
        end = None if timeout is None else begun + timeout - min(CLOSING, CLOSING_SHARE * timeout)
        return cls(trials, timeout, begun, Deadline(end, interrupted, clock))

    @property
    def elapsed(self) -> float:
        """Seconds since the search began."""
        return self.deadline.clock() - self.started
