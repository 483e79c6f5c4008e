"""The gap between cross-validation and the test: whether it is more than chance explains.

Both are estimates. The interval of their difference is made of the two intervals (Zou and Donner, 2008, 'Construction
of confidence intervals about effect measures'): the test score's, and that of the mean over the folds, whose variance
is Nadeau and Bengio's. That one counts the luck of a single fit too, which the final model has as well.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from automl.conclude.fold_errors import mean_error
from automl.racing.objective import Objective


def gap(
    objective: Objective,
    scores: Sequence[float],
    folds: int,
    test: float,
    ends: tuple[float, float] | None,
    relative: float,
    *,
    learnt: bool = True,
    averaged: bool = False,
) -> dict[str, Any]:
    """The gap in figures and in words: `test_details.gap` of the leaderboard's JSON.

    Args:
        objective: what was optimised.
        scores: the winner's by fold, repeats included.
        folds: K of the cross-validation.
        test: the test score, and `ends` its interval; without one nothing is judged.
        relative: how many times as large as the validation samples of all `scores` the test set is, in samples or
            groups; a repeat has no new ones.
        learnt: whether the model is better than guessing: that two coins agree is no praise.
        averaged: whether it is the networks of several folds, and not one that was trained on all of them.
    """
    mean = math.fsum(scores) / len(scores)
    difference = test - mean
    interval = _interval(scores, mean, folds, test, ends, relative) if ends is not None else None
    within = interval[0] <= 0 <= interval[1] if interval else None
    said = "cross-validation" if len(scores) > 1 else "a single fold"
    words = f"{said} said {objective.name} {mean:.4g}, the test {test:.4g}"
    if interval:
        low, high = interval
        words += f" ({_signed(difference)}; by chance {_signed(low - difference)} to {_signed(high - difference)})"
        if within:
            words += ": they agree" if learnt and len(scores) > 1 else ": no further apart than chance explains"
        else:
            worse = objective.cost(test) > objective.cost(mean)
            words += f": the test is {'worse' if worse else 'better'} than chance explains"
            why = "averages those of the folds" if averaged else "is trained on more samples than those of the folds"
            words += "" if worse else f"; the final model {why}"
    return {
        "metric": objective.name,
        "cross_validated": mean,
        "test": test,
        "difference": difference,
        "interval": list(interval) if interval else None,
        "within": within,
        "words": words,
    }


def _interval(
    scores: Sequence[float], mean: float, folds: int, test: float, ends: tuple[float, float], relative: float
) -> tuple[float, float]:
    """The 95 % interval of test - mean. Fold scores may be alike by chance: as uncertain as so many samples are."""
    low, high = test - ends[0], ends[1] - test
    spread = mean_error(scores, folds, 0.95) if len(scores) > 1 else 0.0
    size = math.sqrt(relative)
    return (
        test - mean - math.hypot(low, max(spread, high * size)),
        test - mean + math.hypot(high, max(spread, low * size)),
    )


def _signed(value: float) -> str:
    """With two digits that count, and without an exponent where it has few places: `+120`, `-0.0031`."""
    return f"{float(f'{value:.2g}'):+,g}"
