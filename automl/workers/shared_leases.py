"""Leases in a study's storage: workers agree on who has which climb through it alone.

Optuna's storages have no compare-and-set on attributes, but each of them appends trials to a study in one order that
every process sees. A claim is a trial of a second study, `NAME.leases`: of several claims to the same version of a
key the first one wins. Nothing is locked, so a worker that freezes holds nobody up.

A worker's counter tells that it lives. One that stands still for the grace period, by the watcher's own clock, makes
the worker's climbs free for others; what it comes with afterwards is an older version and is dropped.

A worker has a home: the folder with its checkpoints. Trials rest at the home of their last worker, and those of another
home climb on there as long as a worker lives at it; after that anybody may begin them again.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from enum import IntEnum
from typing import Any

import optuna
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.trial import TrialState, create_trial

from automl.scheduling.leases import (
    ANY_SLOT,
    BEATS_PER_GRACE,
    GRACE,
    RUN,
    SUPERVISOR,
    Key,
    Kind,
    Lease,
    Leases,
    slot_key,
)
from automl.study.storage.cache import StudyCache


class Ended(IntEnum):
    """In the place of a worker's counter."""

    DEAD = -1  # it is known to have died
    LEFT = -2  # it has ended in good order: its climb counts as no attempt


CLAIM = "claim"  # the attribute of a claim; all in one, for a database takes milliseconds for each
CLOSING = "closing"  # the attribute that asks workers on other machines to stop
WORKER = "worker:"  # an attribute of this name and a worker's: its home, and how it came


class SharedLeases(Leases):
    """Leases in the storage of a study.

    Args:
        storage: of the study.
        study: the study's name.
        worker: this process' own name, unlike any other's.
        grace: seconds after which a counter that stands still means a dead worker.
        clock: seconds that only go forward.
        home: where its checkpoints are; a name that is unlike any other's, or `RUN`.
        joined: whether it came by itself, and no supervisor knows of its end.
    """

    def __init__(
        self,
        storage: BaseStorage,
        study: str,
        worker: str,
        grace: float = GRACE,
        clock: Callable[[], float] = time.monotonic,
        home: str = RUN,
        joined: bool = False,
    ):
        super().__init__()
        self.home = home
        self.joined = joined
        self.storage = storage
        self.worker = worker
        self.grace = grace
        self._clock = clock
        self._study = open_leases(storage, study)
        self.newest: dict[str, tuple[Key, int]] = {}  # of each worker: what it claimed last, and the version
        self._claimed: set[Key] = set()
        self._read = -1  # how far the claims were read
        self._slots = 0  # so many were drawn
        self._drawn: int | None = None
        self._counter = 0
        self._seen: dict[str, tuple[int | None, float]] = {}
        self._workers: dict[str, dict[str, Any]] = {}
        self._beaten: float | None = None
        self._missed = 0.0

    def sync(self) -> None:
        """Reads the new claims in their order, and the workers' counters."""
        self._read_claims()
        told = self.storage.get_study_user_attrs(self._study)
        self._workers = {name.removeprefix(WORKER): about for name, about in told.items() if name.startswith(WORKER)}
        for worker in {*self._workers, *self.newest}:
            counter = told.get(_counter_of(worker))
            if worker not in self._seen or self._seen[worker][0] != counter:
                self._seen[worker] = counter, self._now()

    def _read_claims(self) -> None:
        for known in self._new_claims():
            kind, *numbers = known["key"]
            key, version = Key(Kind(kind), *numbers), known["version"]
            if key == ANY_SLOT:  # drawn: which one it is says its place among the claims
                number = max(self._slots, known["least"])
                if number >= known["limit"]:
                    continue
                key, self._slots = slot_key(number), number + 1
                if known["worker"] == self.worker:
                    self._drawn = number
            before = self.held.get(key)
            if version == (before.version if before else 0) + 1:
                self.held[key] = Lease(
                    known["worker"], known["rung"], version, known["attempt"], known["home"], known.get("reached", 0)
                )
                self.newest[known["worker"]] = key, version
                self._claimed.add(key)

    def drain_claims(self) -> set[Key]:
        """The keys that were claimed since this was last asked, as of the last `sync`."""
        claimed, self._claimed = self._claimed, set()
        return claimed

    def _new_claims(self) -> list[dict[str, Any]]:
        """What was claimed since the last time; no more is asked for."""
        if isinstance(self.storage, StudyCache):
            found = self.storage.read_attribute(self._study, CLAIM, self._read)
            self._read = max((trial for trial, _ in found), default=self._read)
            return [known for _, known in found]
        claims = []
        with suppress(KeyError):  # there is no claim of this number yet
            while True:
                claim = self.storage.get_trial_id_from_study_id_trial_number(self._study, self._read + 1)
                claims.append(self.storage.get_trial(claim).user_attrs[CLAIM])
                self._read += 1
        return claims

    def claim(self, key: Key, rung: int = 0, reached: int = 0) -> bool:
        """Takes the next version of a key, as of the last `sync`; False when another worker was quicker.

        `reached`: the epochs that the trial has reported so far.
        """
        before = self.held.get(key)
        version = (before.version if before else 0) + 1
        self._write_claim(
            key=key, rung=rung, version=version, attempt=self.attempt(key, rung, reached), reached=reached
        )
        return self.held[key].worker == self.worker and self.held[key].version == version

    def claim_slot(self, least: int, limit: int) -> int | None:
        """Takes `slot N` for the first N from `least` that is free; None when that is `limit`.

        Many workers that claimed the next one at the same time would nearly all be too late, again and again.
        """
        self._drawn = None
        self._write_claim(key=ANY_SLOT, rung=0, version=1, attempt=1, least=least, limit=limit)
        return self._drawn

    def _write_claim(self, rung: int, **about: Any) -> None:
        about |= {"rung": rung, "worker": self.worker, "home": self.home}
        claim = create_trial(state=TrialState.COMPLETE, value=float(rung), user_attrs={CLAIM: about})
        self.storage.create_new_trial(self._study, template_trial=claim)
        self._read_claims()

    def holds(self, key: Key) -> bool:
        """Whether this worker's claim of the key is still the newest."""
        self._read_claims()
        return key in self.held and self.held[key].worker == self.worker

    def is_dead(self, worker: str) -> bool:
        """Whether the worker has ended, or its counter has stood still for the grace period."""
        counter, since = self._seen.get(worker, (None, self._now()))
        return counter in (Ended.DEAD, Ended.LEFT) or self._now() - since > self.grace

    def attempt(self, key: Key, rung: int, reached: int = 0) -> int:
        """Which attempt (from 1) a claim of the key for this rung would be, as of the last `sync`."""
        before = self.held.get(key)
        if before is None or before.rung != rung or reached > before.reached:
            return 1
        return before.attempt + (self._seen.get(before.worker, (None, 0.0))[0] != Ended.LEFT)

    def can_access(self, key: Key) -> bool:
        """Whether the trial rests at this worker's home, or at one where nobody lives any more."""
        home = self.held[key].home if key in self.held else RUN
        return home == self.home or not any(
            about["home"] == home and not self.is_dead(worker) for worker, about in self._workers.items()
        )

    @property
    def num_workers(self) -> int:
        """How many workers live, this one included, as of the last `sync`."""
        others = self._workers.keys() - {self.worker, SUPERVISOR}
        return 1 + sum(not self.is_dead(worker) for worker in others)

    def remote_workers(self) -> list[str]:
        """The workers that came by themselves and live, as of the last `sync`."""
        return [worker for worker, about in self._workers.items() if about["joined"] and not self.is_dead(worker)]

    def _now(self) -> float:
        """This worker's clock, without the time in which it could not move its own counter either.

        A storage that is away, or a machine that sleeps, stops everybody's counter, and nobody is dead of it.
        """
        if self._beaten is None:
            return self._clock()
        return min(self._clock(), self._beaten + 2 * self.grace / BEATS_PER_GRACE) - self._missed

    def enter(self) -> None:
        """Makes this worker and its home known to the others."""
        about = {"home": self.home, "joined": self.joined}
        self.storage.set_study_user_attr(self._study, WORKER + self.worker, about)
        self.beat()

    def leave(self) -> None:
        """Gives back what this worker holds: it ends in good order, and others may go on at once."""
        self.storage.set_study_user_attr(self._study, _counter_of(self.worker), Ended.LEFT)

    def close(self, closing: bool) -> None:
        """Asks the workers on other machines to stop; False at the start of a session."""
        self.storage.set_study_user_attr(self._study, CLOSING, closing)

    @property
    def closing(self) -> bool:
        """Whether workers on other machines are asked to stop."""
        return bool(self.storage.get_study_user_attrs(self._study).get(CLOSING))

    def beat(self) -> None:
        """Moves this worker's counter. May be called from another thread."""
        self._counter += 1
        self.storage.set_study_user_attr(self._study, _counter_of(self.worker), self._counter)
        now = self._clock()
        if self._beaten is not None:
            self._missed += max(0.0, now - self._beaten - 2 * self.grace / BEATS_PER_GRACE)
        self._beaten = now

    def mark_dead(self, worker: str) -> None:
        """Declares a worker dead whose process has ended, so that nobody waits for the grace period."""
        if self.storage.get_study_user_attrs(self._study).get(_counter_of(worker)) == Ended.LEFT:
            return
        self.storage.set_study_user_attr(self._study, _counter_of(worker), Ended.DEAD)

    def mark_all_dead(self) -> None:
        """Declares every worker so far dead but those that came by themselves: for who knows that none is left."""
        self.sync()
        for worker in {*self._workers, *(lease.worker for lease in self.held.values())}:
            if not self._workers.get(worker, {}).get("joined"):
                self.mark_dead(worker)


def open_leases(storage: BaseStorage, study: str) -> int:
    """The storage's number of the study that holds the leases of `study`; made when it is not there."""
    name = f"{study}.leases"
    try:
        return storage.create_new_study([StudyDirection.MINIMIZE], name)
    except optuna.exceptions.DuplicatedStudyError:
        return storage.get_study_id_from_name(name)


def _counter_of(worker: str) -> str:
    return f"counter:{worker}"
