"""Does a trial cost the same when there were a thousand before it? And do more workers help?

    python benchmarks/scaling.py [--trials 10 100 1000] [--samplers random tpe] [--workers 1 2 4]

Searches 60 images of 4 x 4 pixels with a linear model, 2 folds, 3 epochs: training is next to nothing, so that the
time is that of the search. `random` costs Optuna nothing, so its rows are our own cost; the row of `tpe` adds the
sampler's, which grows with the trials that it learns from. First and last tenth: the mean time from the beginning of
a trial to that of the next one, by the journal. The second table has a fixed number of trials that train for a while,
by number of workers.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import journal
import numpy as np
from machine import Measured, heading, measure, table

TINY = [
    "--architecture",
    "linear",
    "--space",
    "tiny.yaml",
    "--folds",
    "2",
    "--epochs",
    "3",
    "--quiet",
    "--threads",
    "1",
]
SPACE = """
architectures: {linear: {}}
training: {optimizer: [sgd, adam], schedule: constant, augmentation: none, batch_size: 64}
"""


def make_data(folder: Path) -> None:
    rng = np.random.default_rng(0)
    np.savez(folder / "tiny.npz", x=rng.integers(0, 256, (60, 4, 4), dtype=np.uint8), y=np.arange(60) % 2)
    (folder / "tiny.yaml").write_text(SPACE)


def search(folder: Path, *arguments: object) -> Measured:
    """A search with `folder` as the current one."""
    done = measure([sys.executable, "-m", "automl", "search", *map(str, arguments)], folder=folder)
    if done.code:
        sys.exit(done.err)
    return done


def pace(run: Path) -> tuple[float, float]:
    """Milliseconds from one trial's beginning to the next one's: in the first and in the last tenth of the trials."""
    begun = journal.begun(run / "journal.log")
    begun = begun[1:] if len(begun) > 2 else begun  # the first one imports what is imported late
    gaps = [1000 * (after - before) for before, after in itertools.pairwise(begun)]
    tenth = max(1, len(gaps) // 10)
    return statistics.mean(gaps[:tenth]), statistics.mean(gaps[-tenth:])


def by_trials(args: argparse.Namespace, folder: Path) -> list[list[object]]:
    rows: list[list[object]] = []
    for sampler in args.samplers:
        for trials in args.trials:
            out = folder / f"{sampler}-{trials}"
            done = search(folder, "tiny.npz", *TINY, "--sampler", sampler, "--trials", trials, "--out", out)
            first, last = pace(out)
            rows.append(
                [sampler, trials, f"{done.seconds:.1f}", f"{done.cpu:.1f}", f"{1000 * done.cpu / trials:.0f}",
                 f"{first:.0f}", f"{last:.0f}", f"{done.peak / 2**20:.0f}"]
            )  # fmt: skip
    return rows


def by_workers(args: argparse.Namespace, folder: Path) -> list[list[object]]:
    rows: list[list[object]] = []
    for workers in args.workers:
        out = folder / f"workers-{workers}"
        more = ["--workers", workers] if workers > 1 else []
        told = search(folder, "digits", "--trials", args.worker_trials, "--out", out, "--json", *more)
        board = json.loads(told.out)
        best = next(row["score"] for row in board["trials"] if row["number"] == board["best"])
        spent = board["totals"]["fold_epochs"]
        rows.append([workers, f"{told.seconds:.1f}", spent, f"{spent / told.seconds:.1f}", f"{best:.4f}",
                     f"{told.peak / 2**20:.0f}"])  # fmt: skip
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, nargs="+", default=[10, 100, 1000])
    parser.add_argument("--samplers", nargs="+", default=["random", "tpe"])
    parser.add_argument("--workers", type=int, nargs="*", default=[1, 2, 4])
    parser.add_argument("--worker-trials", type=int, default=30)
    args = parser.parse_args()
    print(heading(threads=1, seeds=[0]) + "\n", flush=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_data(folder)
        columns = [
            "sampler",
            "trials",
            "seconds",
            "CPU seconds",
            "CPU ms per trial",
            "first tenth, ms",
            "last tenth, ms",
            "peak MiB",
        ]
        print(table(columns, by_trials(args, folder)) + "\n", flush=True)
        if not args.workers:
            return
        print(f"`automl search digits --trials {args.worker_trials}`:\n")
        help_text = subprocess.run([sys.executable, "-m", "automl", "search", "--help"], capture_output=True, text=True)
        if "--workers" not in help_text.stdout:
            print("not measured: this automl has no --workers yet")
            return
        columns = ["workers", "seconds", "fold-epochs", "fold-epochs a second", "CV log loss", "peak MiB"]
        print(table(columns, by_workers(args, folder)))


if __name__ == "__main__":
    main()
