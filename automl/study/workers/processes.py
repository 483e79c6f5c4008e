"""Workers as processes of this machine."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from io import FileIO

import torch

from automl.data.shared import share
from automl.open_file import open_to_append
from automl.study.budget import Budget
from automl.study.folder import RunFolder
from automl.study.prepare import Prepared
from automl.study.record import plugin_files
from automl.study.storage.opening import PASSWORD_VARIABLE
from automl.study.workers.fork_server import Forked, ForkServer
from automl.study.workers.launching import Ending, Launched
from automl.study.workers.shares import count_workers, device_of, threads_of
from automl.study.workers.worker import Order

Begin = Callable[[int, int, int], "subprocess.Popen[bytes] | Forked"]
"""Begins a worker with these files as its standard input, output and error."""


class Process:
    """One worker process, which `begin` begins. Its output goes to `log`."""

    def __init__(self, folder: RunFolder, order: Order, place: int, begin: Begin):
        self.number, self.name, self.place = order.number, order.name, place
        path = folder.path / "logs" / f"worker-{order.number}.log"
        path.parent.mkdir(exist_ok=True)
        self.log = str(path)
        stdin, stdout = _Pipe(), _Pipe()
        with stdin.reader, stdout.writer, open_to_append(path) as output:
            self.process = begin(stdin.reader.fileno(), stdout.writer.fileno(), output.fileno())
        self._to, self._from = stdin.writer, stdout.reader
        with suppress(BrokenPipeError):  # it died at once; its exit code tells
            self._to.write(order.to_line().encode())

    def ending(self) -> Ending | None:
        """How it ended; None while it runs. Asked once after that."""
        code = self.process.poll()
        if code is None:
            return None
        lines = self._from.read().decode(errors="replace").strip().splitlines()
        try:
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
        self._to.close()
        self._from.close()


class _Pipe:
    """A pipe whose ends are closed at the latest when nobody has them any more."""

    def __init__(self) -> None:
        reader, writer = os.pipe()
        self.reader, self.writer = FileIO(reader, "r"), FileIO(writer, "w")


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
        self.threads = threads_of(prepared, self.count)

    def open(self, folder: RunFolder, budget: Budget, grace: float) -> None:
        """Lays the data out where every process can map them."""
        self.folder, self.budget, self.grace = folder, budget, grace
        self.data = folder.path / "shared"
        share(self.prepared.dataset, self.data)
        # Without the storage's URL, which stands in the order: what a plugin starts need not know its password.
        ours = {name: value for name, value in os.environ.items() if name != PASSWORD_VARIABLE}
        self.environment = {**ours, "OMP_NUM_THREADS": str(self.threads)}
        self.command = [sys.executable, "-m", "automl.study.workers.begin", str(folder.path), str(os.getpid())]
        self.server = ForkServer(self.command, self.environment) if can_fork(self.prepared.devices) else None

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
            threads=self.threads,
            grace=self.grace,
            plugins=[file.file for file in plugin_files(self.prepared.host)],
        )
        return Process(self.folder, order, place, self.server.fork if self.server else self._begin)

    def _begin(self, stdin: int, stdout: int, stderr: int) -> subprocess.Popen[bytes]:
        """A process that imports everything by itself."""
        return subprocess.Popen(
            self.command,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            env=self.environment,
            start_new_session=True,  # a Ctrl-C of the terminal is for the supervisor alone
        )

    def look(self, running: Sequence[Launched]) -> None:
        """Processes of this machine get to work at once."""

    def close(self) -> None:
        """Ends the fork server and removes the shared copy of the data."""
        if self.server is not None:
            self.server.close()
        shutil.rmtree(self.data, ignore_errors=True)


def can_fork(devices: Sequence[torch.device]) -> bool:
    """Whether workers for these devices may be forks of a process that has imported PyTorch."""
    return sys.platform == "linux" and all(device.type == "cpu" for device in devices)
