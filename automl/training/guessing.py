"""What guessing scores: the best answer that ignores the input. The measure of whether anything was learnt.

In a classification that is the class frequencies of the training samples, by which the commonest class is the answer;
of labels the share of the samples that have each; in a regression it is their mean.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from automl.data.dataset import Dataset
from automl.data.splits import Splits
from automl.racing.objective import METRICS
from automl.training.metrics import finite_or_none, measure

HOW = {"classification": "the class frequencies", "regression": "the mean", "multilabel": "the share of each label"}

Indices = NDArray[np.int64]


def guess(dataset: Dataset, train: Indices, count: int) -> NDArray[np.float64]:
    """[count, outputs]: what guessing by the samples `train` says, as `automl.training.metrics.measure` takes it."""
    y = np.asarray(dataset.y[train])
    if dataset.task == "classification":
        with np.errstate(divide="ignore"):
            row = np.log(np.bincount(y, minlength=len(dataset.classes)) / len(y))
    elif dataset.task == "multilabel":
        row = log_odds_of_share(y.mean(axis=0), len(y))
    else:
        row = y.mean(axis=0, dtype=np.float64)
    return np.tile(row, (count, 1))


def log_odds_of_share(shares: NDArray[np.float64], samples: int) -> NDArray[np.float64]:
    """The logits of labels that such shares of so many samples have; none or all counts as half a sample away: these
    samples do not make it certain, and a log loss is not to be infinite.
    """
    shares = np.clip(shares, 0.5 / samples, 1 - 0.5 / samples)
    odds: NDArray[np.float64] = np.log(shares) - np.log1p(-shares)
    return odds


def guess_scores(dataset: Dataset, splits: Splits, name: str) -> list[float]:
    """The metric `name` of guessing on each fold: by its training samples, on its validation samples."""
    found = []
    for fold in range(splits.folds):
        validation = splits.validation(fold)
        outputs = guess(dataset, splits.train(fold), len(validation))
        found.append(measure(name, np.asarray(dataset.y[validation]), outputs, dataset.deviations))
    return found


def guess_means(dataset: Dataset, splits: Splits) -> dict[str, float | None]:
    """The mean over the folds of every metric of the task; None where it is not defined."""
    return {name: finite_or_none(float(np.mean(guess_scores(dataset, splits, name)))) for name in METRICS[dataset.task]}
