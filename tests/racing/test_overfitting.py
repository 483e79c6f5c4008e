"""The overfitting rule, on curves whose verdict can be told by hand."""

import numpy as np
import pytest

from automl.racing.curves import Curves, FoldEpoch
from automl.racing.objective import Objective
from automl.racing.overfitting import OverfittingRule, verdict_at

LOSS = Objective()
RULE = OverfittingRule(patience=3, tolerance=0.05)
MEMORISING = [1.0, 0.8, 0.6, 0.4, 0.2, 0.1, 0.08, 0.06]
TURNING = [1.0, 0.5, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]


def curves_of(train: list[float], validation: list[float], folds: int = 1, objective: Objective = LOSS) -> Curves:
    curves = Curves(folds, len(train), objective)
    for fold in range(folds):
        pairs = zip(train, validation, strict=True)
        curves.add(FoldEpoch(fold, epoch, t, 0.0, v, 0.0) for epoch, (t, v) in enumerate(pairs, 1))
    return curves


def first_verdict(curves: Curves, folds: int = 1):
    epochs = range(1, curves.values.shape[1] + 1)
    return next((v for v in (verdict_at(curves, RULE, folds, e) for e in epochs) if v), None)


def test_a_falling_train_loss_with_a_rising_validation_loss_is_overfitting_after_the_patience():
    verdict = first_verdict(curves_of(MEMORISING, TURNING))
    assert verdict is not None
    assert (verdict.epoch, verdict.best_epoch) == (
        7,
        3,
    )  # the averages up to epochs 5, 6 and 7 are above that of 2 to 4
    lowest, risen = (0.5 + 0.4 + 0.5) / 3, (0.6 + 0.7 + 0.8) / 3
    assert verdict.gap == pytest.approx(risen / lowest - 1.05)
    assert (verdict.train_loss, verdict.best_train_loss) == (0.08, 0.6)
    assert (verdict.validation_loss, verdict.best_validation_loss) == pytest.approx((risen, lowest))


def test_a_rise_within_the_tolerance_is_not_overfitting():
    assert first_verdict(curves_of(MEMORISING, [1.0, 0.5, 0.5, 0.5, 0.51, 0.515, 0.52, 0.52])) is None


@pytest.mark.parametrize("train", [[1.0] + 7 * [0.8], [1.0, 0.8, 0.8, 0.9, 1.0, 1.1, 1.2, 1.3]])
def test_a_flat_or_rising_train_loss_is_not_overfitting(train):
    assert first_verdict(curves_of(train, TURNING)) is None


def test_a_new_minimum_of_the_validation_loss_starts_the_patience_again():
    assert first_verdict(curves_of(MEMORISING, [1.0, 0.5, 0.6, 0.7, 0.8, 0.4, 0.3, 0.3])) is None


def test_the_rule_looks_at_the_mean_of_the_folds():
    curves = curves_of(MEMORISING, TURNING, folds=2)
    curves.values[1, :, 2] = [2.0, 1.5, 1.2, 1.0, 0.8, 0.6, 0.4, 0.2]  # the second fold still improves, by more
    assert first_verdict(curves, folds=2) is None
    assert first_verdict(curves, folds=1) is not None


def test_one_bad_epoch_is_noise():
    assert first_verdict(curves_of(MEMORISING, [1.0, 0.5, 0.51, 0.51, 0.5, 0.51, 0.9, 0.51])) is None


def test_a_perfect_fit_that_gets_worse_has_a_finite_gap():
    verdict = first_verdict(curves_of(MEMORISING, [1.0, 0.0, 0.0, 0.0, 0.1, 0.2, 0.3, 0.4]))
    assert verdict is not None
    assert 0 < verdict.gap < float("inf")


@pytest.mark.parametrize(("accuracy", "falls"), [(np.linspace(0.5, 0.9, 8), False), (np.linspace(0.9, 0.5, 8), True)])
def test_what_is_optimised_must_have_got_worse_too(accuracy, falls):
    by_loss = curves_of(MEMORISING, TURNING)
    by_loss.values[0, :, 3] = accuracy
    by_accuracy = Curves.of(by_loss.values, Objective.of("classification", "accuracy"))
    assert first_verdict(by_loss) is not None
    assert (first_verdict(by_accuracy) is not None) == falls


@pytest.mark.parametrize("metric", ["log_loss", "accuracy"])
@pytest.mark.parametrize(("noise", "folds"), [(0.05, 1), (0.1, 1), (0.1, 5)])
def test_on_a_flat_noisy_curve_the_rule_fires_in_less_than_one_training_of_twenty(noise, folds, metric):
    rng, epochs, fired = np.random.default_rng(0), 20, 0
    rule, objective = OverfittingRule.of(epochs), Objective.of("classification", metric)
    for _ in range(100):
        curves = Curves.of(np.ones((folds, epochs, 4)), objective)
        curves.values[:, :, 0] = np.linspace(1, 0.1, epochs)
        curves.values[:, :, 2] += noise * rng.standard_normal((folds, epochs))
        curves.values[:, :, 3] = 1 - 0.2 * curves.values[:, :, 2]  # the worst that a metric can do: go with the loss
        fired += any(verdict_at(curves, rule, folds, epoch) for epoch in range(1, epochs))
    assert fired < 5


def test_folds_that_are_behind_give_no_verdict():
    curves = curves_of(MEMORISING, TURNING, folds=2)
    curves.values[1, 3:] = float("nan")
    assert verdict_at(curves, RULE, 2, 7) is None
