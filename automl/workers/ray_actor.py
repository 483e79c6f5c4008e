"""What runs on a node of a Ray cluster: one worker, which joins the search as `automl worker` does.

Torch is imported with the work: who has begun to answer has a place, however long that takes.
"""

from __future__ import annotations

import io
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from automl.errors import AutomlError, Interrupted, RunError
from automl.open_file import open_to_append
from automl.run.folder import RunFolder
from automl.run.logs import set_up_logging


@dataclass(frozen=True)
class RayOrder:
    """What an actor is told. `run` is the run's folder on the machine of the search, `id` the run's."""

    number: int
    name: str
    storage: str
    study: str
    run: str
    id: str | None
    device: str
    threads: int
    grace: float


class Actor:
    """One worker, in a process of its own on some node. `stop` is called while `work` runs."""

    def __init__(self) -> None:
        self.wanted = False

    def where(self) -> str:
        """The node, and the process there."""
        return f"{os.uname().nodename}, process {os.getpid()}"

    def stop(self) -> None:
        """Asks `work` to end."""
        self.wanted = True

    def work(self, order: RayOrder) -> dict[str, str]:
        """Takes its share of the search; returns what went wrong: `error` and `message`."""
        from automl.study.storage.redaction import scrub
        from automl.workers.remote import join

        run = find_run(order)
        if run is not None:
            _write_to(run.path / "logs" / f"worker-{order.number}.log")
        set_up_logging()
        shared = "" if run else ", without the run's folder"
        print(
            f"automl: worker {order.number} on {order.device} of {self.where()}, {order.threads} CPU thread(s){shared}",
            file=sys.stderr, flush=True,
        )  # fmt: skip
        try:
            join(
                order.storage, order.study, run=run.path if run else None, threads=order.threads, device=order.device,
                interrupted=lambda: self.wanted, worker=order.name, grace=order.grace,
            )  # fmt: skip
        except Interrupted:
            return {}
        except AutomlError as error:
            message = f"worker {order.number} on {self.where()}: {scrub(str(error), order.storage)}"
            return {"error": type(error).__name__, "message": message}
        return {}


def find_run(order: RayOrder) -> RunFolder | None:
    """The run's folder, where this node sees it and may write into it: it is known by the run's id."""
    folder = RunFolder(order.run)
    try:
        same = order.id is not None and folder.read_record().id == order.id
    except (RunError, OSError):
        return None
    return folder if same and os.access(folder.checkpoints, os.W_OK) else None


def _write_to(path: Path) -> None:
    """From now on what this process prints goes to `path`, also what libraries write below Python."""
    path.parent.mkdir(exist_ok=True)
    stream = io.TextIOWrapper(io.BufferedWriter(open_to_append(path)), line_buffering=True)
    for number in (1, 2):
        os.dup2(stream.fileno(), number)
    sys.stdout = sys.stderr = stream
