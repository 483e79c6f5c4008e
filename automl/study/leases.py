"""Leases: which worker has which climb, agreed on through the storage alone.

Optuna's storages have no compare-and-set on attributes, but each of them appends trials to a study in one order that
every process sees. A claim is a trial of a second study, `NAME.leases`: of several claims to the same version of a
thing the first one wins. Nothing is locked, so a worker that freezes holds nobody up.

A worker's counter tells that it lives. One that stands still for the grace period, by the watcher's own clock, makes
the worker's climbs free for others; what it comes with afterwards is an older version and is dropped.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import NamedTuple, Protocol

import optuna
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.trial import TrialState, create_trial

GRACE = float(os.environ.get("AUTOML_GRACE", "30"))  # seconds; tests wait for less
BEATS = 6  # in a grace period
GONE = -1  # the counter of a worker that is known to have ended


class LeaseLost(Exception):
    """Another worker has taken this one's climb over, for it seemed dead."""


class Lease(NamedTuple):
    """Who holds a thing, for which rung; `version` counts its claims, `attempt` those for this rung (from 1)."""

    worker: str
    rung: int
    version: int
    attempt: int


class Leases(Protocol):
    """What a search knows of the other workers; `grace` is how long, in seconds, one may show no life."""

    grace: float

    def sync(self) -> None:
        """Reads what the others have claimed."""

    def claim(self, thing: str, rung: int = 0) -> bool:
        """Takes the next version of a thing, as of the last `sync`; False when another worker was quicker."""
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


class Alone:
    """The leases of a search that no other process takes part in: nothing is written."""

    held: dict[str, Lease] = {}  # noqa: RUF012  (never changed)
    grace = GRACE

    def sync(self) -> None:
        """Nobody claims anything."""

    def claim(self, thing: str, rung: int = 0) -> bool:
        """Always granted."""
        return True

    def holds(self, thing: str) -> bool:
        """Always."""
        return True

    def is_dead(self, worker: str) -> bool:
        """There is no other worker."""
        return True


class SharedLeases:
    """Leases in the storage of a study.

    Args:
        storage: of the study.
        study: the study's name.
        worker: this process' own name, unlike any other's.
        grace: seconds after which a counter that stands still means a dead worker.
        clock: seconds that only go forward.
    """

    def __init__(
        self,
        storage: BaseStorage,
        study: str,
        worker: str,
        grace: float = GRACE,
        clock: Callable[[], float] = time.monotonic,
    ):
        self.storage = storage
        self.worker = worker
        self.grace = grace
        self._clock = clock
        self._study = open_leases(storage, study)
        self.held: dict[str, Lease] = {}
        self.newest: dict[str, tuple[str, int]] = {}  # of each worker: what it claimed last, and the version
        self._read = 0
        self._counter = 0
        self._seen: dict[str, tuple[int | None, float]] = {}

    def sync(self) -> None:
        """Reads the new claims in their order, and the workers' counters."""
        claims = self.storage.get_all_trials(self._study, deepcopy=False)
        for claim in claims[self._read :]:
            known = claim.user_attrs
            thing, version = known["thing"], known["version"]
            before = self.held.get(thing)
            if version == (before.version if before else 0) + 1:
                again = before is not None and before.rung == known["rung"]
                attempt = before.attempt + 1 if again and before is not None else 1
                self.held[thing] = Lease(known["worker"], known["rung"], version, attempt)
                self.newest[known["worker"]] = thing, version
        self._read = len(claims)
        counters = self.storage.get_study_user_attrs(self._study)
        for worker in self.newest:
            counter = counters.get(_counter_of(worker))
            if worker not in self._seen or self._seen[worker][0] != counter:
                self._seen[worker] = counter, self._clock()

    def claim(self, thing: str, rung: int = 0) -> bool:
        """Takes the next version of a thing, as of the last `sync`; False when another worker was quicker."""
        before = self.held.get(thing)
        version = (before.version if before else 0) + 1
        about = {"thing": thing, "rung": rung, "version": version, "worker": self.worker}
        claim = create_trial(state=TrialState.COMPLETE, value=float(rung), user_attrs=about)
        self.storage.create_new_trial(self._study, template_trial=claim)
        self.sync()
        return self.held[thing].worker == self.worker and self.held[thing].version == version

    def holds(self, thing: str) -> bool:
        """Whether this worker's claim of the thing is still the newest."""
        self.sync()
        return thing in self.held and self.held[thing].worker == self.worker

    def is_dead(self, worker: str) -> bool:
        """Whether the worker has ended, or its counter has stood still for the grace period."""
        counter, since = self._seen.get(worker, (None, self._clock()))
        return counter == GONE or self._clock() - since > self.grace

    def beat(self) -> None:
        """Moves this worker's counter. May be called from another thread."""
        self._counter += 1
        self.storage.set_study_user_attr(self._study, _counter_of(self.worker), self._counter)

    def bury(self, worker: str) -> None:
        """Declares a worker dead whose process has ended, so that nobody waits for the grace period."""
        self.storage.set_study_user_attr(self._study, _counter_of(worker), GONE)

    def bury_all(self) -> None:
        """Declares every worker so far dead: for who knows that none is left."""
        self.sync()
        for worker in {lease.worker for lease in self.held.values()}:
            self.bury(worker)


def open_leases(storage: BaseStorage, study: str) -> int:
    """The storage's number of the study that holds the leases of `study`; made when it is not there."""
    name = f"{study}.leases"
    try:
        return storage.create_new_study([StudyDirection.MINIMIZE], name)
    except optuna.exceptions.DuplicatedStudyError:
        return storage.get_study_id_from_name(name)


def _counter_of(worker: str) -> str:
    return f"counter:{worker}"
