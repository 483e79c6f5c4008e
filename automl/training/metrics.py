"""Metrics of a whole epoch or test set: each is defined here, and nowhere else.

Classifications are measured by logits, in float64: probabilities in float32 round a sure answer to 1, and with it go
the order that AUROC looks at and the losses of sure mistakes. Where scikit-learn has the metric it is scikit-learn's,
imported only for that: it takes two seconds, in every worker.
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


def measure(name: str, y: Array, outputs: Array, deviations: Array | None = None) -> float:
    """The metric `name` of `automl.racing.objective.METRICS`.

    In a classification `y` [n] are class indices and `outputs` [n, classes] logits, whose softmax are the
    probabilities (the logarithms of probabilities are logits, too); in a multi-label one `y` [n, labels] are 0 and 1,
    and `outputs` [n, labels] logits, whose sigmoids are the probabilities; in a regression both are [n, outputs] in the
    targets' units. NaN where the metric is not defined, e.g. AUROC with one class only.

    Of labels, log loss, accuracy (1 - Hamming loss), F1 of yes and AUROC (of those of which there are both) are means
    over the labels; subset accuracy, scikit-learn's `accuracy_score`, is the share of samples that are right in all.

    Of several outputs it is the mean, scikit-learn's `multioutput="uniform_average"`. As their units may differ, RMSE
    and MAE are of the outputs divided by their `deviations` [outputs], see `Dataset.deviations`: what guessing the mean
    scores is then about 1 in each, and none drowns another. This is the average relative RMSE of Spyromitros-Xioufis
    et al. (2016), 'Multi-target regression via input space expansion', section 5.1, with one deviation for all samples,
    so that a fold in which a target hardly varies has a score as well. R2 is the same in any unit.
    """
    y, outputs = in_deviations(y, deviations), in_deviations(outputs, deviations)
    if y.ndim == 2 and name in _OF_LABELS:
        return float(_OF_LABELS[name](y == 1, outputs.astype(np.float64)))
    if name in _OUR_OWN:
        return float(_OUR_OWN[name](y, outputs))
    from sklearn.exceptions import UndefinedMetricWarning

    with warnings.catch_warnings():
        # A fold may lack a class; scikit-learn's answer for it is the documented one.
        warnings.simplefilter("ignore", category=UserWarning)
        warnings.simplefilter("ignore", category=UndefinedMetricWarning)
        return float(_SCIKIT_LEARNS[name](y, outputs))


def in_deviations(values: Array, deviations: Array | None) -> Array:
    """Targets or predictions [n, outputs] in standard deviations of each; as they are without `deviations`."""
    return values if deviations is None else values / deviations


def log_losses(y: Array, logits: Array) -> NDArray[np.float64]:
    """The log loss (natural logarithm) of each sample [n]: never clipped."""
    losses: NDArray[np.float64] = -log_probabilities(logits)[np.arange(len(y)), y]
    return losses


def label_losses(y: Array, logits: Array) -> NDArray[np.float64]:
    """The log loss of each label of each sample [n, labels]: never clipped."""
    losses: NDArray[np.float64] = np.logaddexp(0, np.where(y == 1, -logits, logits).astype(np.float64))
    return losses


def varied_labels(y: Array) -> list[int]:
    """The labels that an AUROC is the mean of: those of which there are both, yes and no."""
    return [place for place, label in enumerate(y.T) if 0 < (label == 1).sum() < len(label)]


def log_probabilities(logits: Array) -> NDArray[np.float64]:
    """The logarithms of the softmax [n, classes], in float64."""
    logits = logits.astype(np.float64)
    logits = logits - logits.max(1, keepdims=True)
    shares: NDArray[np.float64] = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    return shares


def log_odds(logits: Array) -> NDArray[np.float64]:
    """log(p / (1 - p)) of each class [n, classes]: orders samples as the probability does, also where that is 1."""
    shares = log_probabilities(logits)
    rows, top = np.arange(len(shares)), shares.argmax(1)
    with np.errstate(divide="ignore"):
        odds: NDArray[np.float64] = shares - np.log1p(-np.exp(shares))
    others = shares.copy()
    others[rows, top] = -np.inf
    odds[rows, top] = shares[rows, top] - np.logaddexp.reduce(others, axis=1)  # 1 - p would round to 0
    return odds


def auroc_classes(y: Array, classes: int) -> list[int]:
    """The classes that an AUROC is the mean of: those that occur and are not alone; of two classes the second."""
    present = [int(c) for c in np.unique(y) if (y == c).sum() < len(y)]
    return present[-1:] if classes == 2 else present  # of two, both ways are the same


def _auroc(y: Array, logits: Array) -> float:
    """One class against the rest, averaged over the classes that occur (Hand and Till's macro average needs all)."""
    from sklearn.metrics import roc_auc_score

    odds = log_odds(logits)
    odds = np.clip(odds, np.finfo(np.float64).min, np.finfo(np.float64).max)  # scikit-learn takes no infinity
    areas = [roc_auc_score(y == c, odds[:, c]) for c in auroc_classes(y, logits.shape[1])]
    return float(np.mean(areas)) if areas else float("nan")


def _balanced_accuracy(y: Array, logits: Array) -> float:
    from sklearn.metrics import balanced_accuracy_score

    return float(balanced_accuracy_score(y, logits.argmax(1)))


def _macro_f1(y: Array, logits: Array) -> float:
    from sklearn.metrics import f1_score

    return float(f1_score(y, logits.argmax(1), average="macro"))


def _r2(y: Array, predicted: Array) -> float:
    from sklearn.metrics import r2_score

    return float(r2_score(y, predicted)) if len(y) > 1 else float("nan")


def _f1_of_labels(y: Array, logits: Array) -> float:
    from sklearn.metrics import f1_score

    return float(np.mean([f1_score(*each, zero_division=0.0) for each in zip(y.T, logits.T > 0, strict=True)]))


def _auroc_of_labels(y: Array, logits: Array) -> float:
    from sklearn.metrics import roc_auc_score

    most = np.finfo(np.float64).max
    areas = [roc_auc_score(y[:, c], np.clip(logits[:, c], -most, most)) for c in varied_labels(y)]
    return float(np.mean(areas)) if areas else float("nan")


_OF_LABELS: dict[str, Callable[[Array, Array], Any]] = {
    "log_loss": lambda y, logits: label_losses(y, logits).mean(),
    "accuracy": lambda y, logits: ((logits > 0) == y).mean(),
    "subset_accuracy": lambda y, logits: ((logits > 0) == y).all(1).mean(),
    "macro_f1": _f1_of_labels,
    "auroc": _auroc_of_labels,
}
_OUR_OWN: dict[str, Callable[[Array, Array], Any]] = {
    "log_loss": lambda y, logits: log_losses(y, logits).mean(),
    "accuracy": lambda y, logits: (logits.argmax(1) == y).mean(),
    "rmse": lambda y, p: np.sqrt(np.square(np.subtract(p, y, dtype=np.float64)).mean(0)).mean(),
    "mae": lambda y, p: np.abs(np.subtract(p, y, dtype=np.float64)).mean(),
}
_SCIKIT_LEARNS: dict[str, Callable[[Array, Array], float]] = {
    "balanced_accuracy": _balanced_accuracy,
    "macro_f1": _macro_f1,
    "auroc": _auroc,
    "r2": _r2,
}
