"""Workers as processes of this machine."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import get_context
from multiprocessing.context import ForkServerContext, SpawnContext
from multiprocessing.forkserver import ensure_running
from types import ModuleType

import torch

from automl.data.shared import share
from automl.errors import MachineFailed
from automl.run.context import SearchContext
from automl.run.folder import RunFolder
from automl.run.record import plugin_files
from automl.scheduling.deadline import Budget
from automl.study.storage.opening import PASSWORD_VARIABLE
from automl.workers.allocation import count_workers, device_of, threads_of
from automl.workers.bootstrap import run_worker
from automl.workers.launcher import Ending, Launched
from automl.workers.worker import Order

ProcessContext = SpawnContext | ForkServerContext
PRELOADED = "automl.workers.preload"
DYING = 5.0  # seconds until the end of a killed worker is known at most


class Process:
    """One worker process. Its output goes to `log`.

    Raises `MachineFailed` when it cannot be started.
    """

    def __init__(
        self,
        process_context: ProcessContext,
        folder: RunFolder,
        order: Order,
        place: int,
        environment: Mapping[str, str],
    ):
        self.number, self.name, self.place = order.number, order.name, place
        path = folder.path / "logs" / f"worker-{order.number}.log"
        path.parent.mkdir(exist_ok=True)
        self.log = str(path)
        self._problem, theirs = process_context.Pipe(duplex=False)
        self.process = process_context.Process(
            target=run_worker, args=(order, str(folder.path), self.log, environment, theirs)
        )
        with theirs, _no_main_module():
            try:
                self.process.start()
            except (OSError, EOFError) as error:  # EOFError: the fork server died of its imports
                raise MachineFailed(f"no worker can be started: {error or 'their fork server died'}") from error

    def ending(self) -> Ending | None:
        """How it ended; None while it runs. Asked once after that."""
        code = self.process.exitcode
        if code is None:
            return None
        error, message = "", ""
        with suppress(EOFError):  # it had nothing to tell
            if self._problem.poll():  # not so while one lives on whose fork server has just died
                error, message = self._problem.recv()
        self._problem.close()
        if code == 0:
            return Ending()
        return Ending(f"signal {-code}" if code < 0 else f"exit code {code}", error, message)

    def stop(self) -> None:
        """Asks it to stop."""
        self.process.terminate()

    def wait(self, seconds: float) -> None:
        """Waits until it has ended, so long at most, and then kills it."""
        self.process.join(max(0.0, seconds))
        if self.process.exitcode is None:
            self.kill()
        self._problem.close()

    def kill(self) -> None:
        """Ends it, whatever it does."""
        self.process.kill()
        self.process.join(DYING)


@contextmanager
def _no_main_module() -> Iterator[None]:
    """Hides the user's script, which a new process would run once more: what a worker needs is in modules."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


class LocalLauncher:
    """Starts processes on this machine, which share one copy of the data.

    Args:
        context: the checked ingredients.
        storage: the storage's URL; None for the run's journal.

    Raises `SettingsError` as `count_workers` does.
    """

    def __init__(self, context: SearchContext, storage: str | None):
        self.context = context
        self.storage = storage
        self.count = count_workers(context, storage)
        self.threads = threads_of(context, self.count)
        self.process_context = choose_process_context(context.devices)

    def open(self, folder: RunFolder, budget: Budget, grace: float) -> None:
        """Lays the data out where every process can map them."""
        self.folder, self.budget, self.grace = folder, budget, grace
        self.data = folder.path / "shared"
        share(self.context.dataset, self.data)
        # Without the storage's URL, which stands in the order: what a plugin starts need not know its password.
        ours = {name: value for name, value in os.environ.items() if name != PASSWORD_VARIABLE}
        self.environment = {**ours, "OMP_NUM_THREADS": str(self.threads)}

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
            device=str(device_of(place, self.context)),
            threads=self.threads,
            grace=self.grace,
            plugins=[file.file for file in plugin_files(self.context.host)],
        )
        return Process(self.process_context, self.folder, order, place, self.environment)

    def look(self, running: Sequence[Launched]) -> None:
        """Processes of this machine get to work at once."""

    def close(self) -> None:
        """Removes the shared copy of the data. The fork server stays, for the next search of this process."""
        shutil.rmtree(self.data, ignore_errors=True)


def choose_process_context(devices: Sequence[torch.device]) -> ProcessContext:
    """How processes begin: forked, or with imports of their own."""
    if not can_fork(devices):
        return get_context("spawn")
    made = get_context("forkserver")
    made.set_forkserver_preload([PRELOADED])
    with _no_main_module():
        password = os.environ.pop(PASSWORD_VARIABLE, None)  # /proc/PID/environ shows it
        try:
            ensure_running()  # it imports while the search makes ready
        finally:
            if password is not None:
                os.environ[PASSWORD_VARIABLE] = password
    return made


def can_fork(devices: Sequence[torch.device]) -> bool:
    """Whether workers for these devices may be forks of a process that has imported PyTorch.

    Only on Linux, and not for CUDA: neither Apple's libraries nor CUDA bear a fork.
    """
    return sys.platform == "linux" and all(device.type == "cpu" for device in devices)
