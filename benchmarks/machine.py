"""What a benchmark was measured on, for the line above its table; and how much time and memory a command takes."""

from __future__ import annotations

import datetime
import importlib.metadata
import os
import platform
import resource
import statistics
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

POLL = 0.2  # seconds between two looks at the memory of a command, at least
LOOKING = 0.01  # share of one core that looking may take: the kernel walks all pages of a process


def heading(*, device: str = "cpu", threads: int | None = None, seeds: Sequence[int] = (), note: str = "") -> str:
    """One paragraph: machine, versions, threads, seeds, day. Nothing in it but what tells how to place the numbers."""
    import torch

    installed = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    parts = [f"{_cpu()}, {os.cpu_count()} cores, {installed:.0f} GiB"]
    if device != "cpu":
        parts.append(torch.cuda.get_device_name(device))
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("torch", "torchvision", "optuna"))
    parts.append(f"{versions}, Python {platform.python_version()}")
    threads = threads or torch.get_num_threads()
    parts.append(f"{threads} thread" + ("s" if threads > 1 else ""))
    if seeds:
        parts.append(f"seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}")
    parts.append(f"{datetime.date.today()}; load {os.getloadavg()[0]:.1f} at its start")
    return "; ".join(parts) + (f". {note}" if note else "") + "."


def _cpu() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return " ".join(line.partition(":")[2].split())
    except OSError:
        pass
    return platform.processor() or platform.machine()


class Measured(NamedTuple):
    """What a command came to: exit code, what it printed, when it began (UNIX time), seconds, peak memory in bytes.

    `cpu` are the seconds of all its processes on all cores: on a busy machine they say more than the others.
    """

    code: int
    out: str
    err: str
    began: float
    seconds: float
    peak: int
    cpu: float


def measure(
    command: Sequence[str | Path],
    *,
    cores: int | None = None,
    env: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> Measured:
    """Runs a command in `folder` on the first `cores` cores (None: all).

    The peak memory is that of it and all its children together, as proportional set size: pages that processes share
    are counted once. It is looked at up to five times a second, so a shorter peak may be missed. 0 where the system
    does not tell (only Linux does).
    """
    allowed = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []

    def pin() -> None:
        if cores and allowed:
            os.sched_setaffinity(0, allowed[:cores])

    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began, started = time.time(), time.perf_counter()
    process = subprocess.Popen(
        [str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=pin,
        env={**os.environ, **(env or {})}, cwd=folder,
    )  # fmt: skip
    peak, ended = 0, threading.Event()

    def watch() -> None:
        nonlocal peak
        pause = POLL
        while not ended.wait(pause):
            looked = time.thread_time()
            peak = max(peak, sum(map(memory, [process.pid, *below(process.pid)])))
            pause = max(POLL, (time.thread_time() - looked) / LOOKING)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        out, err = process.communicate()
    except BaseException:  # Ctrl-C reaches the command as well; it may need a moment to save
        process.wait()
        raise
    finally:
        ended.set()
    seconds = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Measured(process.returncode, out, err, began, seconds, peak, cpu)


def below(pid: int) -> list[int]:
    """The processes that `pid` started, and theirs."""
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        children = [int(child) for task in tasks for child in (task / "children").read_text().split()]
    except OSError:
        return []
    return children + [other for child in children for other in below(child)]


def memory(pid: int) -> int:
    """The proportional set size of a process in bytes; 0 where there is none."""
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0


def spread(values: Sequence[float]) -> str:
    """Mean and standard deviation."""
    if not values:
        return "-"
    more = f" ± {statistics.stdev(values):.3f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.4f}{more}"


def table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A table in Markdown."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)
