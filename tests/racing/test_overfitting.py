"""The overfitting rule, on curves whose verdict can be told by hand."""

import pytest

from automl.racing.curves import Curves, FoldEpoch
from automl.racing.overfitting import OverfittingRule, verdict_at

RULE = OverfittingRule(patience=3, tolerance=0.05)
MEMORISING = [1.0, 0.8, 0.6, 0.4, 0.2, 0.1]
TURNING = [1.0, 0.5, 0.6, 0.7, 0.8, 0.9]


def curves_of(train: list[float], validation: list[float], folds: int = 1) -> Curves:
    curves = Curves(folds, len(train))
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
    assert (verdict.epoch, verdict.best_epoch) == (5, 2)
    assert verdict.gap == pytest.approx(0.8 / 0.5 - 1.05)
    assert (verdict.train_loss, verdict.best_train_loss) == (0.2, 0.8)


def test_a_rise_within_the_tolerance_is_not_overfitting():
    assert first_verdict(curves_of(MEMORISING, [1.0, 0.5, 0.51, 0.52, 0.524, 0.525])) is None


@pytest.mark.parametrize("train", [[1.0, 0.8, 0.8, 0.8, 0.8, 0.8], [1.0, 0.8, 0.9, 1.0, 1.1, 1.2]])
def test_a_flat_or_rising_train_loss_is_not_overfitting(train):
    assert first_verdict(curves_of(train, TURNING)) is None


def test_a_new_minimum_of_the_validation_loss_starts_the_patience_again():
    assert first_verdict(curves_of(MEMORISING, [1.0, 0.5, 0.6, 0.7, 0.4, 0.5])) is None


def test_the_rule_looks_at_the_mean_of_the_folds():
    curves = curves_of(MEMORISING, TURNING, folds=2)
    curves.values[1, :, 2] = [2.0, 1.5, 1.2, 1.0, 0.8, 0.6]  # the second fold still improves, by more
    assert first_verdict(curves, folds=2) is None
    assert first_verdict(curves, folds=1) is not None


def test_one_bad_epoch_is_noise():
    assert first_verdict(curves_of(MEMORISING, [1.0, 0.5, 0.51, 0.51, 0.9, 0.51])) is None


def test_a_perfect_fit_that_gets_worse_has_a_finite_gap():
    verdict = first_verdict(curves_of(MEMORISING, [1.0, 0.0, 0.1, 0.2, 0.3, 0.4]))
    assert verdict is not None
    assert 0 < verdict.gap < float("inf")


def test_folds_that_are_behind_give_no_verdict():
    curves = curves_of(MEMORISING, TURNING, folds=2)
    curves.values[1, 3:] = float("nan")
    assert verdict_at(curves, RULE, 2, 5) is None
