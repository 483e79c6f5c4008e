"""Residuals and calibration of out-of-fold predictions."""

from __future__ import annotations

import numpy as np
import pytest
from known_networks import fold_of
from scipy.stats import binomtest
from sklearn.calibration import calibration_curve

from automl.conclude.reliability import calibrate, find_calibration, find_residuals
from automl.data.sources.arrays import from_arrays


def test_the_bins_are_those_of_scikit_learns_calibration_curve():
    rng = np.random.default_rng(0)
    said = rng.beta(0.5, 0.8, 500)
    happened = rng.random(500) < said**1.5
    found = calibrate(happened, said)
    observed, predicted = calibration_curve(happened, said, n_bins=10, strategy="quantile")
    np.testing.assert_allclose([each.predicted for each in found.bins], predicted)
    np.testing.assert_allclose([each.observed for each in found.bins], observed)
    first = found.bins[0]
    ends = binomtest(round(first.observed * first.count), first.count).proportion_ci(method="wilson")
    assert (first.low, first.high) == pytest.approx((ends.low, ends.high))
    assert found.error == pytest.approx(np.abs(observed - predicted).mean(), abs=0.005)


def test_probabilities_at_their_word_have_a_small_error_and_overconfident_ones_a_large_one():
    rng = np.random.default_rng(1)
    said = rng.random(4000)
    assert calibrate(rng.random(4000) < said, said).error < 0.03
    assert calibrate(rng.random(4000) < 0.5, np.round(said)).error == pytest.approx(0.5, abs=0.05)
    assert len(calibrate(rng.random(40) < 0.5, np.full(40, 0.5)).bins) == 1


@pytest.mark.parametrize("classes", [2, 3])
def test_of_two_classes_the_second_is_looked_at_and_of_more_the_most_probable(classes):
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(60, classes)), rng.integers(0, classes, 60)
    y[:classes] = range(classes)
    dataset = from_arrays(x, np.array(["a", "b", "c"])[y], name="made")
    networks = [fold_of(lambda x: x, x[:30], y[:30]), fold_of(lambda x: x, x[30:], y[30:], 1)]
    found = find_calibration(networks, dataset)
    assert found.of == ("b" if classes == 2 else "")
    right = y == 1 if classes == 2 else y == x.argmax(axis=1)
    assert sum(each.count for each in found.bins) == 60
    assert sum(each.count * each.observed for each in found.bins) == pytest.approx(right.sum())


def test_residuals_keep_truth_and_prediction_together():
    x = np.arange(50.0)[:, None]
    found = find_residuals([fold_of(lambda x: x + 1, x, x)], from_arrays(x, x, name="made"), seed=0)
    np.testing.assert_allclose(np.array(found.predicted) - found.truth, 1.0)
    assert sorted(found.truth) == x[:, 0].tolist()
