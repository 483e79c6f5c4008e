"""Many workers and many trials: is any lost or doubled, and do time and memory stay as they were at first?

    python benchmarks/load.py [--trials 2000] [--workers 8] [--storages postgresql journal] [--samplers tpe random]

Searches 60 images of 4 x 4 pixels with a linear model, so that the workers do little but agree with each other.
`random` costs Optuna nothing: its rows are our own bookkeeping; `tpe` learns from all trials before. Milliseconds per
trial are those of a hundred trials in a row, from the beginning of one to that of another: the first hundred after
`--warm` trials (the workers' start is not what is measured) and the last hundred. CPU is that of all processes of the
search, and of the database in brackets. Meanwhile `automl dashboard` serves the run, and is asked for the whole study
every 5 seconds.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from fleet import (
    TINY,
    Account,
    Dashboard,
    Look,
    Server,
    Watch,
    account,
    at,
    ended,
    make_data,
    note,
    reasons,
    start,
    why_not,
)
from machine import heading, table

HUNDRED = 100
COLUMNS = [
    "storage",
    "sampler",
    "asked / there",
    "doubled",
    "lost",
    "failed",
    "climbs",
    "begun again",
    "seconds",
    "ms per trial: first, last hundred",
    "CPU ms (database)",
    "memory early, late",
    "dashboard: median, worst",
]


def search(folder: Path, url: str | None, sampler: str, args: argparse.Namespace) -> list[object]:
    """One search from beginning to end; a row of the table."""
    run = folder / "run"
    options = ["--trials", args.trials, "--workers", args.workers, "--threads", args.workers, "--sampler", sampler]
    began = time.time()
    process = start(folder, "search", *TINY, *options, "--out", run, "--quiet", url=url)
    with ended(process), Watch(process.pid, args.database) as watch:
        while not list(run.glob("artifacts/*-curves.npz")) and process.poll() is None:
            time.sleep(0.5)
        with Dashboard(run, url) as dashboard:
            code = process.wait(args.limit)
    seconds, looks = time.time() - began, watch.looks
    if code:
        raise SystemExit((folder / "printed").read_text())
    told = account(run, url, args.trials)
    note(f"{told}")
    answers = dashboard.seconds or [float("nan")]
    return [
        "PostgreSQL" if url else "journal", sampler, f"{told.asked} / {told.there}", told.doubled, told.lost,
        f"{told.failed} {reasons(told.failures) if told.failed else ''}".strip(), told.climbs, told.retries,
        f"{seconds:.0f}, the race {told.begun[-1] - told.begun[0]:.0f}",
        *pace(told, looks, args.warm),
        f"{statistics.median(answers):.2f} s, {max(answers):.2f} s ({len(dashboard.seconds)} answers, "
        f"{dashboard.size / 1e6:.1f} MB)",
    ]  # fmt: skip


def pace(told: Account, looks: list[Look], warm: int) -> tuple[str, str, str]:
    """Time, CPU and memory of the first and the last hundred trials."""
    begun = told.begun
    first = begun[warm], begun[min(warm + HUNDRED, len(begun) - 1)], min(HUNDRED, len(begun) - 1 - warm)
    last = begun[-1 - HUNDRED] if len(begun) > HUNDRED else begun[0], begun[-1], min(HUNDRED, len(begun) - 1)
    times, cpus, memories = [], [], []
    for early, late, trials in (first, last):
        times.append(f"{1000 * (late - early) / trials:.0f}")
        ours, theirs = (1000 * (at(looks, late, c) - at(looks, early, c)) / trials for c in ("cpu", "database"))
        cpus.append(f"{ours:.0f}" + (f" ({theirs:.0f})" if theirs else ""))
        memories.append(f"{at(looks, (early + late) / 2, 'memory') / 2**20:.0f} MiB")
    return ", ".join(times), ", ".join(cpus), ", ".join(memories)


@contextlib.contextmanager
def storage(name: str, args: argparse.Namespace) -> Iterator[str | None]:
    """The URL of a fresh storage."""
    args.database = None
    if name == "journal":
        yield None
        return
    server = Server()
    try:
        assert server.process is not None
        args.database = server.process.pid
        yield server.url
    finally:
        server.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=2000)
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--warm", type=int, default=50)
    parser.add_argument("--storages", nargs="+", default=["postgresql", "journal"], choices=["postgresql", "journal"])
    parser.add_argument("--samplers", nargs="+", default=["tpe", "random"])
    parser.add_argument("--limit", type=float, default=3000.0, help="seconds after which a search is given up")
    parser.add_argument("--keep", type=Path, help="where the runs stay; default nowhere")
    args = parser.parse_args()
    print(heading(threads=1, seeds=[0]) + "\n", flush=True)
    rows = []
    for name in args.storages:
        if name == "postgresql" and (reason := why_not()):
            print(f"PostgreSQL: not measured: {reason}\n")
            continue
        for sampler in args.samplers:
            with tempfile.TemporaryDirectory() as scratch, storage(name, args) as url:
                folder = args.keep / f"{name}-{sampler}" if args.keep else Path(scratch)
                folder.mkdir(parents=True, exist_ok=True)
                make_data(folder)
                note(f"{name}, {sampler}, in {folder}")
                rows.append(search(folder, url, sampler, args))
                note(" | ".join(map(str, rows[-1])))
    print(f"`automl search tiny.npz --workers {args.workers} --trials {args.trials}`:\n")
    print(table(COLUMNS, rows))


if __name__ == "__main__":
    main()
