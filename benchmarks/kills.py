"""Does a search whose workers are killed again and again find as good a network as one that is left alone?

    python benchmarks/kills.py [--trials 60] [--seeds 0 1] [--every 20]

`automl search digits` with 4 workers, undisturbed, and with a SIGKILL to a random worker every `--every` seconds.
Several workers never search the same way twice, so the seeds show how far two searches differ that nobody disturbs.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import tempfile
import time
from pathlib import Path

from fleet import Killer, account, board, ended, leftovers, note, start
from machine import heading, table

COLUMNS = ["seed", "kills", "trials", "doubled", "lost", "failed", "begun again", "seconds", "fold-epochs",
           "CV log loss", "test log loss", "test accuracy", "left behind"]  # fmt: skip


def search(folder: Path, seed: int, every: float, args: argparse.Namespace) -> tuple[list[object], tuple[float, ...]]:
    """One search; `every`: 0 for no kills. A row of the table, and (CV log loss, test log loss, test accuracy)."""
    run = folder / f"run-{seed}-{every:.0f}"
    options = ["--trials", args.trials, "--epochs", args.epochs, "--workers", args.workers, "--threads", args.workers]
    began = time.monotonic()
    process = start(folder, "search", "digits", "--out", run, "--seed", seed, "--quiet", *options)
    with ended(process), Killer(process.pid, every, seed) if every else contextlib.nullcontext() as killer:
        code = process.wait(args.limit)
    seconds = time.monotonic() - began
    if code:
        raise SystemExit((folder / "printed").read_text()[-3000:])
    told, found = account(run, None, args.trials), board(run)
    best = next(row["score"] for row in found["trials"] if row["number"] == found["best"])
    quality = best, found["test"]["log_loss"], found["test"]["accuracy"]
    left = ", ".join(f"{count} {what}" for what, count in leftovers(run, None).items() if count)
    row = [
        seed, killer.kills if killer else 0, f"{told.there} of {told.asked}", told.doubled, told.lost, told.failed,
        told.retries, f"{seconds:.0f}", found["totals"]["fold_epochs"], *(f"{value:.4f}" for value in quality),
        left or "nothing",
    ]  # fmt: skip
    note(f"{row} {told.failures}")
    return row, quality


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=60)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--every", type=float, default=20.0, help="seconds between two kills")
    parser.add_argument("--limit", type=float, default=3000.0, help="seconds after which a search is given up")
    args = parser.parse_args()
    print(heading(threads=1, seeds=args.seeds) + "\n", flush=True)
    rows, qualities = [], {}
    with tempfile.TemporaryDirectory() as folder:
        for every in (0.0, args.every):
            found = [search(Path(folder), seed, every, args) for seed in args.seeds]
            rows += [row for row, _ in found]
            qualities[every] = [
                statistics.mean(column) for column in zip(*(quality for _, quality in found), strict=True)
            ]
    print(f"`automl search digits --trials {args.trials} --epochs {args.epochs} --workers {args.workers}`:\n")
    print(table(COLUMNS, rows))
    calm, killed = qualities[0.0], qualities[args.every]
    words = zip(("CV log loss", "test log loss", "test accuracy"), calm, killed, strict=True)
    print("\nMeans, undisturbed and killed: " + "; ".join(f"{name} {a:.4f} and {b:.4f}" for name, a, b in words) + ".")


if __name__ == "__main__":
    main()
