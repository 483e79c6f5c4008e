"""Losses and metrics are those of scikit-learn, however the samples are cut into batches."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn import metrics
from torch import nn

from automl.data.arrays import from_arrays
from automl.data.resident import Normalisation, Resident
from automl.training.losses import loss_for
from automl.training.serial import evaluate, predict

ONE = Normalisation(torch.zeros(1), torch.ones(1))


def over_batches(loss, output, y, norm, batch=7):
    """As a training epoch sums: means over batches weighted by their sizes, sums of the metric."""
    total, right = 0.0, 0.0
    for start in range(0, len(y), batch):
        part = slice(start, start + batch)
        targets = loss.normalise_targets(y[part], norm)
        total += float(loss(output[part], targets)) * len(targets)
        right += float(loss.metric_sums(output[part], targets, norm))
    return loss.finish(total / len(y), right / len(y), norm)


def test_log_loss_and_accuracy_are_scikit_learns():
    rng = np.random.default_rng(0)
    logits, y = rng.normal(0, 2, (100, 5)), rng.integers(0, 5, 100)
    log_loss, accuracy = over_batches(loss_for("classification"), torch.tensor(logits), torch.tensor(y), ONE)
    probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    assert log_loss == pytest.approx(metrics.log_loss(y, probabilities, labels=range(5)), rel=1e-5)
    assert accuracy == metrics.accuracy_score(y, logits.argmax(1))


@pytest.mark.parametrize("outputs", [1, 3])
def test_rmse_and_r2_are_scikit_learns_in_the_targets_units(outputs):
    rng = np.random.default_rng(0)
    y = (rng.normal(0, 1, (100, outputs)) * [1, 50, 1e-3][:outputs] + [3, 1000, 0][:outputs]).astype(np.float32)
    predicted = y + rng.normal(0, 0.3, y.shape) * y.std(0)
    norm = Normalisation(
        torch.zeros(1), torch.ones(1), torch.tensor(y.mean(0, keepdims=True)), torch.tensor(y.std(0, keepdims=True))
    )
    output = (torch.tensor(predicted, dtype=torch.float32) - norm.y_mean) / norm.y_std
    rmse, r2 = over_batches(loss_for("regression"), output, torch.tensor(y), norm)
    mean_square = metrics.mean_squared_error(y, predicted)
    assert rmse == pytest.approx(mean_square**0.5, rel=1e-4)
    if outputs == 1:
        assert rmse == pytest.approx(metrics.root_mean_squared_error(y, predicted), rel=1e-4)
    assert r2 == pytest.approx(metrics.r2_score(y, predicted), rel=1e-4)


def test_a_folds_validation_scores_are_scikit_learns(make_recipe, make_run, images):
    run = make_run(make_recipe("lenet"))
    (result,) = next(run.advance(1, 1))
    fold = run.folds[0]
    logits = predict(fold, run.resident, fold.validation, torch.float32).double()
    y = images.y[run.samples[0][1]]
    assert result.validation_loss == pytest.approx(metrics.log_loss(y, logits.softmax(1).numpy(), labels=range(3)))
    assert result.validation_metric == pytest.approx(metrics.accuracy_score(y, logits.argmax(1)))


def test_a_regressions_r2_is_measured_in_the_spread_of_the_training_part():
    # What a fold knows of the spread is its training part; its validation part may vary less.
    rng = np.random.default_rng(0)
    y = np.r_[rng.normal(0, 4, 40), rng.normal(0, 1, 20)].astype(np.float32)
    resident = Resident(from_arrays(rng.normal(size=(60, 2)).astype(np.float32), y), torch.device("cpu"))

    class Fold:
        network = nn.Identity()
        validation = torch.arange(40, 60)
        normalisation = resident.normalisation(np.arange(40))

        @staticmethod
        def forward(x):
            return torch.zeros(len(x), 1)  # the training part's mean

    rmse, r2 = evaluate(Fold, resident, loss_for("regression"), torch.float32)
    predicted = np.full(20, y[:40].mean())
    assert rmse == pytest.approx(metrics.root_mean_squared_error(y[40:], predicted), rel=1e-4)
    assert r2 == pytest.approx(1 - ((y[40:] - predicted) ** 2).mean() / y[:40].var(), rel=1e-4)


def test_the_names_are_those_that_the_leaderboard_shows():
    assert [(loss.objective, loss.metric) for loss in map(loss_for, ("classification", "regression"))] == [
        ("log_loss", "accuracy"),
        ("rmse", "r2"),
    ]
