"""The intervals of the test's scores."""

from __future__ import annotations

import numpy as np
import pytest

from automl.racing.objective import METRICS
from automl.results.intervals import interval, statistic
from automl.training.metrics import measure


def classified(samples: int, classes: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    y = rng.integers(0, classes, samples)
    p = rng.dirichlet(np.ones(classes), samples)
    p[np.arange(samples), y] += rng.uniform(0, 1, samples)
    return y, (p / p.sum(1, keepdims=True)).astype(np.float32)


def regressed(samples: int, outputs: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    y = rng.normal(100, 5, (samples, outputs)).astype(np.float32)
    return y, (y + rng.normal(0, 2, y.shape)).astype(np.float32)


CASES = [("classification", classified(60, c), n) for c in (2, 5) for n in METRICS["classification"][0:5]]
CASES += [("regression", regressed(60, o), n) for o in (1, 3) for n in METRICS["regression"]]


@pytest.mark.parametrize(("task", "data", "name"), CASES)
def test_on_any_resample_a_metric_is_scikit_learns(task, data, name):
    y, predicted = data
    if name == "accuracy":
        return  # it has Wilson's interval, without resamples
    resamples = np.random.default_rng(1).integers(0, len(y), (4, len(y)))
    expected = [measure(name, y[index], predicted[index]) for index in resamples]
    # float32 predictions: scikit-learn sums some of them in single precision
    np.testing.assert_allclose(statistic(name, y, predicted)(resamples), expected, rtol=2e-6)


def test_the_accuracys_interval_is_wilsons():
    y = np.zeros(100, dtype=np.int64)
    predicted = np.tile([[0.9, 0.1]], (100, 1))
    predicted[:5] = [0.1, 0.9]
    p, n, z = 0.95, 100, 1.959964
    around, half = p + z**2 / (2 * n), z * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    expected = ((around - half) / (1 + z**2 / n), (around + half) / (1 + z**2 / n))
    assert interval("accuracy", y, predicted) == pytest.approx(expected, abs=1e-6)


def test_the_interval_of_a_mean_is_the_normal_one_and_holds_the_score():
    y, predicted = classified(2000, 3)
    losses = -np.log(predicted[np.arange(2000), y])
    low, high = interval("log_loss", y, predicted)
    error = 1.96 * losses.std(ddof=1) / np.sqrt(2000)
    assert (low, high) == pytest.approx((losses.mean() - error, losses.mean() + error), abs=0.1 * error)
    assert interval("log_loss", y, predicted) == (low, high)


def test_where_nothing_can_be_said_there_is_no_interval():
    y, predicted = classified(1, 3)
    assert interval("log_loss", y, predicted) is None
    one_class = np.zeros(20, dtype=np.int64)
    assert interval("auroc", one_class, np.full((20, 2), 0.5)) is None
    assert interval("r2", np.ones((20, 1)), np.ones((20, 1))) is None
