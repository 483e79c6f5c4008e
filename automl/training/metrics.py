"""Metrics of a whole epoch or test set.

Those that a search needs in any case are one line of numpy each; the others are scikit-learn's, which is imported only
for them: that takes two seconds, in every worker.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def finite_or_none(value: float) -> float | None:
    """The value for JSON, which has no NaN."""
    return float(value) if math.isfinite(value) else None


def measure(name: str, y: Array, predicted: Array) -> float:
    """The metric `name` of `automl.racing.objective.METRICS`.

    In a classification `y` [n] are class indices and `predicted` [n, classes] probabilities, in a regression both are
    [n, outputs] in the targets' units. NaN where the metric is not defined, e.g. AUROC with one class only.
    """
    if name in _OUR_OWN:
        return float(_OUR_OWN[name](y, predicted))
    from sklearn.exceptions import UndefinedMetricWarning

    with warnings.catch_warnings():
        # A fold may lack a class; scikit-learn's answer for it is the documented one.
        warnings.simplefilter("ignore", category=UserWarning)
        warnings.simplefilter("ignore", category=UndefinedMetricWarning)
        return float(_SCIKIT_LEARNS[name](y, predicted))


def _auroc(y: Array, probabilities: Array) -> float:
    """One class against the rest, averaged over the classes that occur (Hand and Till's macro average needs all)."""
    from sklearn.metrics import roc_auc_score

    present = [c for c in np.unique(y) if 0 < (y == c).sum() < len(y)]
    if probabilities.shape[1] == 2:
        present = present[-1:]  # both ways are the same
    areas = [roc_auc_score(y == c, probabilities[:, c]) for c in present]
    return float(np.mean(areas)) if areas else float("nan")


def _log_loss(y: Array, probabilities: Array) -> float:
    from sklearn.metrics import log_loss

    probabilities = probabilities.astype(np.float64)
    probabilities /= probabilities.sum(1, keepdims=True)  # float32 sums to 1 within 1e-7, which scikit-learn minds
    return float(log_loss(y, probabilities, labels=np.arange(probabilities.shape[1])))


def _balanced_accuracy(y: Array, probabilities: Array) -> float:
    from sklearn.metrics import balanced_accuracy_score

    return float(balanced_accuracy_score(y, probabilities.argmax(1)))


def _macro_f1(y: Array, probabilities: Array) -> float:
    from sklearn.metrics import f1_score

    return float(f1_score(y, probabilities.argmax(1), average="macro"))


def _r2(y: Array, predicted: Array) -> float:
    from sklearn.metrics import r2_score

    return float(r2_score(y, predicted)) if len(y) > 1 else float("nan")


_OUR_OWN: dict[str, Callable[[Array, Array], Any]] = {
    "accuracy": lambda y, p: (p.argmax(1) == y).mean(),
    "rmse": lambda y, p: np.sqrt(np.square(np.subtract(p, y, dtype=np.float64)).mean(0)).mean(),
    "mae": lambda y, p: np.abs(np.subtract(p, y, dtype=np.float64)).mean(),
}
_SCIKIT_LEARNS: dict[str, Callable[[Array, Array], float]] = {
    "log_loss": _log_loss,
    "balanced_accuracy": _balanced_accuracy,
    "macro_f1": _macro_f1,
    "auroc": _auroc,
    "r2": _r2,
}
