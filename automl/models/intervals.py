"""95 % intervals of the metrics on a test set: how far a score may be off because the test set is not larger.

Each is of the metric that it is named after, and has a width also where nothing went wrong in the test:

- accuracy: Wilson's score interval (1927, 'Probable inference').
- balanced accuracy: that of Price and Bonett for a sum of proportions (2004, 'An improved confidence interval for a
  linear function of binomial proportions'): four samples more, shared out to the classes, half of them right.
- macro F1: Wilson's, for as many samples as would give a proportion the same standard error, at most those of a
  balanced accuracy.
- AUROC: Newcombe's (2006, 'Confidence intervals for an effect size measure based on the Mann-Whitney statistic', part
  2, method 5), with the variance of Hanley and McNeil scaled to that of DeLong, or by half as much (on a logarithmic
  scale) where that is less.
- shares and areas of labels: Wilson's, for as many samples as would give a proportion the same standard error, which
  where all are right are those of the test set, of F1 and AUROC the rarer answers of each label.
- losses: the studentised bootstrap (Efron and Tibshirani, 1993, 'An introduction to the bootstrap', chapter 12); that
  of a log loss with one sample more, a mistake of the size that the model's own probabilities let expect, and no
  higher than with as many mistakes as Wilson's interval has, each as large as the largest.

Classes count as many times as they occur, in each of them. Where samples belong to groups the standard error is that
of the groups: the intervals above for fewer samples, the losses' with Student's quantile for so many groups.
"""

from __future__ import annotations

from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from automl.models.influence import columns_of, influence, of_means, standard_error
from automl.racing.objective import GREATER_IS_BETTER
from automl.training.metrics import auroc_classes, log_losses, log_probabilities, measure, varied_labels

Array = NDArray[Any]
Ends = tuple[float, float]

LEVEL = 0.95
RESAMPLES = 1000
SOURCE = (
    "accuracy: Wilson; balanced accuracy: Price and Bonett; macro F1: Wilson with the standard error's sample size; "
    "AUROC: Newcombe with DeLong's variance; those of labels: Wilson with the standard error's sample size; losses: "
    "studentised bootstrap"
)
_MANY = 5000  # numbers from which on the bootstrap says what the normal distribution does
_WIDE = 8  # outputs of a regression whose covariances are resampled


def interval(name: str, y: Array, outputs: Array, groups: Array | None = None) -> Ends | None:
    """The 95 % interval of the metric `name`; the arrays are those of `automl.training.metrics.measure`.

    `groups` [n]: equal for samples that go together. The same data give the same interval. None where nothing can be
    said: fewer than two samples or groups, a metric that is not defined, or losses that are all the same.
    """
    if len(y) < 2 or not np.isfinite(value := measure(name, y, outputs)):
        return None
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        influences = influence(name, y, outputs)
        error, _ = standard_error(influences)
        quantile, design = NormalDist().inv_cdf((1 + LEVEL) / 2), 1.0
        if groups is not None:
            from scipy.special import stdtrit

            grouped, freedom = standard_error(influences, groups)
            if not freedom:
                return None
            quantile = float(stdtrit(freedom, (1 + LEVEL) / 2))
            # Where all are right they tell nothing of how alike a group is: it counts as one sample.
            design = max(1.0, (grouped / error) ** 2) if error > 0 else len(y) / (freedom + 1)
        if y.ndim == 2 and name in GREATER_IS_BETTER and name != "r2":
            low, high = _of_labels(name, value, error, y, design, quantile)
        elif name == "accuracy":
            low, high = _wilson(value, len(y) / design, quantile)
        elif name == "balanced_accuracy":
            low, high = _price_bonett(y, outputs, design, quantile)
        elif name == "macro_f1":
            low, high = _macro_f1(value, error, y, design, quantile)
        elif name == "auroc":
            low, high = _newcombe(value, influences, y, outputs.shape[1], design, quantile)
        elif groups is not None or y.size >= _MANY or (y.ndim == 2 and y.shape[1] > _WIDE):
            low, high = _by_error(name, value, error * np.sqrt(design), quantile)
        else:
            low, high = _studentised(name, y, outputs)
            if name == "log_loss" and y.ndim == 1:
                high = min(high, value + _worst(y, outputs, quantile))
    low, high = min(low, value), max(high, value)
    return (float(low), float(high)) if np.isfinite([low, high]).all() and low < high else None


def _wilson(share: float, samples: float, quantile: float) -> Ends:
    around = share + quantile**2 / (2 * samples)
    half = quantile * np.sqrt(share * (1 - share) / samples + quantile**2 / (4 * samples**2))
    shrunk = 1 + quantile**2 / samples
    return (around - half) / shrunk, (around + half) / shrunk


def _of_labels(name: str, value: float, error: float, y: Array, design: float, quantile: float) -> Ends:
    samples = float(len(y))
    if name in ("macro_f1", "auroc"):
        yes = (y == 1).sum(axis=0)
        rarer = np.maximum(yes if name == "macro_f1" else np.minimum(yes, len(y) - yes)[varied_labels(y)], 1)
        samples = len(rarer) ** 2 / (1 / rarer).sum()
    samples = min(samples, float(len(y)))
    little = 1 / samples**2  # a variance, for where all are right
    wider = (error**2 + little) / (value * (1 - value) / samples + little)
    return _wilson(value, samples / wider / design, quantile)


def _sizes(y: Array) -> Array:
    """How many samples each class has that occurs."""
    return np.unique(y, return_counts=True)[1]


def _price_bonett(y: Array, logits: Array, design: float, quantile: float) -> Ends:
    right = np.bincount(y, logits.argmax(1) == y)[np.unique(y)] / design
    sizes = _sizes(y) / design
    more = sizes + 4 / len(sizes)
    recalls = (right + 2 / len(sizes)) / more
    half = quantile * np.sqrt((recalls * (1 - recalls) / more).sum()) / len(sizes)
    return max(0.0, recalls.mean() - half), min(1.0, recalls.mean() + half)


def _macro_f1(value: float, error: float, y: Array, design: float, quantile: float) -> Ends:
    sizes = _sizes(y)
    samples = len(sizes) ** 2 / (1 / sizes).sum()  # those of a balanced accuracy: the variance of a mean of recalls
    little = 1 / samples**2  # a variance, for where all are right
    wider = (error**2 + little) / (value * (1 - value) / samples + little)
    return _wilson(value, samples / max(1.0, wider) / design, quantile)


def _newcombe(value: float, influences: Array, y: Array, classes: int, design: float, quantile: float) -> Ends:
    from scipy.optimize import brentq

    counted = auroc_classes(y, classes)
    positive = np.array([(y == number).sum() for number in counted])
    negative = len(y) - positive

    def variance(area: float) -> float:
        """That of Hanley and McNeil (1982), method 5 of Newcombe; the classes' areas as independent ones."""
        more = (len(y) / 2 - 1) * ((1 - area) / (2 - area) + area / (1 + area))
        return float((area * (1 - area) * (1 + more) / (positive * negative)).sum() / len(counted) ** 2)

    within = sum((part**2).sum() * len(part) / max(1, len(part) - 1) for part in _by_class(influences, y)) / len(y) ** 2
    scale = within / variance(value) if 0 < value < 1 else 1.0
    scale = design * max(scale, scale**0.5)

    def beyond(area: float) -> float:
        return float((area - value) ** 2 - quantile**2 * scale * variance(area))

    tiny = 1e-12
    low = brentq(beyond, 0.0, min(value, 1 - tiny)) if value > 0 else 0.0
    high = brentq(beyond, max(value, tiny), 1.0) if value < 1 else 1.0
    return low, high


def _by_class(values: Array, y: Array) -> list[Array]:
    """The values of each class that occurs, less their mean."""
    return [part - part.mean() for part in (values[y == number] for number in np.unique(y))]


def _by_error(name: str, value: float, error: float, quantile: float) -> Ends:
    """On a logarithmic scale, where a loss has no lower end; of R2 that of 1 - R2."""
    if name == "r2":
        low, high = _by_error("", 1 - value, error, quantile)
        return 1 - high, 1 - low
    factor = np.exp(quantile * error / value)
    return value / factor, value * factor


def _studentised(name: str, y: Array, outputs: Array) -> Ends:
    """The metric less quantiles of (resampled - metric) / standard error of the resample, in standard errors."""
    columns = columns_of(name, y, outputs)
    if name == "log_loss" and y.ndim == 1:
        columns = np.append(columns, [[_usual_mistake(outputs)]], axis=0)
    count, width = columns.shape
    weights = np.random.default_rng(0).multinomial(count, np.full(count, 1 / count), RESAMPLES)
    weights = np.concatenate([np.ones((1, count)), weights]) / count  # the test set itself first
    means = weights @ columns
    values, gradients = of_means(name, means)
    products = (columns[:, :, None] * columns[:, None, :]).reshape(count, -1)
    covariances = (weights @ products).reshape(-1, width, width) - means[:, :, None] * means[:, None, :]
    variances = np.einsum("bi,bij,bj->b", gradients, covariances, gradients)
    errors = np.sqrt(np.maximum(variances, 0) / (count - 1))
    value, error = values[0], errors[0]
    # A resample of one sample again and again has no error of its own.
    ratios = ((values[1:] - value) / errors[1:])[errors[1:] > 1e-6 * error]
    if not len(ratios) or not np.isfinite(ratios).all():
        return value, value
    high, low = np.quantile(ratios, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    low, high = value - low * error, value - high * error
    return (low, min(high, 1.0)) if name == "r2" else (max(low, 0.0), high)


def _mistakes(logits: Array) -> Array:
    """The log loss that each sample would have if its runner-up were the truth."""
    return -np.sort(log_probabilities(logits), axis=1)[:, -2]


def _usual_mistake(logits: Array) -> float:
    """The mean loss of a sample whose runner-up is the truth, by the model's own probabilities that it is."""
    losses = _mistakes(logits)
    return float(np.average(losses, weights=np.exp(losses.min() - losses)))


def _worst(y: Array, logits: Array, quantile: float) -> float:
    """What mistakes may add at most: as many as there may be, each as large as the largest."""
    right, _ = _wilson(float((logits.argmax(1) == y).mean()), len(y), quantile)
    return float((1 - right) * max(_mistakes(logits).max(), log_losses(y, logits).max()))
