"""How much each test sample moves a metric: its influence function on the test set.

The influence of sample i is the derivative of the metric in the sample's weight, times the number of samples, less
its mean. The sum of its squares over n^2 is the metric's squared standard error, as of a mean (the infinitesimal
jackknife: Efron and Tibshirani, 1993, 'An introduction to the bootstrap', chapter 21); for an AUROC it is that of
DeLong et al. (1988). Summed over groups first, it is the standard error where samples of one group are alike.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from automl.training.metrics import auroc_classes, label_losses, log_losses, log_odds, varied_labels

Array = NDArray[Any]
Floats = NDArray[np.float64]


def influence(name: str, y: Array, outputs: Array) -> Floats:
    """[n]: the influence of each sample on the metric `name`; arguments as those of `automl.training.metrics.measure`.

    Only where the metric is defined.
    """
    known = _OF_LABELS if y.ndim == 2 and name in _OF_LABELS else _INFLUENCES
    found: Floats = known[name](y, outputs)
    found -= found.mean()
    return found


def standard_error(influences: Floats, groups: Array | None = None) -> tuple[float, int]:
    """The metric's standard error, and its degrees of freedom. `groups` [n]: equal for samples that go together."""
    sums: Floats = influences
    if groups is not None:
        sums = np.bincount(np.unique(groups, return_inverse=True)[1], influences).astype(np.float64)
    count = len(sums)
    if count < 2:
        return float("inf"), 0
    return float(np.sqrt((sums**2).sum() * count / (count - 1)) / len(influences)), count - 1


def columns_of(name: str, y: Array, outputs: Array) -> Floats:
    """[n, c]: numbers by sample whose means determine the metric, by `of_means`; of the metrics that are losses."""
    if name == "log_loss":
        return (log_losses(y, outputs) if y.ndim == 1 else label_losses(y, outputs).mean(1))[:, None]
    y = y.astype(np.float64)
    errors: Floats = outputs - y
    if name == "mae":
        return np.abs(errors)
    squares: Floats = errors**2
    if name == "rmse":
        return squares
    centred = y - y.mean(0)  # R2: the spread about the mean is a difference of large numbers otherwise
    return np.concatenate([squares, centred, centred**2], axis=1)


def of_means(name: str, means: Floats) -> tuple[Floats, Floats]:
    """(the metric [...], its gradient [..., c]) from the means [..., c] of `columns_of`."""
    if name in ("log_loss", "mae"):
        return means.mean(-1), np.full(means.shape, 1 / means.shape[-1])
    if name == "rmse":
        roots = np.sqrt(means)
        return roots.mean(-1), 0.5 / np.maximum(roots, np.finfo(np.float64).tiny) / means.shape[-1]
    square, mean, second = np.split(means, 3, axis=-1)
    around, outputs = second - mean**2, square.shape[-1]
    slope = square / around**2 / outputs
    gradient = np.concatenate([-1 / around / outputs, -2 * mean * slope, slope], axis=-1)
    return (1 - square / around).mean(-1), gradient


def _smooth(name: str) -> Callable[[Array, Array], Floats]:
    def found(y: Array, outputs: Array) -> Floats:
        columns = columns_of(name, y, outputs)
        influences: Floats = columns @ of_means(name, columns.mean(0))[1]
        return influences

    return found


def _accuracy(y: Array, logits: Array) -> Floats:
    right: Floats = (logits.argmax(1) == y).astype(np.float64)
    return right


def _balanced_accuracy(y: Array, logits: Array) -> Floats:
    sizes = np.bincount(y, minlength=logits.shape[1])
    right = _accuracy(y, logits)
    recall = np.bincount(y, right, logits.shape[1]) / np.maximum(sizes, 1)
    found: Floats = (right - recall[y]) * len(y) / sizes[y] / (sizes > 0).sum()
    return found


def _macro_f1(y: Array, logits: Array) -> Floats:
    """F1 = 2 TP / (TP + FN + TP + FP): a ratio of means for each class."""
    said, classes = logits.argmax(1), logits.shape[1]
    right = (said == y).astype(np.float64)
    both = np.bincount(y, minlength=classes) + np.bincount(said, minlength=classes)
    f1 = 2 * np.bincount(y, right, classes) / np.maximum(both, 1)
    weight = len(y) / np.maximum(both, 1) / (both > 0).sum()
    found: Floats = 2 * right * weight[y] - f1[y] * weight[y] - f1[said] * weight[said]
    return found


def _auroc(y: Array, logits: Array) -> Floats:
    odds, classes = log_odds(logits), auroc_classes(y, logits.shape[1])
    return _mean([_one_auroc(y == number, odds[:, number]) for number in classes])


def _one_auroc(own: Array, odds: Array) -> Floats:
    """For a positive the share of the negatives below it, for a negative that of the positives above it."""
    found = np.zeros(len(own))
    for part, others, sign in ((own, ~own, 1), (~own, own, -1)):
        sorted_others = np.sort(sign * odds[others])
        scores = sign * odds[part]
        below = np.searchsorted(sorted_others, scores, "left") + np.searchsorted(sorted_others, scores, "right")
        share = below / 2 / len(sorted_others)
        found[part] = (share - share.mean()) * len(own) / part.sum()
    return found


def _f1_of_yes(own: Array, said: Array) -> Floats:
    """F1 = 2 TP / (TP + FN + TP + FP): a ratio of means."""
    both, right = max(1, own.sum() + said.sum()), own & said
    found: Floats = (2 * right - 2 * right.sum() / both * (own.astype(float) + said)) * len(own) / both
    return found


def _mean(influences: list[Floats]) -> Floats:
    """That on a mean of metrics, of those on each."""
    found: Floats = np.mean(influences, axis=0)
    return found


_OF_LABELS: dict[str, Callable[[Array, Array], Floats]] = {
    "log_loss": lambda y, logits: label_losses(y, logits).mean(1),
    "accuracy": lambda y, logits: ((logits > 0) == (y == 1)).mean(1),
    "subset_accuracy": lambda y, logits: ((logits > 0) == (y == 1)).all(1).astype(np.float64),
    "macro_f1": lambda y, logits: _mean([_f1_of_yes(*each) for each in zip(y.T == 1, logits.T > 0, strict=True)]),
    "auroc": lambda y, logits: _mean([_one_auroc(y[:, place] == 1, logits[:, place]) for place in varied_labels(y)]),
}


_INFLUENCES: dict[str, Callable[[Array, Array], Floats]] = {
    "accuracy": _accuracy,
    "balanced_accuracy": _balanced_accuracy,
    "macro_f1": _macro_f1,
    "auroc": _auroc,
    **{name: _smooth(name) for name in ("log_loss", "rmse", "mae", "r2")},
}
