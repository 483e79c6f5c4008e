"""What a launcher is: it starts workers somewhere, and tells how each ended. `workers.supervisor` supervises them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from automl.run.folder import RunFolder
from automl.scheduling.deadline import Budget


@dataclass(frozen=True)
class Ending:
    """How a worker ended. `how` is empty when the race was over for it.

    `error` is the class of what it raised, `message` its text; both are empty when it died.
    """

    how: str = ""
    error: str = ""
    message: str = ""


class Launched(Protocol):
    """A worker that was started.

    `number` is one that no worker of this session had before, `name` that of its leases, `place` that of the worker
    which it replaces, below their count.
    """

    number: int
    name: str
    place: int

    @property
    def log(self) -> str:
        """Where its output is."""

    def ending(self) -> Ending | None:
        """How it ended; None while it runs."""

    def stop(self) -> None:
        """Asks it to stop."""

    def wait(self, seconds: float) -> None:
        """Waits until it has ended, so long at most, and then kills it."""

    def kill(self) -> None:
        """Ends it, whatever it does."""


class Launcher(Protocol):
    """Starts `count` workers, and others in their place."""

    count: int

    def open(self, folder: RunFolder, budget: Budget, grace: float) -> None:
        """Makes ready for a search; a worker without a sign of life for `grace` seconds loses its climb."""

    def start(self, number: int, name: str, place: int) -> Launched:
        """Starts a worker; see `Launched`."""

    def look(self, running: Sequence[Launched]) -> None:
        """Is called again and again. Raises `MachineFailed` when the workers will never get to work."""

    def close(self) -> None:
        """Clears away what `open` has made; no worker runs any more."""
