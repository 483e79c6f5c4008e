"""Workers as processes of this machine."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from typing import IO

from automl.data.shared import share
from automl.study.budget import Budget
from automl.study.folder import RunFolder
from automl.study.prepare import Prepared
from automl.study.storage.opening import PASSWORD_VARIABLE
from automl.study.workers.launching import Ending, Launched
from automl.study.workers.shares import count_workers, device_of, threads_of
from automl.study.workers.worker import Order


class Process:
    """One worker process. Its output goes to `log`."""

    def __init__(self, folder: RunFolder, order: Order, place: int):
        self.number, self.name, self.place = order.number, order.name, place
        path = folder.path / "logs" / f"worker-{order.number}.log"
        path.parent.mkdir(exist_ok=True)
        self.log = str(path)
        with path.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "automl.study.workers.begin", str(folder.path), str(os.getpid())],
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

    def ending(self) -> Ending | None:
        """How it ended; None while it runs. Asked once after that."""
        code = self.process.poll()
        if code is None:
            return None
        try:
            lines = _pipe(self.process.stdout).read().decode(errors="replace").strip().splitlines()
            problem: dict[str, str] = json.loads(lines[-1])
        except (IndexError, ValueError):
            problem = {}
        self._close()
        if code == 0:
            return Ending()
        return Ending(f"signal {-code}" if code < 0 else f"exit code {code}", **problem)

    def stop(self) -> None:
        """Asks it to stop."""
        self.process.terminate()

    def wait(self, seconds: float) -> None:
        """Waits until it has ended, so long at most, and then kills it."""
        try:
            self.process.wait(max(0.0, seconds))
        except subprocess.TimeoutExpired:
            self.kill()
        self._close()

    def kill(self) -> None:
        """Ends it, whatever it does."""
        self.process.kill()
        self.process.wait()

    def _close(self) -> None:
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


class LocalLauncher:
    """Starts processes on this machine, which share one copy of the data.

    Args:
        prepared: the checked ingredients.
        storage: the storage's URL; None for the run's journal.

    Raises `SettingsError` as `count_workers` does.
    """

    def __init__(self, prepared: Prepared, storage: str | None):
        self.prepared = prepared
        self.storage = storage
        self.count = count_workers(prepared, storage)

    def open(self, folder: RunFolder, budget: Budget, grace: float) -> None:
        """Lays the data out where every process can map them."""
        self.folder, self.budget, self.grace = folder, budget, grace
        self.data = folder.path / "shared"
        share(self.prepared.dataset, self.data)

    def start(self, number: int, name: str, place: int) -> Process:
        """Starts a process with the device of its place."""
        order = Order(
            number=number,
            name=name,
            storage=self.storage,
            data=str(self.data),
            trials=self.budget.trials,
            timeout=self.budget.timeout,
            started=self.budget.started,
            device=str(device_of(place, self.prepared)),
            threads=threads_of(self.prepared, self.count),
            grace=self.grace,
        )
        return Process(self.folder, order, place)

    def look(self, running: Sequence[Launched]) -> None:
        """Processes of this machine get to work at once."""

    def close(self) -> None:
        """Removes the shared copy of the data."""
        shutil.rmtree(self.folder.path / "shared", ignore_errors=True)
