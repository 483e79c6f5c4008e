"""Collects what is wrong with a search space, so that all of it is said at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from automl.errors import SpaceError

MOST = 20  # problems that are shown: a file may be anything


class Problems:
    """The errors found so far."""

    def __init__(self) -> None:
        self._errors: list[SpaceError] = []

    def add(self, error: SpaceError) -> None:
        """Goes on although this is wrong."""
        self._errors.append(error)

    @contextmanager
    def noted(self) -> Iterator[None]:
        """Adds the error that is raised within it."""
        try:
            yield
        except SpaceError as error:
            self._errors.append(error)

    def raise_all(self) -> None:
        """Raises one error, at the place of the first and with a line for each other; none when nothing was wrong."""
        if self._errors:
            first, *others = self._errors
            lines = "\n".join([first.problem, *map(str, others)]).split("\n")
            more = [f"and {len(lines) - MOST} more"] if len(lines) > MOST else []
            raise SpaceError(first.place, "\n".join([*lines[:MOST], *more]))
