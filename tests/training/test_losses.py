"""Losses and metrics are those of scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn import metrics

from automl.data.resident import Normalisation, PixelInputs
from automl.data.target_scale import TargetScale
from automl.training.losses import loss_for, merge_members, training_loss
from automl.training.serial import predict

PIXELS = PixelInputs(torch.zeros(1), torch.ones(1))
ONE = Normalisation(PIXELS)


def test_log_loss_and_accuracy_are_scikit_learns():
    rng = np.random.default_rng(0)
    logits, y = rng.normal(0, 2, (100, 5)), rng.integers(0, 5, 100)
    loss = loss_for("classification")
    log_loss, accuracy = loss.score(torch.tensor(logits), torch.tensor(y), ONE, "accuracy")
    probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    assert log_loss == pytest.approx(metrics.log_loss(y, probabilities, labels=range(5)), rel=1e-9)
    assert accuracy == metrics.accuracy_score(y, logits.argmax(1))
    assert float(loss(torch.tensor(logits), torch.tensor(y))) == pytest.approx(log_loss, rel=1e-5)


@pytest.mark.parametrize("outputs", [1, 3])
def test_rmse_and_r2_are_scikit_learns_in_the_targets_units(outputs):
    rng = np.random.default_rng(0)
    y = (rng.normal(0, 1, (100, outputs)) * [1, 50, 1e-3][:outputs] + [3, 1000, 0][:outputs]).astype(np.float32)
    predicted = y + rng.normal(0, 0.3, y.shape) * y.std(0)
    norm = Normalisation(PIXELS, TargetScale.of(torch.tensor(y), log=False))
    output = norm.target.learnt(torch.tensor(predicted))
    rmse, r2 = loss_for("regression").score(output, torch.tensor(y), norm, "r2")
    assert rmse == pytest.approx(metrics.root_mean_squared_error(y, predicted), rel=1e-4)
    assert r2 == pytest.approx(metrics.r2_score(y, predicted), rel=1e-4)


def test_predictions_that_are_not_finite_have_no_score():
    norm = Normalisation(PIXELS, TargetScale(torch.zeros(1, 1), torch.ones(1, 1)))
    logits = torch.tensor([[float("nan"), 1.0]] * 2)
    assert np.isnan(loss_for("classification").score(logits, torch.arange(2), norm, "auroc")).all()
    rmse, r2 = loss_for("regression").score(torch.tensor([[float("nan")]]), torch.zeros(1, 1), norm, "r2")
    assert np.isnan(rmse)
    assert np.isnan(r2)


class Members(torch.nn.Module):
    ensemble_size = 3


def test_members_are_trained_each_for_itself_and_answer_with_their_mean_probabilities():
    logits, y = torch.randn(10, 3, 4, generator=torch.Generator().manual_seed(0)), torch.arange(10) % 4
    minimised, output = training_loss(loss_for("classification"), Members(), logits, y)
    alone = [metrics.log_loss(y, member.softmax(1), labels=range(4)) for member in logits.double().unbind(1)]
    assert float(minimised) == pytest.approx(np.mean(alone), rel=1e-5)
    merged = merge_members(Members(), output, "classification").softmax(1)
    assert torch.allclose(merged, logits.softmax(2).mean(1), atol=1e-6)


def test_members_of_a_regression_answer_with_the_mean_of_their_predictions():
    predicted, y = torch.randn(10, 3, 2, generator=torch.Generator().manual_seed(0)), torch.zeros(10, 2)
    minimised, output = training_loss(loss_for("regression"), Members(), predicted, y)
    assert float(minimised) == pytest.approx(float(predicted.square().mean()), rel=1e-5)
    assert torch.allclose(merge_members(Members(), output, "regression"), predicted.mean(1))


def test_a_folds_validation_scores_are_scikit_learns(make_recipe, make_run, images):
    run = make_run(make_recipe("lenet"))
    (result,) = next(run.advance(1, 1))
    fold = run.folds[0]
    logits = predict(fold, run.resident, fold.validation, torch.float32).double()
    y = images.y[run.samples[0][1]]
    assert result.validation_loss == pytest.approx(metrics.log_loss(y, logits.softmax(1).numpy(), labels=range(3)))
    assert result.validation_metric == pytest.approx(metrics.accuracy_score(y, logits.argmax(1)))
