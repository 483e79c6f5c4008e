"""A Ray cluster: found, joined, and what each worker gets of its nodes."""

from __future__ import annotations

import importlib.util
import logging
import math
import os
import signal
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from automl.errors import SettingsError

ANSWERS = 5.0  # seconds; Ray itself tries for two minutes
QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".*",  # else pages of a lost node's last log lines come to stdout
}


class Node(NamedTuple):
    """What a node of the cluster has in all, busy or not."""

    cpus: int
    gpus: int


class Share(NamedTuple):
    """What one worker gets: CPUs, and GPUs, a part of one where several workers share it."""

    cpus: int
    gpus: float

    def __str__(self) -> str:
        return f"{self.cpus} CPU(s)" + (f" and {self.gpus:.2g} GPU" if self.gpus else "")


@contextmanager
def connected(address: str | None) -> Iterator[None]:
    """Joins the cluster at `address`, or `$RAY_ADDRESS`, or the one that this machine is a node of.

    Where this process is in a cluster already, that one serves. Raises `SettingsError` without Ray, or a cluster.
    """
    if importlib.util.find_spec("ray") is None:
        raise SettingsError("--launcher ray needs the package ray: pip install 'automl[ray]'")
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    import ray

    if ray.is_initialized():
        yield
        return
    chosen = address or os.environ.get("RAY_ADDRESS") or "auto"
    _check(chosen)
    try:
        with _same_signals():
            ray.init(address=chosen, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, RuntimeError, ValueError, SystemExit) as error:
        if chosen == "auto":
            reason = "no Ray cluster runs on this machine: begin one with `ray start --head`, or name its address"
        else:
            reason = str(error).strip().partition("\n")[0]
        raise SettingsError(f"--ray-address {chosen}: {reason}") from None
    try:
        yield
    finally:
        ray.shutdown()


def _check(address: str) -> None:
    """Raises `SettingsError` for an address where no cluster can be."""
    if address == "auto":
        return
    host, _, port = address.rpartition(":")
    if not port.isdecimal() or not host or "://" in host:
        raise SettingsError(f"--ray-address {address}: must be HOST:PORT of a cluster that this machine is a node of")
    try:
        socket.create_connection((host.strip("[]"), int(port)), ANSWERS).close()
    except (OSError, OverflowError) as error:
        raise SettingsError(f"--ray-address {address}: nobody answers there ({error})") from None


@contextmanager
def _same_signals() -> Iterator[None]:
    """Ray takes SIGTERM for itself; what a signal does is for who began the search to say."""
    kinds = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {kind: signal.getsignal(kind) for kind in kinds}
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            for kind, handler in before.items():
                signal.signal(kind, handler)


def list_nodes() -> list[Node]:
    """The living nodes of the cluster that this process has joined."""
    import ray

    found = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    return [Node(int(has.get("CPU", 0)), int(has.get("GPU", 0))) for has in found]


def share_out(nodes: Sequence[Node], workers: int | None, threads: int | None, gpu: bool | None) -> tuple[int, Share]:
    """How many workers there are, and what each gets so that all find a place.

    Args:
        nodes: of the cluster.
        workers: how many are wanted; None: one for each GPU, or for each node where no GPU is used.
        threads: CPUs of all workers together; None: as many as there are.
        gpu: whether each gets a GPU, or a part of one; None: where the cluster has any.

    Raises `SettingsError` when the cluster has less than that.
    """
    have = (
        f"the Ray cluster has {sum(n.cpus for n in nodes)} CPUs and {sum(n.gpus for n in nodes)} GPUs on {len(nodes)}"
    )
    have += " node(s)"
    total = sum(node.gpus for node in nodes)
    if gpu and not total:
        raise SettingsError(f"--device cuda: {have}; use --device cpu")
    gpu = total > 0 if gpu is None else gpu
    count = workers or (total if gpu else sum(node.cpus > 0 for node in nodes)) or 1
    gpus = 1 / math.ceil(count / total) if gpu else 0.0
    most = max((node.cpus for node in nodes), default=0)
    for cpus in [max(1, threads // count)] if threads else range(most, 0, -1):
        if sum(_room(node, Share(cpus, gpus)) for node in nodes) >= count:
            return count, Share(cpus, gpus)
    least = Share(max(1, threads // count) if threads else 1, gpus)
    raise SettingsError(f"--workers {count}: {have}, too few for {least} each; ask for fewer workers, or add nodes")


def _room(node: Node, share: Share) -> int:
    """For how many such shares the node is large enough. No share is of two GPUs."""
    room = node.cpus // share.cpus
    return min(room, node.gpus * round(1 / share.gpus)) if share.gpus else room
