"""Whether the final model is better than guessing, by cross-validation and in the test."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import NormalDist
from typing import Any

import numpy as np

from automl.conclude.fold_errors import mean_error
from automl.models.influence import influence, standard_error
from automl.models.test_predictions import Array, Predictions
from automl.racing.objective import METRICS, Objective
from automl.training.guessing import HOW
from automl.training.metrics import finite_or_none, measure

SURE_IN_TEST, SURE_IN_FOLDS = 0.95, 0.99
"""One-sided levels. Of the folds more is asked: the winner was picked by them."""

REMEDY = "try more time, trials or epochs, another search space, or look at the labels"


def judge(
    objective: Objective,
    scores: Sequence[float],
    guesses: Sequence[float],
    folds: int,
    tested: Predictions,
    guessed: Array,
    groups: Array | None = None,
) -> dict[str, Any]:
    """Compares the model with guessing on the same folds and on the same test samples.

    It is better where it is so in both, and in one of them by more than chance explains.

    Args:
        objective: what was optimised.
        scores: the winner's by fold, and `guesses` those of guessing.
        folds: K of the cross-validation.
        tested: the model's predictions on the test set.
        guessed: the outputs of guessing there.
        groups: equal for test samples that go together.

    Returns:
        `{"better": BOOL, "test": {METRIC: VALUE}, "words": TEXT}`: what guessing scores on the test set, and a sentence
        where the model is not better, else "".
    """
    name, sign = objective.name, -objective.cost(1.0)
    y, outputs = tested.measured
    guessed = tested.scaled(guessed)
    test, other = measure(name, y, outputs), measure(name, y, guessed)
    by_fold = sign * (np.asarray(scores) - np.asarray(guesses))
    ahead, sure = bool(by_fold.mean() > 0), False
    if len(by_fold) > 1:
        sure = bool(by_fold.mean() > mean_error(by_fold, folds, 2 * SURE_IN_FOLDS - 1))
    if np.isfinite([test, other]).all():
        gained = sign * (test - other)
        moved = influence(name, y, outputs) - influence(name, y, guessed)
        sure |= bool(gained > NormalDist().inv_cdf(SURE_IN_TEST) * standard_error(moved, groups)[0])
        ahead &= bool(gained > 0)
    better = ahead and sure
    how, where = HOW[tested.task], "by cross-validation" if len(by_fold) > 1 else "on a single fold"
    words = (
        f"no better than guessing{', as far as these data tell' if ahead else ''}: {name} {np.mean(scores):.4g} "
        f"{where} and {test:.4g} in the test, against {np.mean(guesses):.4g} and {other:.4g} by {how} alone; {REMEDY}"
    )
    known = {each: finite_or_none(measure(each, y, guessed)) for each in METRICS[tested.task]}
    return {"better": better, "test": known, "words": "" if better else words}
