"""Does it help to score the finalists again on fresh folds? Overtuning with and without it.

    python benchmarks/overtuning.py --seeds 10

For each seed one short search on digits, half of the data as the test set. Then every finalist is fitted `--refits`
times, with other seeds, and tested, which a search never does; L is its mean test log loss. `by score` is the finalist
with the best score on the search's own folds, `rescored` the one with the best mean over these and the fresh ones,
`winner` the one that the search chose, here with `prefer="small"`: of those within a standard error of `rescored` the
smallest network. Relative overtuning is (L - best) / (worst - best), with L of the chosen one, best and worst of the
finalists: 0 is the best choice, 1 the worst (after Schneider, Bischl and Feurer, 2025, 'Overtuning in hyperparameter
optimization', among finalists instead of a search's incumbents).

Prints a table in Markdown. A seed's result is kept in `--out`; called again with it, only missing seeds are run.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import tempfile
from pathlib import Path
from typing import Any

import torch
from refits import open_study, refitted

import automl
from automl.conclude.selection import as_finalist
from automl.results.run import Run

COLUMNS = ("by score", "rescored", "winner")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--trials", type=int, default=10)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--folds", type=int, default=3)
    parser.add_argument("--finalists", type=int, default=3)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--refits", type=int, default=1, help="of each finalist, to be tested")
    parser.add_argument("--test-fraction", type=float, default=0.5, help="of the data; the less is left, the more luck")
    parser.add_argument("--out", type=Path, help="where the results of the seeds are kept [a folder that is removed]")
    args = parser.parse_args()
    budget = {name: getattr(args, name) for name in ("trials", "epochs", "folds", "finalists", "repeats")}
    seeds = range(args.first_seed, args.first_seed + args.seeds)
    budget |= {"refits": args.refits, "test_fraction": args.test_fraction}
    print(f"{describe_machine()}; seeds {seeds[0]} to {seeds[-1]}; {budget}\n", flush=True)
    print("| seed | finalists | best test | worst test | by score | rescored | winner | fold-epochs | and fresh |")
    print("|---|---|---|---|---|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as temporary:
        found = [remembered(seed, budget, args.out or Path(temporary)) for seed in seeds]
    print()
    print_summary(found)


def remembered(seed: int, budget: dict[str, Any], folder: Path) -> dict[str, Any]:
    """A seed's result, run now or read from the folder; prints its line."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"seed-{seed}.json"
    if not path.exists():
        with tempfile.TemporaryDirectory() as place:
            path.write_text(json.dumps(one(seed, budget, Path(place))))
    result: dict[str, Any] = json.loads(path.read_text())
    tests = list(result["tests"].values())
    numbers = [min(tests), max(tests), *(result["tests"][result[name]] for name in COLUMNS)]
    shown = [str(seed), str(len(tests)), *(f"{n:.4f}" for n in numbers), *map(str, result["cost"])]
    print(f"| {' | '.join(shown)} |", flush=True)
    return result


def one(seed: int, budget: dict[str, Any], place: Path) -> dict[str, Any]:
    """One search; the mean test log loss of every finalist, by its number, and which of them was chosen."""
    budget = dict(budget)
    refits = budget.pop("refits")
    run = automl.search(
        "digits", out=place / "run", space="smoke", seed=seed, prefer="small", device="cpu", threads=1, **budget
    )
    complete = [row["number"] for row in run.leaderboard() if row["state"] == "COMPLETE"][: budget["finalists"]]
    totals = run.summary["totals"]
    return {
        "tests": {number: test_loss(run, number, refits) for number in complete},
        "by score": str(complete[0]),
        "rescored": str(best_mean(run.leaderboard(), complete)),
        "winner": str(run.summary["winner"]),
        "parameters": {row["number"]: row["parameters"] for row in run.leaderboard() if row["number"] in complete},
        "scores": {number: fold_scores(run, number) for number in complete},
        "cost": [totals["fold_epochs"], totals["fold_epochs_rescoring"]],
    }


def best_mean(rows: list[dict[str, Any]], finalists: list[int]) -> int:
    """The finalist with the best mean of those that were scored on all fresh folds."""
    scored = [row for row in rows if row["number"] in finalists and row["rescored"]]
    most = max(row["rescored"]["folds"] for row in scored)
    last = [row for row in scored if row["rescored"]["folds"] == most]
    return int(min(last, key=lambda row: row["rescored"]["mean"])["number"])


def test_loss(run: Run, trial: int, refits: int) -> float:
    """The mean test log loss of a trial's config, fitted again and again."""
    return statistics.mean(scores["log_loss"] for scores in refitted(run, trial, refits))


def fold_scores(run: Run, trial: int) -> list[float]:
    """A finalist's scores: of its own folds, then of the fresh ones."""
    study = open_study(run)
    finalist = as_finalist(study, run.folder, run.record.objective, trial)
    fresh = finalist.trial.rescored.fresh if finalist.trial.rescored else ()
    return [*map(float, finalist.scores()[:, 0]), *(score for score, _ in fresh)]


def print_summary(found: list[dict[str, Any]]) -> None:
    print("| choice | relative overtuning, mean | worse than the best finalist | mean test log loss |")
    print("|---|---|---|---|")
    for name in COLUMNS:
        relative, missed, losses = [], 0, []
        for result in found:
            tests = list(result["tests"].values())
            loss, best, worst = result["tests"][result[name]], min(tests), max(tests)
            relative.append((loss - best) / (worst - best) if worst > best else 0.0)
            missed += loss > best
            losses.append(loss)
        share = f"{missed} of {len(found)}"
        print(f"| {name} | {statistics.mean(relative):.3f} | {share} | {statistics.mean(losses):.4f} |")
    best = statistics.mean(min(result["tests"].values()) for result in found)
    print(f"| the best finalist | 0 | 0 of {len(found)} | {best:.4f} |")


def describe_machine() -> str:
    name = platform.processor() or platform.machine()
    return f"{name}, torch {torch.__version__}, Python {platform.python_version()}, automl {automl.__version__}"


if __name__ == "__main__":
    main()
