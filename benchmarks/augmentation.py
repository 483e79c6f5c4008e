"""Does augmentation help? The same search, the same budget, with and without it.

    python benchmarks/augmentation.py cifar10-6k --seeds 3 --timeout 4m

For each seed two searches with the space `images`: one as it is (mirrored or not, and shifted), one without any
augmentation. Each has the same time. Prints a table in Markdown: CV log loss, test log loss and test accuracy.
"""

from __future__ import annotations

import argparse
import math
import statistics
import tempfile
from collections.abc import Iterable
from pathlib import Path

import automl
from automl.run.logs import set_up_logging

WITHOUT = ("train.augmentation=none", "train.horizontal_flip=0")
COLUMNS = ("CV log loss", "test log loss", "test accuracy")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--timeout", default="4m", help="of each search")
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--folds", type=int, default=5)
    args = parser.parse_args()
    set_up_logging()
    budget = {"timeout": args.timeout, "trials": args.trials, "epochs": args.epochs, "folds": args.folds}

    print("| seed | augmentation | " + " | ".join(COLUMNS) + " |\n|---|---|---|---|---|", flush=True)
    found: dict[str, list[tuple[float, ...]]] = {"without": [], "with": []}
    for seed in range(args.seeds):
        for kind, overrides in (("without", WITHOUT), ("with", ())):
            with tempfile.TemporaryDirectory() as folder:
                run = automl.search(
                    args.data, out=Path(folder) / "run", space="images", seed=seed, overrides=overrides, **budget
                )
                score = run.best["score"] if run.best is not None else float("nan")
                found[kind].append((score, run.test["log_loss"], run.test["accuracy"]))
            print(line(seed, kind, found[kind][-1]), flush=True)
    for kind, rows in found.items():
        means = [statistics.mean(column) for column in zip(*rows, strict=True)]
        print(line("mean", kind, means))


def line(seed: int | str, kind: str, values: Iterable[float]) -> str:
    """A row of the table; `-` where no trial was complete, so that there is no cross-validated score."""
    return f"| {seed} | {kind} | " + " | ".join("-" if math.isnan(v) else f"{v:.3f}" for v in values) + " |"


if __name__ == "__main__":
    main()
