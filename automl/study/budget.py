"""How much a search may still do: trials, a deadline, and the wish of the user to stop."""

from __future__ import annotations

import time
from collections.abc import Callable

from automl.errors import Interrupted, OutOfTime

CLOSING, CLOSING_SHARE = 3.0, 0.05
"""Seconds, and a share of the timeout at most, that stay for what follows the final fit: the test and the report."""


class Budget:
    """The budget of one search.

    Args:
        trials: so many trials are asked for in all, those of earlier sessions included.
        timeout: seconds until the whole search is over, counted from `started`; None: it has no end.
        interrupted: says whether the user wants to stop.
        clock: seconds that only go forward.
        started: when the search began, by that clock; None: now.
    """

    def __init__(
        self,
        trials: int,
        timeout: float | None = None,
        interrupted: Callable[[], bool] = lambda: False,
        clock: Callable[[], float] = time.monotonic,
        started: float | None = None,
    ):
        self.trials = trials
        self.timeout = timeout
        self.interrupted = interrupted
        self._clock = clock
        self.started = clock() if started is None else started
        self.deadline = None if timeout is None else self.started + timeout - min(CLOSING, CLOSING_SHARE * timeout)
        self.reserve = 0.0

    @property
    def elapsed(self) -> float:
        """Seconds since the search began."""
        return self._clock() - self.started

    @property
    def left(self) -> float:
        """Seconds until the last training must end, a moment before the timeout; infinite without one."""
        return float("inf") if self.deadline is None else self.deadline - self._clock()

    def check(self) -> None:
        """Raises `Interrupted` when the user wants to stop, `OutOfTime` when only the final fit's reserve is left."""
        self.check_interrupted()
        if self.left <= self.reserve:
            raise OutOfTime

    def check_deadline(self) -> None:
        """As `check`, but the reserve may be used: for the final fit itself."""
        self.check_interrupted()
        if self.left <= 0:
            raise OutOfTime

    def check_interrupted(self) -> None:
        """Raises `Interrupted` when the user wants to stop."""
        if self.interrupted():
            raise Interrupted
