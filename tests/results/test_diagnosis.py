"""The diagnosis of made curves: each word by its rule, with its figures."""

from __future__ import annotations

import math

import numpy as np
import pytest

from automl.racing.curves import Curves
from automl.racing.objective import Objective
from automl.racing.overfitting import OverfittingRule
from automl.results.diagnosis import diagnose, longest_means

GUESSING = math.log(10)
FALLING = [1.0, 0.5, 0.4, 0.3, 0.2, 0.15, 0.1, 0.08, 0.06]
TURNING = [1.0, 0.8, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.3]  # around epoch 3 its averages of three are lowest


def curves_of(train, validation, folds=2):
    """Curves of folds that all have these losses, with room for ten epochs."""
    values = np.full((folds, 10, 4), np.nan)
    values[:, : len(train)] = np.stack([train, np.full(len(train), 0.5), validation, np.full(len(train), 0.5)], axis=1)
    return Curves.of(values)


@pytest.mark.parametrize(
    ("word", "train", "validation"),
    [
        ("diverged", [1.0, 0.5, 9.0], [1.0, 0.6, 2.0]),  # far above guessing
        ("diverged", [2.0, 0.4, 0.3, 1.3], [2.0, 0.5, 0.5, 1.5]),  # lost more than half of what it had won
        ("diverged", [50.0], [60.0]),
        ("stuck", [2.31, 2.30, 2.32], [2.30, 2.31, 2.30]),
        ("stuck", [2.30], [2.29]),
        ("overfitting", FALLING, TURNING),  # rises while the train loss falls
        ("underfitting", [2.0, 1.6, 1.4], [2.1, 1.7, 1.5]),
        ("underfitting", [1.5], [1.6]),
        ("healthy", [1.0, 0.5, 0.3], [1.0, 0.6, 0.4]),
        ("healthy", [2.0, 1.6, 1.4], [1.5, 1.0, 0.8]),  # augmentation: only the train loss is high
        ("healthy", [0.3, 0.01, 0.001], [0.3, 0.1, 0.09]),  # a ratio of 90, but no gap to speak of
        ("healthy", [1.0, 0.3, 0.05], [1.2, 0.9, 0.8]),  # a gap, but nothing has got worse
        ("healthy", FALLING[:6], TURNING[:6]),  # a search would not have stopped it yet
        ("healthy", [1.0, 0.5, 0.3, 0.29], [1.0, 0.6, 0.4, 0.5]),  # one bad epoch is noise
        ("healthy", [0.5, 0.01, 0.02], [0.5, 0.1, 0.1]),  # noise of a loss that is near 0
    ],
)
def test_each_word_has_its_curves(word, train, validation):
    assert diagnose(curves_of(train, validation), GUESSING).word == word


def test_a_rising_validation_loss_is_told_with_its_figures():
    assert str(diagnose(curves_of(FALLING, TURNING), GUESSING)) == (
        "overfitting: from epoch 3 to 9 the train loss fell 0.4 -> 0.06 while the validation loss rose 0.7667 -> 1.2."
    )


def test_overfitting_is_what_the_search_takes_for_it():
    curves = curves_of(FALLING[:6], TURNING[:6])
    assert diagnose(curves, GUESSING, rule=OverfittingRule(patience=1)).word == "overfitting"
    # The accuracy, which is optimised here, has not got worse.
    by_accuracy = Curves.of(curves_of(FALLING, TURNING).values, Objective.of("classification", "accuracy"))
    assert diagnose(by_accuracy, GUESSING).word == "healthy"


def test_underfitting_names_the_loss_of_guessing_and_whether_it_still_improves():
    found = diagnose(curves_of([2.0, 1.6, 1.4], [2.1, 1.7, 1.5]), GUESSING)
    assert found.sentence == (
        "at its best epoch, 3 of 3, and still at its best in its last epoch, the train loss is 1.4 and the validation "
        "loss 1.5: above half of that of guessing (2.303)."
    )


def test_without_the_loss_of_guessing_the_first_epoch_stands_in():
    assert diagnose(curves_of([5.0, 4.99], [5.0, 5.0])).word == "stuck"
    assert diagnose(curves_of([5.0], [5.0])).word == "underfitting"  # one epoch tells nothing about being stuck
    assert diagnose(curves_of([5.0, 1.0], [5.0, 1.1])).word == "healthy"


def test_a_loss_that_is_no_number_is_diverged_and_no_curve_is_untrained():
    reason = "non-finite at fold 1, epoch 3 (train loss nan)"
    assert diagnose(curves_of([1.0, 0.5], [1.0, 0.5]), GUESSING, reason=reason).word == "diverged"
    assert diagnose(None, GUESSING, reason=reason).word == "diverged"
    empty = Curves(2, 3)
    assert str(diagnose(empty, reason="infeasible")) == "untrained: no epoch was finished (infeasible)."


def test_the_folds_that_were_trained_longest_are_looked_at():
    curves = curves_of(FALLING, TURNING)
    curves.values[1, 3:] = np.nan  # joined late and was trained to the score's epoch only
    train, validation = longest_means(curves)
    assert train.tolist() == FALLING
    assert validation.tolist() == TURNING
    assert diagnose(curves, GUESSING).word == "overfitting"


def test_a_network_that_says_the_class_frequencies_is_stuck_and_not_healthy():
    entropy = -(0.95 * math.log(0.95) + 0.05 * math.log(0.05))  # 0.1985, where log(2) would be 0.693
    assert diagnose(curves_of([0.20, 0.1985, 0.1985], [0.20, 0.1985, 0.1985]), entropy).word == "stuck"
