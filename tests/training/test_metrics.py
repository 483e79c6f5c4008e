"""Metrics are scikit-learn's."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from sklearn import metrics

from automl.racing.objective import METRICS
from automl.training.metrics import measure

RNG = np.random.default_rng(0)
Y = RNG.integers(0, 3, 200)
P = RNG.dirichlet([1, 1, 1], 200).astype(np.float32)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("log_loss", metrics.log_loss(Y, P.astype(float) / P.astype(float).sum(1, keepdims=True))),
        ("accuracy", metrics.accuracy_score(Y, P.argmax(1))),
        ("balanced_accuracy", metrics.balanced_accuracy_score(Y, P.argmax(1))),
        ("macro_f1", metrics.f1_score(Y, P.argmax(1), average="macro")),
        ("auroc", metrics.roc_auc_score(Y, P / P.sum(1, keepdims=True), multi_class="ovr", average="macro")),
    ],
)
def test_those_of_a_classification(name, expected):
    assert measure(name, Y, np.log(P, dtype=float)) == pytest.approx(expected, abs=1e-9)


def test_auroc_of_two_classes_is_that_of_the_second():
    y, p = Y % 2, P[:, :2] / P[:, :2].sum(1, keepdims=True)
    assert measure("auroc", y, np.log(p)) == pytest.approx(metrics.roc_auc_score(y, p[:, 1]))


def test_sure_answers_keep_their_order_and_the_losses_of_sure_mistakes_their_size():
    y = np.array([0, 0, 1, 1])
    logits = np.array([[50, 0, -50], [40, 0, -50], [30, 60, 0], [45, 0, 45]], dtype=np.float32)  # 1 or 0 in float32
    order = np.array([[50, -50], [40, -40], [-30, 30], [0, -45]])  # the log odds of the first two, worked out
    expected = [metrics.roc_auc_score(y == c, order[:, c]) for c in (0, 1)]
    assert measure("auroc", y, logits) == pytest.approx(np.mean(expected))
    assert measure("log_loss", y, logits) == pytest.approx((0 + 0 + 0 + 45 + np.log(2)) / 4, abs=1e-9)
    with np.errstate(divide="ignore"):
        certain = np.log([[1.0, 0.0], [0.0, 1.0]])
    assert measure("auroc", np.array([0, 1]), certain) == 1.0


def test_a_class_that_a_fold_lacks_is_left_out_of_auroc_without_a_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        value = measure("auroc", Y[Y < 2], np.log(P[Y < 2]))
        expected = [metrics.roc_auc_score(Y[Y < 2] == c, P[Y < 2][:, c]) for c in (0, 1)]
        assert value == pytest.approx(np.mean(expected))
        assert math.isnan(measure("auroc", np.zeros(5, int), np.log(P[:5])))
        for name in METRICS["classification"][:4]:
            assert math.isfinite(measure(name, np.zeros(5, int), np.log(P[:5])))


@pytest.mark.parametrize(
    ("name", "reference"),
    [("rmse", metrics.root_mean_squared_error), ("mae", metrics.mean_absolute_error), ("r2", metrics.r2_score)],
)
def test_those_of_a_regression(name, reference):
    y = RNG.normal(size=(50, 2)) * [1, 100]
    predicted = y + RNG.normal(size=(50, 2))
    assert measure(name, y, predicted) == pytest.approx(reference(y, predicted))


@pytest.mark.parametrize(
    ("name", "reference"),
    [
        ("rmse", metrics.root_mean_squared_error),
        ("mae", metrics.mean_absolute_error),
        ("r2", metrics.r2_score),
    ],
)
def test_of_several_targets_it_is_scikit_learns_uniform_average_in_their_deviations(name, reference):
    rng = np.random.default_rng(0)
    y = rng.normal(size=(50, 3)) * [1, 1000, 1e-3] + [5, 0, 1]
    predicted, deviations = y + rng.normal(size=(50, 3)) * [0.5, 10, 1e-4], y.std(0)
    by_target = [measure(name, y[:, [i]], predicted[:, [i]]) for i in range(3)]
    expected = reference(y / deviations, predicted / deviations, multioutput="uniform_average")
    assert measure(name, y, predicted, deviations) == pytest.approx(expected)
    assert expected == pytest.approx(np.mean(by_target if name == "r2" else by_target / deviations))
