"""Does a saved model help where images are few? A network searched on half of the classes, reused for the other half.

    python benchmarks/transfer.py cifar10-6k --per-class 20 --seeds 3

The folder has train/CLASS/* and test/CLASS/*. For each seed there are three searches: on the first half of the classes
with all of their images; on the second half with `--per-class` images a class, from scratch and, with the same budget,
with the saved model as a backbone. Both are tested on all test images of that half. Prints a table in Markdown.
"""

from __future__ import annotations

import argparse
import random
import shutil
import statistics
import tempfile
from pathlib import Path
from typing import Any

import automl
from automl.run.logs import set_up_logging


def copy_classes(data: Path, classes: list[str], out: Path, per_class: int | None, seed: int) -> Path:
    """A folder with these classes: `per_class` (None: all) training images of each, drawn with `seed`."""
    for part in ("train", "test"):
        for name in classes:
            files = sorted((data / part / name).iterdir())
            if part == "train" and per_class is not None:
                files = random.Random(f"{seed} {name}").sample(files, per_class)
            (out / part / name).mkdir(parents=True)
            for file in files:
                shutil.copy(file, out / part / name)
    return out


def run_seed(args: argparse.Namespace, seed: int, folder: Path) -> dict[str, Any]:
    """The runs of one seed: `parent`, `scratch`, `transfer`."""
    classes = sorted(path.name for path in (args.data / "train").iterdir() if path.is_dir())
    half = len(classes) // 2
    many = copy_classes(args.data, classes[:half], folder / "many", None, seed)
    few = copy_classes(args.data, classes[half:], folder / "few", args.per_class, seed)
    plain = {"epochs": args.epochs, "folds": args.folds, "seed": seed, "device": args.device, "threads": args.threads}
    budget = plain | {"trials": args.trials, "timeout": args.timeout}
    first = plain | {"trials": args.parent_trials, "timeout": args.parent_timeout}
    parent = automl.search(str(many), out=folder / "parent", space="images", **first)
    scratch = automl.search(str(few), out=folder / "scratch", space="images", **budget)
    transfer = automl.search(str(few), out=folder / "transfer", weights=str(parent.path), **budget)
    return {"parent": parent, "scratch": scratch, "transfer": transfer}


def row(name: Any, runs: list[dict[str, float]]) -> str:
    """A line of the table: means over the runs."""
    cells = [f"{statistics.mean(run[key] for run in runs):.3f}" for key in runs[0]]
    return f"| {name} | " + " | ".join(cells) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--per-class", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--trials", type=int, default=30)
    parser.add_argument("--timeout", default="10m", help="of each search on few images")
    parser.add_argument("--parent-trials", type=int, default=30)
    parser.add_argument("--parent-timeout", default="20m")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--out", type=Path, help="keep the runs here")
    args = parser.parse_args()
    set_up_logging()

    print("| seed | scratch: accuracy | log loss | transfer: accuracy | log loss |\n|---|---|---|---|---|", flush=True)
    results = []
    with tempfile.TemporaryDirectory() as temporary:
        for seed in range(args.seeds):
            runs = run_seed(args, seed, (args.out or Path(temporary)) / f"seed-{seed}")
            keys = [(run, metric) for run in ("scratch", "transfer") for metric in ("accuracy", "log_loss")]
            results.append({f"{run} {metric}": runs[run].test[metric] for run, metric in keys})
            print(row(seed, results[-1:]), flush=True)
    print(row("mean", results))
    wins = sum(each["transfer accuracy"] > each["scratch accuracy"] for each in results)
    print(f"\ntransfer is more accurate in {wins} of {len(results)} seeds")


if __name__ == "__main__":
    main()
