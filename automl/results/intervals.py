"""95 % intervals of the metrics on a test set: how far a score may be off because the test set is not larger.

Wilson's interval for the accuracy (Wilson, 1927, 'Probable inference'; recommended by Brown, Cai and DasGupta, 2001),
for all others the percentile bootstrap over the test samples (Efron and Tibshirani, 1993, 'An introduction to the
bootstrap', chapter 13). Both are SciPy's. Samples count as independent; for those of one group, which are not, the
interval is too narrow.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Statistic = Callable[[Array], Array]
"""The metric on each of several resamples: sample numbers [b, t] -> [b]."""

LEVEL = 0.95
RESAMPLES = 1000
SOURCE = "accuracy: Wilson; others: percentile bootstrap over the test samples"
_BATCH = 2_000_000  # numbers that a batch of resamples holds, so that memory stays bounded
_RANKED = 2_000_000  # numbers that may be ranked for an AUROC: a few seconds at most
_FEWEST = 200  # resamples


def interval(name: str, y: Array, predicted: Array) -> tuple[float, float] | None:
    """The 95 % interval of the metric `name`; the arrays are those of `automl.training.metrics.measure`.

    The same data give the same interval. None for fewer than two samples and where the metric is not defined.
    """
    from scipy import stats

    if len(y) < 2:
        return None
    if name == "accuracy":
        right = int((predicted.argmax(1) == y).sum())
        found = stats.binomtest(right, len(y)).proportion_ci(LEVEL, method="wilson")
        return float(found.low), float(found.high)
    resamples = RESAMPLES
    if name == "auroc":
        resamples = min(RESAMPLES, max(_FEWEST, _RANKED // predicted.size))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", category=stats.DegenerateDataWarning)  # the answer is NaN
        result = stats.bootstrap(
            (np.arange(len(y)),),
            lambda index, axis: statistic(name, y, predicted)(index),
            n_resamples=resamples,
            batch=max(1, _BATCH // (predicted.size if name in _BY_CLASS else y.size)),
            vectorized=True,
            confidence_level=LEVEL,
            method="percentile",
            rng=np.random.default_rng(0),
        ).confidence_interval
    low, high = float(result.low), float(result.high)
    return (low, high) if np.isfinite([low, high]).all() else None


def statistic(name: str, y: Array, predicted: Array) -> Statistic:
    """The metric `name` as a function of resamples [..., t] of the sample numbers; what `measure` says of each.

    By sums over samples, for a thousand calls of scikit-learn would take seconds.
    """
    if name == "log_loss":
        chosen = predicted[np.arange(len(y)), y].astype(np.float64) / predicted.sum(1, dtype=np.float64)
        losses = -np.log(np.maximum(chosen, np.finfo(np.float64).eps))  # clipped as scikit-learn does
        return lambda index: losses[index].mean(-1)
    if name in _BY_CLASS:
        return lambda index: _BY_CLASS[name](np.atleast_2d(index), y, predicted)
    y, predicted = y.astype(np.float64), predicted.astype(np.float64)
    errors = y - predicted
    if name == "mae":
        return lambda index: np.abs(errors).mean(1)[index].mean(-1)
    if name == "rmse":
        return lambda index: np.sqrt((errors**2)[index].mean(-2)).mean(-1)
    if name == "r2":
        return lambda index: _r2(errors[index], y[index])
    raise ValueError(f"no metric is called {name}")


def _r2(errors: Array, y: Array) -> Array:
    around = ((y - y.mean(-2, keepdims=True)) ** 2).sum(-2)
    with np.errstate(divide="ignore", invalid="ignore"):
        return (1 - (errors**2).sum(-2) / around).mean(-1)  # type: ignore[no-any-return]


def _counts(index: Array, y: Array, predicted: Array) -> tuple[Array, Array, Array]:
    """By resample and class [b, classes]: how often it was right, how often it was the truth, how often predicted."""
    classes = predicted.shape[1]
    label = predicted.argmax(1)
    first = np.arange(len(index))[:, None] * classes

    def count(numbers: Array, weights: Array | None = None) -> Array:
        flat = (numbers[index] + first).ravel()
        weighed = None if weights is None else weights[index].ravel()
        return np.bincount(flat, weighed, len(index) * classes).reshape(-1, classes)

    return count(y, (label == y).astype(np.float64)), count(y), count(label)


def _balanced_accuracy(index: Array, y: Array, predicted: Array) -> Array:
    """The mean recall of the classes that occur."""
    right, truth, _ = _counts(index, y, predicted)
    recall = right / np.maximum(truth, 1)
    return recall.sum(1) / (truth > 0).sum(1)  # type: ignore[no-any-return]


def _macro_f1(index: Array, y: Array, predicted: Array) -> Array:
    """The mean F1 of the classes that occur or are predicted."""
    right, truth, said = _counts(index, y, predicted)
    f1 = 2 * right / np.maximum(truth + said, 1)
    return f1.sum(1) / (truth + said > 0).sum(1)  # type: ignore[no-any-return]


def _auroc(index: Array, y: Array, predicted: Array) -> Array:
    """One class against the rest by the sum of ranks (Mann and Whitney), the mean over the classes that occur."""
    from scipy.stats import rankdata

    areas = []
    for number in range(predicted.shape[1]) if predicted.shape[1] > 2 else [1]:
        own = (y == number)[index]
        positive = own.sum(1)
        negative = own.shape[1] - positive
        ranks = np.where(own, rankdata(predicted[:, number][index], axis=1), 0).sum(1)
        with np.errstate(divide="ignore", invalid="ignore"):
            areas.append((ranks - positive * (positive + 1) / 2) / (positive * negative))
    found = np.array(areas)
    defined = np.isfinite(found)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(defined, found, 0).sum(0) / defined.sum(0)  # type: ignore[no-any-return]


_BY_CLASS: dict[str, Callable[[Array, Array, Array], Array]] = {
    "balanced_accuracy": _balanced_accuracy,
    "macro_f1": _macro_f1,
    "auroc": _auroc,
}
