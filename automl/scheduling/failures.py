"""Why trials fail. Where one after the other fails for one cause before any has been trained, the search ends."""

from __future__ import annotations

import re

from automl.errors import NoTrialSucceeded
from automl.racing.race import Race

SAME_FAILURES = 5  # in a row, with the same cause, end the search


def too_long(limit: float) -> str:
    """The reason of a trial that took longer than `limit` seconds."""
    return f"longer than --trial-timeout {limit:g}s"


class Failures:
    """The causes of the last trials, as long as they all failed.

    Only causes that lie in the code, not in the config: what diverges, cannot run or takes too long says nothing of the
    next trial.
    """

    def __init__(self) -> None:
        self._causes: list[str] = []

    def clear(self) -> None:
        """A trial has ended otherwise."""
        self._causes.clear()

    def add(self, cause: str, race: Race) -> None:
        """A trial failed.

        Raises `NoTrialSucceeded` at the fifth in a row for one cause (numbers in it may differ), but only as long as no
        trial has reached a rung of the `race`: a search that has found something goes on.
        """
        self._causes.append(re.sub(r"\d+", "#", cause))
        last = self._causes[-SAME_FAILURES:]
        if len(last) == SAME_FAILURES and len(set(last)) == 1 and not race.begun:
            raise NoTrialSucceeded(f"{SAME_FAILURES} trials in a row failed for the same cause: {cause}")
