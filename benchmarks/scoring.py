"""Is the score too good, does it rank configs well, and how often does the overfitting rule take noise for overfitting?

    python benchmarks/scoring.py TABLE.npz [TABLE.npz ...]

Prints three tables. `best epoch` is the score that most people take: the best epoch's fold mean.

1. On recorded curves. Of five folds one chooses the third of the configs that is looked at, K others give the score and
   the epoch for which a model would be trained, and the rest, which took no part in either, say what that config comes
   to at that epoch: the truth. All assignments of the folds are gone through, so that hard folds cancel. `bias` is
   (score - truth) / truth with its standard error over the configs. Of all configs, `chosen` is the truth of the one
   with the best score, `first ten` that of the ten best, and the rank correlation is that of score and truth.
2. On made curves, whose truth is known: the expected loss at the epoch for which a model would be trained.
3. The overfitting rule on flat validation losses with noise, while the train loss falls.

Where greater is better, 1 - metric stands in for a loss.
"""

from __future__ import annotations

import itertools
import json
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from machine import heading
from machine import table as markdown
from numpy.typing import NDArray
from scipy.stats import spearmanr

from automl.racing.curves import TRAIN_LOSS, VALIDATION_LOSS, VALIDATION_METRIC, Curves
from automl.racing.objective import Objective
from automl.racing.overfitting import OverfittingRule, default_patience, verdict_at

Array = NDArray[np.float64]
Score = Callable[[Array], tuple[float, int]]
"""The score of errors [fold, epoch], and the epoch (from 1) for which a model would be trained."""

Make = Callable[[np.random.Generator, int, int], tuple[Array, Array]]
"""Makes (errors [fold, epoch], expected errors [epoch]) of so many folds and epochs."""

LOSS = Objective()
TRAININGS = 300  # made ones of each kind
TEN = 10


def best_epoch(errors: Array) -> tuple[float, int]:
    """The lowest fold mean."""
    mean = errors.mean(axis=0)
    return float(mean.min()), int(mean.argmin()) + 1


def automls(errors: Array) -> tuple[float, int]:
    """`Curves.summary`."""
    summary = Curves.of(as_values(errors), LOSS).summary()
    assert summary is not None
    return summary.score, summary.best_epoch


def as_values(validation: Array) -> Array:
    """The curves [fold, epoch, 4] of these validation losses; the train loss falls all along."""
    values = np.zeros((*validation.shape, 4))
    values[..., TRAIN_LOSS] = np.linspace(1, 0.1, validation.shape[1])
    values[..., VALIDATION_LOSS] = validation
    return values


SCORES: dict[str, Score] = {"best epoch": best_epoch, "**automl's**": automls}


def figures_of(errors: Array, folds: int) -> Iterator[tuple[str, tuple[float, ...]]]:
    """Of each kind of score (bias, its standard error, chosen, first ten, rank correlation), on `folds` folds.

    `errors` [config, fold, epoch] are those of one table.
    """
    count, every = len(errors), range(errors.shape[1])
    for title, score in SCORES.items():
        difference, truth = np.zeros(count), np.zeros(count)
        chosen, ten, ranks = [], [], []
        for chooser in every:
            looked_at = np.argsort([score(config[[chooser]])[0] for config in errors])[: count // 3]
            for scored in itertools.combinations([fold for fold in every if fold != chooser], folds):
                rest = [fold for fold in every if fold not in (chooser, *scored)]
                found = [score(config[list(scored)]) for config in errors]
                claimed = np.array([claim for claim, _ in found])
                real = np.array([errors[i, rest, epoch - 1].mean() for i, (_, epoch) in enumerate(found)])
                difference[looked_at] += (claimed - real)[looked_at]
                truth[looked_at] += real[looked_at]
                chosen.append(real[claimed.argmin()])
                ten.append(real[np.argsort(claimed)[:TEN]].mean())
                ranks.append(spearmanr(claimed, real).statistic)
        bias = difference.sum() / truth.sum()
        error = np.sqrt(((difference - bias * truth) ** 2).sum()) / truth.sum()
        yield title, (bias, error, float(np.mean(chosen)), float(np.mean(ten)), float(np.mean(ranks)))


def annealed(rng: np.random.Generator, folds: int, epochs: int) -> tuple[Array, Array]:
    """A training whose learning rate goes to 0, and the noise with it."""
    e = np.arange(epochs)
    expected = rng.uniform(0.1, 0.5) * (1 + 3 * np.exp(-e / rng.uniform(0.1, 0.4) / epochs))
    return _with_noise(rng, expected, folds, np.linspace(0.15, 0.01, epochs)), expected


def flat(rng: np.random.Generator, folds: int, epochs: int) -> tuple[Array, Array]:
    """A training that has learnt all that it will, and whose learning rate stays high."""
    expected = rng.uniform(0.1, 0.5) * (1 + 3 * np.exp(-np.arange(epochs) / 2))
    return _with_noise(rng, expected, folds, np.full(epochs, 0.15)), expected


def overfitting(rng: np.random.Generator, folds: int, epochs: int) -> tuple[Array, Array]:
    """A training whose loss rises from somewhere on, at most by twice its level, in each fold from elsewhere on."""
    e, turn, slope = np.arange(epochs), rng.uniform(0.15, 0.7) * epochs, rng.uniform(0.2, 1.0) * 2 / epochs
    falling, level = 3 * np.exp(-e / 3), rng.uniform(0.1, 0.5)

    def turned_at(turns: Array) -> Array:
        return level * (1 + falling + slope * np.maximum(0, e - turns[:, None]))

    spread = 0.1 * epochs
    expected = turned_at(turn + spread * rng.standard_normal(400)).mean(axis=0)
    noise = 1 + 0.05 * rng.standard_normal((folds, epochs))
    return turned_at(turn + spread * rng.standard_normal(folds)) * noise * _fold_levels(rng, folds), expected


def _fold_levels(rng: np.random.Generator, folds: int) -> Array:
    return 1 + 0.1 * rng.standard_normal((folds, 1))


def _with_noise(rng: np.random.Generator, expected: Array, folds: int, noise: Array) -> Array:
    return expected * _fold_levels(rng, folds) * (1 + noise * rng.standard_normal((folds, len(noise))))


def made_figures(make: Make, folds: int) -> tuple[list[float], list[float]]:
    """By kind of score, the bias, and how much worse the epoch is than the best one; both as shares."""
    rng = np.random.default_rng(0)
    sums: dict[str, Array] = defaultdict(lambda: np.zeros(3))
    for _ in range(TRAININGS):
        errors, expected = make(rng, folds, 20)
        for title, score in SCORES.items():
            claimed, epoch = score(errors)
            sums[title] += claimed, expected[epoch - 1], expected.min()
    biases = [float(claimed / truth - 1) for claimed, truth, _ in sums.values()]
    return biases, [float(truth / best - 1) for _, truth, best in sums.values()]


def false_alarms(noise: float, folds: int, epochs: int) -> tuple[str, ...]:
    """One row: the share of trainings in which the rule fires, without and with averages and noise."""
    rng, rule = np.random.default_rng(0), OverfittingRule.of(epochs)
    plain = fired = 0
    for _ in range(TRAININGS):
        validation = 1 + noise * rng.standard_normal((folds, epochs))
        mean = validation.mean(axis=0)
        plain += any(plainly_risen(mean[:epoch], default_patience(epochs)) for epoch in range(1, epochs))
        curves = Curves.of(as_values(validation))
        fired += any(verdict_at(curves, rule, folds, epoch) is not None for epoch in range(1, epochs))
    return str(epochs), str(folds), f"{noise:.0%}", f"{plain / TRAININGS:.1%}", f"{fired / TRAININGS:.1%}"


def plainly_risen(curve: Array, patience: int) -> bool:
    """More than 5 % above the lowest epoch in each of the last ones: what the rule was at first."""
    return curve.size - 1 - curve.argmin() >= patience and bool((curve[-patience:] > 1.05 * curve.min()).all())


def main() -> None:
    if len(sys.argv) < 2 or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    print(heading(seeds=[0]) + "\n")
    rows = []
    for path in map(Path, sys.argv[1:]):
        with np.load(path, allow_pickle=False) as file:
            values, about = file["curves"].astype(np.float64), json.loads(str(file["about"]))
        measures = {"log_loss": values[..., VALIDATION_LOSS]}
        measures[about.get("metric", "accuracy")] = 1 - values[..., VALIDATION_METRIC]
        for measure, errors in measures.items():
            rows += [
                (
                    path.stem,
                    measure,
                    folds,
                    title,
                    f"{bias:+.1%} ± {error:.1%}",
                    f"{chosen:.4f}",
                    f"{ten:.4f}",
                    f"{rank:.2f}",
                )
                for folds in (1, 2, 3)
                for title, (bias, error, chosen, ten, rank) in figures_of(errors, folds)
            ]
    print(markdown(["table", "measure", "K", "score", "bias", "chosen", "first ten", "rank correlation"], rows))
    print()
    titles = [f"{what}, {title}" for what in ("bias", "lost by the epoch") for title in SCORES]
    made = []
    for make, folds in itertools.product((annealed, flat, overfitting), (1, 2, 3, 5, 10)):
        biases, losses = made_figures(make, folds)
        made.append((make.__name__, folds, *(f"{b:+.1%}" for b in biases), *(f"{lost:.1%}" for lost in losses)))
    print(markdown(["made curves", "K", *titles], made))
    print()
    alarms = [
        false_alarms(noise, *size) for size in ((1, 12), (1, 20), (5, 20), (1, 50)) for noise in (0.02, 0.05, 0.1)
    ]
    print(markdown(["epochs", "K", "noise", "fires: each epoch above the lowest", "fires: **automl's rule**"], alarms))


if __name__ == "__main__":
    main()
