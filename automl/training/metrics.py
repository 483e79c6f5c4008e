"""Metrics of a whole epoch or test set, by scikit-learn."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn import metrics
from sklearn.exceptions import UndefinedMetricWarning

Array = NDArray[Any]


def measure(name: str, y: Array, predicted: Array) -> float:
    """The metric `name` of `automl.racing.objective.METRICS`.

    In a classification `y` [n] are class indices and `predicted` [n, classes] probabilities, in a regression both are
    [n, outputs] in the targets' units. NaN where the metric is not defined, e.g. AUROC with one class only.
    """
    with warnings.catch_warnings():
        # A fold may lack a class; scikit-learn's answer for it is the documented one.
        warnings.simplefilter("ignore", category=UserWarning)
        warnings.simplefilter("ignore", category=UndefinedMetricWarning)
        return float(_MEASURES[name](y, predicted))


def _auroc(y: Array, probabilities: Array) -> float:
    """One class against the rest, averaged over the classes that occur (Hand and Till's macro average needs all)."""
    present = [c for c in np.unique(y) if 0 < (y == c).sum() < len(y)]
    if probabilities.shape[1] == 2:
        present = present[-1:]  # both ways are the same
    areas = [metrics.roc_auc_score(y == c, probabilities[:, c]) for c in present]
    return float(np.mean(areas)) if areas else float("nan")


def _log_loss(y: Array, probabilities: Array) -> float:
    probabilities = probabilities.astype(np.float64)
    probabilities /= probabilities.sum(1, keepdims=True)  # float32 sums to 1 within 1e-7, which scikit-learn minds
    return float(metrics.log_loss(y, probabilities, labels=np.arange(probabilities.shape[1])))


_MEASURES = {
    "log_loss": _log_loss,
    "accuracy": lambda y, p: metrics.accuracy_score(y, p.argmax(1)),
    "balanced_accuracy": lambda y, p: metrics.balanced_accuracy_score(y, p.argmax(1)),
    "macro_f1": lambda y, p: metrics.f1_score(y, p.argmax(1), average="macro"),
    "auroc": _auroc,
    "rmse": metrics.root_mean_squared_error,
    "mae": metrics.mean_absolute_error,
    "r2": lambda y, p: metrics.r2_score(y, p) if len(y) > 1 else float("nan"),
}
