"""Influence functions, against scikit-learn with weighted samples and against known standard errors."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from scipy.special import softmax
from sklearn import metrics

from automl.models.influence import influence, standard_error

RNG = np.random.default_rng(0)
Y = RNG.choice(3, 60, p=[0.6, 0.3, 0.1])
LOGITS = RNG.normal(0, 1, (60, 3)) + 1.5 * np.eye(3)[Y]
P = softmax(LOGITS, axis=1)
TARGETS = RNG.normal(100, [5, 50], (60, 2))
PREDICTED = TARGETS + RNG.normal(0, [2, 20], (60, 2))


LABELS = (RNG.random((60, 3)) < [0.5, 0.3, 0.2]).astype(np.int64)
OF_LABELS = RNG.normal(0, 1, (60, 3)) + LABELS
SAID = OF_LABELS > 0


def auroc(weights):
    return np.mean([metrics.roc_auc_score(c == Y, P[:, c], sample_weight=weights) for c in range(3)])


WEIGHTED = {
    "log_loss": lambda w: metrics.log_loss(Y, P, sample_weight=w),
    "accuracy": lambda w: metrics.accuracy_score(Y, P.argmax(1), sample_weight=w),
    "balanced_accuracy": lambda w: metrics.balanced_accuracy_score(Y, P.argmax(1), sample_weight=w),
    "macro_f1": lambda w: metrics.f1_score(Y, P.argmax(1), average="macro", sample_weight=w),
    "auroc": auroc,
    "rmse": lambda w: metrics.root_mean_squared_error(TARGETS, PREDICTED, sample_weight=w),
    "mae": lambda w: metrics.mean_absolute_error(TARGETS, PREDICTED, sample_weight=w),
    "r2": lambda w: metrics.r2_score(TARGETS, PREDICTED, sample_weight=w),
}


@pytest.mark.parametrize("name", WEIGHTED)
def test_it_is_the_derivative_of_scikit_learns_metric_in_a_samples_weight(name):
    data = (TARGETS, PREDICTED) if name in ("rmse", "mae", "r2") else (Y, LOGITS)
    slopes, step, some = np.empty(60), 1e-4, np.arange(0, 60, 5)
    for sample in some:
        weights = np.ones(60)
        ends = []
        for change in (step, -step):
            weights[sample] = 1 + change
            ends.append(WEIGHTED[name](weights))
        slopes[sample] = (ends[0] - ends[1]) / (2 * step) * 60
    np.testing.assert_allclose(influence(name, *data)[some], slopes[some], atol=1e-6 * np.abs(slopes[some]).max())


def of_each(metric, answers):
    """The mean over the labels, of samples with these weights."""
    pairs = list(zip(LABELS.T, answers.T, strict=True))
    return lambda w: np.mean([metric(*pair, sample_weight=w) for pair in pairs])


WEIGHTED_LABELS = {
    "log_loss": of_each(metrics.log_loss, 1 / (1 + np.exp(-OF_LABELS))),
    "accuracy": of_each(metrics.accuracy_score, SAID),
    "subset_accuracy": lambda w: metrics.accuracy_score(LABELS, SAID, sample_weight=w),
    "macro_f1": of_each(metrics.f1_score, SAID),
    "auroc": of_each(metrics.roc_auc_score, OF_LABELS),
}


@pytest.mark.parametrize("name", WEIGHTED_LABELS)
def test_of_labels_it_is_that_of_the_mean_over_them(name):
    step, some = 1e-4, np.arange(0, 60, 7)
    change = step * np.eye(60)[some]
    slopes = [(WEIGHTED_LABELS[name](1 + c) - WEIGHTED_LABELS[name](1 - c)) / (2 * step) * 60 for c in change]
    found = influence(name, LABELS, OF_LABELS)[some]
    np.testing.assert_allclose(found, slopes, atol=1e-6 * np.abs(slopes).max())


def test_the_standard_error_of_a_mean_is_the_usual_one_and_that_of_groups_that_of_their_sums():
    errors = np.abs(PREDICTED - TARGETS).mean(1)
    moved = influence("mae", TARGETS, PREDICTED)
    assert standard_error(moved) == (pytest.approx(stats.sem(errors)), 59)
    assert standard_error(np.repeat(moved, 5), np.repeat(np.arange(60), 5)) == (pytest.approx(stats.sem(errors)), 59)
    assert standard_error(moved, np.zeros(60))[1] == 0
