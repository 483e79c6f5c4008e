"""The workers of one machine: a process each, started, watched, replaced when one dies, and stopped together."""

from __future__ import annotations

import json
import logging
import os
import shutil
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import replace
from typing import IO

import optuna
from optuna.trial import TrialState

from automl.data.shared import share
from automl.errors import MachineFailed, NoTrialSucceeded
from automl.study.budget import Budget, Stop
from automl.study.folder import RunFolder
from automl.study.leases import BEATS, GRACE, SharedLeases
from automl.study.observer import Observer
from automl.study.overtime import Overtime, too_long
from automl.study.prepare import Prepared
from automl.study.records import recall_standing
from automl.study.search import SAME_FAILURES
from automl.study.shares import device_of, threads_of
from automl.study.storage import PASSWORD_VARIABLE, storage_errors
from automl.study.worker import Order, fresh_name

log = logging.getLogger("automl.workers")

LOOK_EVERY = 0.2  # seconds
STOPPING = 10.0  # seconds until a worker that was asked to stop is killed
REPLACEMENTS = 5  # for each worker, in a row without a trial ended in between


class Worker:
    """One worker process. Its output goes to `log_path`."""

    def __init__(self, folder: RunFolder, order: Order):
        self.order = order
        self.hung = False
        self.log_path = folder.path / "logs" / f"worker-{order.number}.log"
        self.log_path.parent.mkdir(exist_ok=True)
        with self.log_path.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "automl.study.begin", str(folder.path), str(os.getpid())],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
                env=_environment(order),
                start_new_session=True,  # a Ctrl-C of the terminal is for the supervisor alone
            )
        try:
            _pipe(self.process.stdin).write(order.to_line().encode())
            _pipe(self.process.stdin).flush()
        except BrokenPipeError:
            pass  # it died at once; its exit code tells

    @property
    def problem(self) -> dict[str, str]:
        """What an ended worker said of its end: `error` and `message`."""
        try:
            lines = _pipe(self.process.stdout).read().decode(errors="replace").strip().splitlines()
            told: dict[str, str] = json.loads(lines[-1])
            return told
        except (IndexError, ValueError):
            return {}

    def kill(self, hung: bool = False) -> None:
        """Ends the process, whatever it does; `hung`: for its trial took too long."""
        self.hung = hung
        self.process.kill()
        self.process.wait()

    def close(self) -> None:
        """Closes the pipes of an ended worker."""
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()


def _environment(order: Order) -> dict[str, str]:
    """Without the storage's URL, which stands in the order: what a plugin starts need not know its password."""
    ours = {name: value for name, value in os.environ.items() if name != PASSWORD_VARIABLE}
    return {**ours, "OMP_NUM_THREADS": str(order.threads)}


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    assert pipe is not None
    return pipe


class Workers:
    """All workers of a search; see `run`.

    Args:
        prepared: the checked ingredients.
        count: how many.
        study: Optuna's study, which the workers open themselves.
        storage: its URL; None for the run's journal.
        folder: the run's.
        budget: of the whole search.
        observer: is asked to look at the study again and again.
        grace: seconds after which a worker that shows no life loses its climb.
    """

    def __init__(
        self,
        prepared: Prepared,
        count: int,
        study: optuna.Study,
        storage: str | None,
        folder: RunFolder,
        budget: Budget,
        observer: Observer,
        grace: float = GRACE,
    ):
        self.prepared = prepared
        self.folder = folder
        self.budget = budget
        self.observer = observer
        self.data = folder.path / "shared"
        self.count = count
        self.leases = SharedLeases(study._storage, study.study_name, "supervisor", grace)
        self.order = Order(
            number=0,
            name="",
            place=0,
            device="",
            storage=storage,
            data=str(self.data),
            trials=budget.trials,
            timeout=budget.timeout,
            started=budget.started,
            threads=threads_of(prepared, count),
            grace=grace,
        )
        self.beaten = time.monotonic()
        self.started = 0
        self.crashes = 0
        self.told_before = 0
        self.hung: list[int] = []  # trials whose workers hung, in a row without one that did not
        self.told_at_last = 0
        self.overtime = None
        if prepared.settings.trial_timeout is not None:
            self.overtime = Overtime(prepared, study, folder, self.leases)
        self.over: float | None = None  # when the first worker found that the race is over
        self.running: list[Worker] = []

    def run(self) -> None:
        """Starts the workers and returns when the race is over.

        Raises:
            Interrupted: the user stopped it; the study can be resumed.
            NoTrialSucceeded: a worker saw trial after trial fail for the same cause.
            MachineFailed: disk or storage failed, or the workers die one after the other.
        """
        with storage_errors():
            self.leases.bury_all()  # the run is locked, so those of earlier sessions are gone
            self.leases.close(False)
            self.leases.enter()
            share(self.prepared.dataset, self.data)
        try:
            self.running = [self._start(place) for place in range(self.count)]
            while self.running:
                self._look()
                self.running = [next for worker in self.running if (next := self._after(worker)) is not None]
                if self.running and self.over is not None and time.monotonic() - self.over > self.leases.grace:
                    names = ", ".join(f"worker {worker.order.number}" for worker in self.running)
                    log.warning("the race is over, and %s does not end: killed", names)
                    break
            self._wait_for_guests()
        except Stop:
            with suppress(MachineFailed, Stop), storage_errors():
                self.leases.close(True)  # who stops a search stops all of it
            raise
        finally:
            self._stop()
            shutil.rmtree(self.data, ignore_errors=True)
        with storage_errors():
            self.observer.look()
            self.leases.leave()

    def _look(self) -> None:
        """Waits a moment, tells what is new, and moves the counter that says: somebody lives at the run's folder."""
        time.sleep(LOOK_EVERY)
        with storage_errors():
            self.observer.look()
            self._end_hung()
            if time.monotonic() - self.beaten > self.leases.grace / BEATS:
                self.leases.beat()
                self.beaten = time.monotonic()
        self.budget.check_interrupted()

    def _wait_for_guests(self) -> None:
        """Until no worker of another machine climbs any more: by itself, or because the time is up."""
        with storage_errors():
            if self.budget.timeout is not None:
                self.leases.close(True)
            while self._guests_climb():
                self._look()
            self.leases.close(True)
            while self._guests_climb():  # one has begun a climb in this moment; it gives it back
                self._look()

    def _guests_climb(self) -> bool:
        self.leases.sync()
        guests = set(self.leases.guests())
        return any(
            f"trial {trial.number}" in self.leases.held
            and (lease := self.leases.held[f"trial {trial.number}"]).worker in guests
            and lease.rung not in recall_standing(trial).scores
            for trial in self.observer.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        )

    def _start(self, place: int) -> Worker:
        device = str(device_of(place, self.prepared))
        order = replace(self.order, number=self.started, name=fresh_name(self.started), place=place, device=device)
        self.started += 1
        return Worker(self.folder, order)

    def _after(self, worker: Worker) -> Worker | None:
        """The worker while it runs; when it has ended, the one in its place, or None."""
        code = worker.process.poll()
        if code is None:
            return worker
        problem = worker.problem
        worker.close()
        with storage_errors():
            self.leases.bury(worker.order.name)
        if worker.hung:
            return self._start(worker.order.place)
        if code == 0:
            self.over = self.over or time.monotonic()
            return None
        if problem.get("error") == NoTrialSucceeded.__name__:
            raise NoTrialSucceeded(problem["message"])
        if problem:
            raise MachineFailed(problem["message"])
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        log.warning("worker %d ended with %s; see %s", worker.order.number, how, worker.log_path)
        if self.observer.told > self.told_before:
            self.told_before, self.crashes = self.observer.told, 0
        self.crashes += 1
        if self.crashes > REPLACEMENTS * self.count:
            raise MachineFailed(f"{self.crashes} workers in a row died, the last with {how}: see {worker.log_path}")
        return self._start(worker.order.place)

    def _end_hung(self) -> None:
        """Kills the workers whose trials take longer than a trial may."""
        if self.overtime is None:
            return
        self.leases.sync()
        for worker in self.running:
            trial = self.overtime.hangs_in(worker.order.name)
            if trial is not None and worker.process.poll() is None:
                worker.kill(hung=True)
                self.overtime.fail(worker.order.name, trial)
                # The failed trial itself is told of once.
                self.hung = [*self.hung, trial] if self.observer.told <= self.told_at_last + 1 else [trial]
                self.told_at_last = self.observer.told
                if len(self.hung) >= SAME_FAILURES:
                    raise NoTrialSucceeded(
                        f"{SAME_FAILURES} trials in a row failed for the same cause: {too_long(self.overtime.limit)}"
                    )

    def _stop(self) -> None:
        """Asks all to stop, and kills those that do not."""
        for worker in self.running:
            worker.process.terminate()
        deadline = time.monotonic() + STOPPING
        for worker in self.running:
            try:
                worker.process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                worker.kill()
            worker.close()
        self.running = []
