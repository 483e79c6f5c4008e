"""Why trials fail. When one after the other fails for one cause, the search ends: the next ones would, too."""

from __future__ import annotations

import re

from automl.errors import NoTrialSucceeded

SAME_FAILURES = 5  # in a row, with the same cause, end the search


def too_long(limit: float) -> str:
    """The reason of a trial that took longer than `limit` seconds."""
    return f"longer than --trial-timeout {limit:g}s"


class Failures:
    """The causes of the last trials, as long as they all failed."""

    def __init__(self) -> None:
        self._causes: list[str] = []

    def clear(self) -> None:
        """A trial went well."""
        self._causes.clear()

    def add(self, reason: str) -> None:
        """A trial failed. Raises `NoTrialSucceeded` at the fifth in a row for one cause; numbers in it may differ."""
        self._causes.append(re.sub(r"\d+", "#", reason))
        last = self._causes[-SAME_FAILURES:]
        if len(last) == SAME_FAILURES and len(set(last)) == 1:
            raise NoTrialSucceeded(f"{SAME_FAILURES} trials in a row failed for the same cause: {reason}")
