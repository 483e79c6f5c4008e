"""`automl search` beside what a good PyTorch user writes today, in the same time on the same cores.

    python benchmarks/against_optuna.py --data digits mnist10k.npz cifar10-6k --minutes 20 --seeds 5 --threads 2

Four ways, each a process of its own on the first `--threads` cores, taken in turn seed by seed:

    automl    `automl search` with its default space; what `--automl` says is added, e.g. --automl="--workers 2"
    recipe    benchmarks/recipe.py: Optuna's TPE and MedianPruner, folds one after another
    first     the recipe, begun with the configs that automl's search space begins with
    single    the recipe on one split; its winner is scored on all folds afterwards, which takes no time off it

Space, networks, folds and test set are the same; `--epochs` are those of the recipe, automl's go by the time. Times
count from the start of the process. Every run is a line in `--out`, so that an interrupted benchmark goes on where it
stopped, and `--table` prints what is there. Printed are means over the seeds: the best CV log loss and the winner's
test accuracy after equal time, and the time and the fold-epochs until the CV score is reached that the recipe ends with
(medians; a seed that never reaches it counts as infinite). Where single found its winner after t and the winner's CV
score is as good, t stands there: it cannot know its CV score earlier.
"""

from __future__ import annotations

import argparse
import json
import math
import shlex
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

import journal
from machine import heading, measure, spread, table

WAYS = ("automl", "recipe", "first", "single")
Row = dict[str, Any]


def run_automl(args: argparse.Namespace, data: str, seed: int) -> Row:
    with tempfile.TemporaryDirectory() as folder:
        run = args.runs / f"{Path(data).stem}-{seed}" if args.runs else Path(folder) / "run"
        command = [sys.executable, "-m", "automl", "search", data, "--out", run, "--folds", args.folds, "--json",
                   "--trials", 100_000, "--timeout", f"{60 * args.minutes:g}s", "--seed", seed,
                   "--space", "images", "--device", "cpu", "--threads", args.threads,
                   *shlex.split(args.automl)]  # fmt: skip
        done = measure([str(part) for part in command], cores=args.threads)
        if done.code:
            raise RuntimeError(done.err)
        board = json.loads(done.out)
        points = [[at - done.began, score, spent] for at, score, spent in journal.completed(run / "journal.log")]
    best = next((row["score"] for row in board["trials"] if row["number"] == board["best"]), None)
    return {
        "points": points, "cv": best, "begun": board["totals"]["trials"], "fold_epochs": board["totals"]["fold_epochs"],
        "test_accuracy": board["test"]["accuracy"], "test_log_loss": board["test"]["log_loss"],
        "seconds": done.seconds, "peak": done.peak,
    }  # fmt: skip


def run_recipe(args: argparse.Namespace, data: str, seed: int, way: str) -> Row:
    script = Path(__file__).with_name("recipe.py")
    command = [sys.executable, script, data, "--minutes", args.minutes, "--folds", args.folds, "--epochs", args.epochs,
               "--seed", seed, "--threads", args.threads, *([] if way == "recipe" else [f"--{way}"])]  # fmt: skip
    done = measure([str(part) for part in command], cores=args.threads)
    if done.code:
        raise RuntimeError(done.err)
    told = json.loads(done.out.splitlines()[-1])
    return {
        "points": told["trials"], "cv": told.get("cv"), "begun": told["begun"], "fold_epochs": told["fold_epochs"],
        "test_accuracy": told.get("test_accuracy"), "test_log_loss": told.get("test_log_loss"),
        "seconds": done.seconds, "peak": done.peak,
    }  # fmt: skip


def until(row: Row, target: float) -> tuple[float, float]:
    """(seconds, fold-epochs) until the CV score `target` was there; infinite when it never was."""
    if row["way"] == "single":
        if row["cv"] is None or row["cv"] > target:
            return math.inf, math.inf
        seconds, _, spent = min(row["points"], key=lambda point: point[1])
        return seconds, spent
    return next(((seconds, spent) for seconds, score, spent in row["points"] if score <= target), (math.inf, math.inf))


def summarise(rows: list[Row]) -> str:
    """The table of one data set, and the paired comparison below it."""
    by = {way: {row["seed"]: row for row in rows if row["way"] == way} for way in WAYS}
    targets = {seed: row["cv"] for seed, row in by["recipe"].items() if row["cv"] is not None}
    lines: list[list[object]] = []
    reached: dict[str, dict[int, tuple[float, float]]] = {}
    for way, own in by.items():
        if not own:
            continue
        reached[way] = {seed: until(row, targets[seed]) for seed, row in own.items() if seed in targets}
        times = [statistics.median(column) for column in zip(*reached[way].values(), strict=True)] or [math.nan] * 2
        lines.append([
            way, len(own), f"{statistics.mean(len(row['points']) for row in own.values()):.0f} of "
            f"{statistics.mean(row['begun'] for row in own.values()):.0f}",
            f"{statistics.mean(row['fold_epochs'] for row in own.values()):.0f}",
            spread([row["cv"] for row in own.values() if row["cv"] is not None]),
            spread([row["test_accuracy"] for row in own.values() if row["test_accuracy"] is not None]),
            *("-" if math.isnan(value) else f"{value:.0f}" if math.isfinite(value) else "never" for value in times),
            f"{max(row['peak'] for row in own.values()) / 2**20:.0f}",
        ])  # fmt: skip
    columns = ["way", "seeds", "trials complete", "fold-epochs", "CV log loss", "test accuracy",
               "seconds to the recipe's CV score", "fold-epochs to it", "peak MiB"]  # fmt: skip
    return "\n".join([table(columns, lines), *compare(by, reached)])


def compare(by: dict[str, dict[int, Row]], reached: dict[str, dict[int, tuple[float, float]]]) -> list[str]:
    """Sentences on automl against each other way, seed by seed."""
    sentences = []
    for other in WAYS[1:]:
        pairs = [
            (mine["test_accuracy"], theirs["test_accuracy"])
            for seed, mine in by["automl"].items()
            if (theirs := by[other].get(seed)) and theirs["test_accuracy"] is not None
        ]
        if pairs:
            gains = [mine - theirs for mine, theirs in pairs]
            error = f" ± {statistics.stdev(gains) / math.sqrt(len(gains)):.4f}" if len(gains) > 1 else ""
            sentences.append(f"Test accuracy of automl minus {other}, paired: {statistics.mean(gains):+.4f}{error}.")
    faster = [
        reached["recipe"][seed][0] / seconds if math.isfinite(seconds) else 0.0
        for seed, (seconds, _) in reached.get("automl", {}).items()
        if seed in reached.get("recipe", {})
    ]
    if faster:
        each = ", ".join(f"{ratio:.1f}" for ratio in faster)
        sentences.append(f"To the recipe's CV score automl was {statistics.median(faster):.1f} times faster ({each}).")
    return ["", " ".join(sentences)] if sentences else []


def key(row: Row) -> tuple[Any, ...]:
    return tuple(row[name] for name in ("data", "way", "seed", "minutes", "threads", "folds", "epochs", "automl"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", default=["digits"])
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=WAYS)
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--automl", default="", help="more options for `automl search`")
    parser.add_argument("--out", type=Path, default=Path("tables/against_optuna.jsonl"))
    parser.add_argument(
        "--runs", type=Path, help="where the runs of `automl search` are kept [a folder that is removed]"
    )
    parser.add_argument("--table", action="store_true", help="run nothing, print what --out holds")
    args = parser.parse_args()
    args.out.parent.mkdir(parents=True, exist_ok=True)
    known = [json.loads(line) for line in args.out.read_text().splitlines()] if args.out.exists() else []
    wanted = [
        {"data": data, "way": way, "seed": seed, "minutes": args.minutes, "threads": args.threads, "folds": args.folds,
         "epochs": args.epochs, "automl": args.automl if way == "automl" else ""}
        for data in args.data for seed in range(args.seeds) for way in args.ways
    ]  # fmt: skip
    done = {key(row): row for row in known}
    for row in wanted if not args.table else []:
        if key(row) in done:
            continue
        began = heading(threads=args.threads)
        found = (
            run_automl(args, row["data"], row["seed"])
            if row["way"] == "automl"
            else run_recipe(args, row["data"], row["seed"], row["way"])
        )
        done[key(row)] = row = {**row, **found, "machine": began}
        with args.out.open("a") as file:
            file.write(json.dumps(row) + "\n")
        print(f"{row['data']} seed {row['seed']} {row['way']}: CV {row['cv']}, test {row['test_accuracy']}, "
              f"{row['seconds']:.0f} s", file=sys.stderr, flush=True)  # fmt: skip
    more = f", automl with {args.automl}" if args.automl else ""
    note = f"{args.minutes:g} minutes a search, {args.folds} folds, {args.epochs} epochs{more}"
    print(heading(threads=args.threads, seeds=range(args.seeds), note=note))
    for data in args.data:
        rows = [done[key(row)] for row in wanted if row["data"] == data and key(row) in done]
        print(f"\n`{Path(data).name}`:\n\n{summarise(rows)}" if rows else f"\n`{data}`: not measured")


if __name__ == "__main__":
    main()
