"""How far out-of-fold predictions can be relied on: residuals of a regression, calibration of classes and labels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from automl.conclude.dependence import outputs_of
from automl.conclude.out_of_fold import Array, FoldNetwork
from automl.data.dataset import Dataset
from automl.data.table_columns import shown
from automl.models.inspection import MOST_DRAWN, Bin, Calibration, Residuals

BINS = 10
LEVEL = 0.95


def find_residuals(networks: Sequence[FoldNetwork], dataset: Dataset, seed: int) -> Residuals:
    """Truth and prediction of the first target for some rows of every fold."""
    truth = np.concatenate([network.y[:, 0] for network in networks]).astype(np.float64)
    predicted = np.concatenate([network.outputs(network.x)[:, 0] for network in networks]).astype(np.float64)
    kept = np.random.default_rng(seed).permutation(len(truth))[:MOST_DRAWN]
    return Residuals(
        target=outputs_of(dataset)[1][0], truth=tuple(truth[kept].tolist()), predicted=tuple(predicted[kept].tolist())
    )


def find_calibration(networks: Sequence[FoldNetwork], dataset: Dataset) -> Calibration:
    """Of two classes the calibration of the second one's probability, of more that of the most probable class, of
    labels that of the first one's.
    """
    truth = np.concatenate([network.y for network in networks])
    probabilities = np.concatenate([network.probabilities(network.x) for network in networks])
    if dataset.task == "multilabel":
        return calibrate(truth[:, 0] == 1, probabilities[:, 0], shown(dataset.output_names[0]))
    if len(dataset.classes) == 2:
        return calibrate(truth == 1, probabilities[:, 1], shown(str(dataset.classes[1])))
    return calibrate(truth == probabilities.argmax(axis=1), probabilities.max(axis=1), "")


def calibrate(happened: Array, said: Array, of: str = "") -> Calibration:
    """What was `said` with probabilities [n], and whether it `happened`, in `BINS` bins of about as many.

    A reliability diagram (DeGroot and Fienberg, 1983) with bins at quantiles, as scikit-learn's `calibration_curve`
    has them, which does not say how many are in each; the intervals are Wilson's (1927).
    """
    from scipy.stats import binomtest

    edges = np.quantile(said, np.linspace(0, 1, BINS + 1))
    place = np.searchsorted(edges[1:-1], said)
    bins = []
    for number in np.unique(place).tolist():
        own = place == number
        count, true = int(own.sum()), int(happened[own].sum())
        ends = binomtest(true, count).proportion_ci(LEVEL, method="wilson")
        predicted = min(1.0, float(said[own].mean()))
        bins.append(Bin(count=count, predicted=predicted, observed=true / count, low=ends.low, high=ends.high))
    error = sum(each.count * abs(each.predicted - each.observed) for each in bins) / len(said)
    return Calibration(of=of, bins=tuple(bins), error=float(error))
