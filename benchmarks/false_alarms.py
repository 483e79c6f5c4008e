"""How often a search would say "worse (or better) than chance explains" where nothing is wrong, by simulation.

    python benchmarks/false_alarms.py --runs 1000

Cross-validation and test are drawn from one population, and nothing is trained: the scores of five folds and of the
test set are those of samples that are alike. So each alarm is false. In the situations with groups each group has a
level of its own. The scores, the intervals and the comparison are the product's (`automl.training.metrics`,
`automl.models.intervals`, `automl.conclude.gap`). `before`: the alarms of asking whether the cross-validated score lies
within the interval that the test has without groups.

The second table: how often the product drops a finalist after a fresh repeat (`far_behind` in
`automl/conclude/selection.py`): one that is as good as the others, or better by half a standard deviation of a fold
score. The scores of a finalist's folds are correlated, by 1/K as Nadeau and Bengio assume of folds that share training
samples, or not at all.

Prints two tables in Markdown.
"""

from __future__ import annotations

import argparse
from typing import Any

import machine
import numpy as np
from coverage import classified
from optuna.trial import create_trial

from automl.conclude.gap import gap
from automl.conclude.selection import Finalist, far_behind
from automl.models.intervals import interval
from automl.racing.curves import Curves, FoldEpoch
from automl.racing.objective import Objective
from automl.training.metrics import measure

K = 5
POPULATION = classified([0.1] * 10, 4.2, 1.2)
LEVELS = 1.0  # of groups: the standard deviation of what is added to each logit

# samples of cross-validation, of the test, metric; or groups in both, and samples of each
SITUATIONS: list[tuple[str, int, int, str, int]] = [
    ("1437 / 360, log loss", 1437, 360, "log_loss", 1),
    ("500 / 500, log loss", 500, 500, "log_loss", 1),
    ("160 / 40, log loss", 160, 40, "log_loss", 1),
    ("160 / 40, balanced accuracy", 160, 40, "balanced_accuracy", 1),
    ("500 / 5000, log loss", 500, 5000, "log_loss", 1),
    ("500 / 5000, accuracy", 500, 5000, "accuracy", 1),
    ("48 / 12 groups of 30, log loss", 48, 12, "log_loss", 30),
    ("120 / 30 groups of 12, log loss", 120, 30, "log_loss", 12),
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=1000, help="of each situation")
    args = parser.parse_args()
    print(machine.heading(threads=1, seeds=[0], note=f"{args.runs} runs of each situation"), flush=True)
    print(f"\n{machine.table(['cross-validation / test', 'before', 'false alarms'], [])}", flush=True)
    for title, *situation in SITUATIONS:
        before, now = alarms(*situation, args.runs)
        print(f"| {title} | {before:.3f} | {now:.3f} |", flush=True)
    columns = ["K", "finalists", "equal, independent folds", "equal, folds that share", "the best, folds that share"]
    print(f"\n{machine.table(columns, [])}", flush=True)
    for folds, count in ((2, 3), (2, 5), (3, 3), (5, 3), (5, 5), (10, 3)):
        shares = [
            dropped(folds, count, ahead, correlation, 4 * args.runs)
            for ahead, correlation in ((0.0, 0.0), (0.0, 1 / folds), (0.5, 1 / folds))
        ]
        print(f"| {folds} | {count} | {' | '.join(f'{share:.3f}' for share in shares)} |", flush=True)


def alarms(validated: int, tested: int, name: str, size: int, runs: int) -> tuple[float, float]:
    """The share of runs with a false alarm: by the test's interval alone, and by the product."""
    rng = np.random.default_rng(0)
    objective, before, now = Objective.of("classification", name), 0, 0
    for _ in range(runs):
        y, logits, groups = drawn(rng, validated, size)
        truth, outputs, test_groups = drawn(rng, tested, size)
        scores = [measure(name, y[groups % K == fold], logits[groups % K == fold]) for fold in range(K)]
        test = measure(name, truth, outputs)
        alone = interval(name, truth, outputs)
        ends = alone if size == 1 else interval(name, truth, outputs, test_groups)
        before += alone is not None and not alone[0] <= np.mean(scores) <= alone[1]
        now += gap(objective, scores, K, test, ends, tested / validated)["within"] is False
    return before / runs, now / runs


def drawn(rng: np.random.Generator, groups: int, size: int) -> tuple[Any, Any, Any]:
    """Classes, logits and groups of samples; those of one group share a level."""
    y, logits = POPULATION(rng, groups * size)
    group = np.repeat(np.arange(groups), size)
    levels = LEVELS * rng.normal(size=(groups, logits.shape[1])) if size > 1 else np.zeros((groups, 1))
    return y, logits + levels[group], group


def dropped(folds: int, count: int, ahead: float, correlation: float, runs: int) -> float:
    """The share of runs in which the first finalist, `ahead` of the others, is dropped after one fresh repeat."""
    rng = np.random.default_rng(0)
    lost = 0
    for _ in range(runs):
        own = rng.normal(size=(count, 1)) * np.sqrt(correlation)
        scores = own + rng.normal(size=(count, 2 * folds)) * np.sqrt(1 - correlation)
        scores[0] -= ahead
        finalists = [finalist(number, each, folds) for number, each in enumerate(scores)]
        lost += far_behind(finalists, Objective(), 2 * folds, folds)[0]
    return lost / runs


def finalist(number: int, scores: Any, folds: int) -> Finalist:
    """One whose log losses by fold are these, its own and then fresh ones."""
    trial = create_trial(value=0.0)
    trial.number = number
    curves = Curves(folds, 1)
    curves.add(FoldEpoch(fold, 1, 0.0, 0.0, float(scores[fold]), 0.0) for fold in range(folds))
    return Finalist(trial, curves, tuple((float(score), 0.0) for score in scores[folds:]))


if __name__ == "__main__":
    main()
