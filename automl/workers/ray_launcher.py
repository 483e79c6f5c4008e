"""Workers as actors of a Ray cluster: each joins the search through the storage, as `automl worker` does.

Ray decides on which node an actor runs, and with which CPUs and GPUs. An actor that is lost is not restarted by Ray but
replaced by the supervisor, as a process is: it knows the lost one's name, so that its trials are taken over at once,
and bounds how often that happens in a row without a trial ended.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from automl.errors import MachineFailed, SettingsError
from automl.run.context import SearchContext
from automl.run.folder import RunFolder
from automl.scheduling.deadline import Budget
from automl.study.storage.opening import is_server
from automl.study.storage.redaction import scrub
from automl.workers.launcher import Ending, Launched
from automl.workers.ray_actor import Actor, RayOrder
from automl.workers.ray_cluster import Share, connected, list_nodes, share_out

log = logging.getLogger("automl.workers")

TELL = 20.0  # seconds without a place until that is told
PLACING = 120.0  # seconds without a place for any worker until the search is given up
LOST = "the loss of its process or node"


class RayWorker:
    """A worker as the supervisor sees it; see `Launched`."""

    def __init__(self, order: RayOrder, place: int, share: Share):
        import ray

        self.number, self.name, self.place = order.number, order.name, place
        self.order = order
        self.withdrawn = False
        self.actor: Any = (
            ray.remote(Actor)
            .options(
                num_cpus=share.cpus,
                num_gpus=share.gpus,
                max_concurrency=2,  # `stop` while it works
                max_restarts=0,
                max_task_retries=0,
                scheduling_strategy="SPREAD",
            )
            .remote()
        )
        self._where = self.actor.where.remote()
        self._result = self.actor.work.remote(order)

    def placed(self) -> bool:
        """Whether a node has taken it."""
        import ray

        return bool(ray.wait([self._where], timeout=0)[0])

    @property
    def log(self) -> str:
        """Its file in the run's folder where its node sees that, else where it ran."""
        import ray

        path = Path(self.order.run, "logs", f"worker-{self.number}.log")
        if path.exists():
            return str(path)
        try:
            return f"Ray's logs on {ray.get(self._where, timeout=0)}"
        except ray.exceptions.RayError:
            return "Ray's logs"

    def ending(self) -> Ending | None:
        """How it ended; None while it runs or waits for a place."""
        import ray

        if self.withdrawn:
            return Ending()
        if not ray.wait([self._result], timeout=0)[0]:
            return None
        try:
            problem = ray.get(self._result)
        except ray.exceptions.RayError as error:
            self.kill()  # it may only be out of reach
            return Ending(self._reason(error))
        self.kill()  # or else it keeps its place
        return Ending("an error", **problem) if problem else Ending()

    def _reason(self, error: Exception) -> str:
        """What Ray says of an actor that could not begin or raised; of a lost one it says pages."""
        import ray

        said = scrub(str(error), self.order.storage).strip()
        if isinstance(error, ray.exceptions.RayTaskError) or "creation task" in said:
            return said.splitlines()[-1].strip()
        return LOST

    def withdraw(self) -> None:
        """Takes the request for a place back: the race is over."""
        self.withdrawn = True
        self.kill()

    def stop(self) -> None:
        """Asks it to stop."""
        self.actor.stop.remote()

    def wait(self, seconds: float) -> None:
        """Waits until it has ended, so long at most, and then kills it. One that has no place yet is not waited for."""
        import ray

        if self.placed():
            ray.wait([self._result], timeout=max(0.0, seconds))
        self.kill()

    def kill(self) -> None:
        """Ends it, whatever it does."""
        import ray

        ray.kill(self.actor)


class RayLauncher:
    """Starts `count` actors with their `share` of the cluster that this process has joined."""

    def __init__(self, context: SearchContext, storage: str, count: int, share: Share):
        self.context = context
        self.storage = storage
        self.count = count
        self.share = share
        self._waiting: float | None = None  # since when some have no place
        self._told = False

    def open(self, folder: RunFolder, budget: Budget, grace: float) -> None:
        """Notes what the actors are told."""
        self.folder, self.budget, self.grace = folder, budget, grace
        self.record = folder.read_record()

    def start(self, number: int, name: str, place: int) -> RayWorker:
        """Asks the cluster for an actor; it begins when a node has room for it."""
        order = RayOrder(
            number=number,
            name=name,
            storage=self.storage,
            study=self.record.study,
            run=str(self.folder.path),
            id=self.record.id,
            device="cuda" if self.share.gpus else "cpu",
            threads=self.share.cpus,
            grace=self.grace,
        )
        return RayWorker(order, place, self.share)

    def look(self, running: Sequence[Launched]) -> None:
        """Tells when workers wait for a place; raises `MachineFailed` when none finds one.

        Once a worker has found that the race is over, the others need none any more.
        """
        placeless = [worker for worker in running if isinstance(worker, RayWorker) and not worker.placed()]
        if not placeless:
            self._waiting, self._told = None, False
            return
        if len(running) < self.count:
            for worker in placeless:
                worker.withdraw()
            return
        self._waiting = self._waiting or time.monotonic()
        waited = time.monotonic() - self._waiting
        if waited > TELL and not self._told:
            self._told = True
            log.warning("%d of %d workers wait for a place in the Ray cluster: %s each; see `ray status`",
                        len(placeless), len(running), self.share)  # fmt: skip
        if len(placeless) == len(running) and (waited > PLACING or self.budget.deadline.left <= 0):
            raise MachineFailed(
                f"no worker has found a place in the Ray cluster for {waited:.0f} s: others keep its CPUs or GPUs, or "
                "its nodes are gone (see `ray status`); `automl resume` goes on"
            )

    def close(self) -> None:
        """Nothing was laid out for the actors."""


@contextmanager
def ray_launcher(context: SearchContext, storage: str | None) -> Iterator[RayLauncher]:
    """Joins the cluster and checks that it is large enough. Raises `SettingsError`."""
    settings = context.settings
    if storage is None or not is_server(storage):
        raise SettingsError(
            "--launcher ray: workers on many machines share a study in a database server: give --storage "
            "postgresql+psycopg://..., or $AUTOML_STORAGE"
        )
    if settings.devices or settings.device not in ("auto", "cpu", "cuda"):
        option = f"--devices {','.join(settings.devices)}" if settings.devices else f"--device {settings.device}"
        raise SettingsError(f"{option}: Ray hands out the GPUs of its nodes; use --device auto, cpu or cuda")
    with connected(settings.ray_address):
        workers = None if settings.workers == "auto" else settings.workers
        gpu = None if settings.device == "auto" else settings.device == "cuda"
        yield RayLauncher(context, storage, *share_out(list_nodes(), workers, settings.threads, gpu))
