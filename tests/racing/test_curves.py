"""Curves: means over folds, the score and its epoch."""

import numpy as np

from automl.racing.curves import VALIDATION_LOSS, Curves, FoldEpoch


def curves_of(*validation: list[float], epochs: int = 5) -> Curves:
    """Curves with these validation losses by fold; the other values are zero."""
    curves = Curves(3, epochs)
    for fold, losses in enumerate(validation):
        curves.add(FoldEpoch(fold, epoch, 0.0, 0.0, loss, 0.0) for epoch, loss in enumerate(losses, 1))
    return curves


def test_the_score_is_the_lowest_fold_mean_at_one_epoch_for_all_folds():
    curves = curves_of([3.0, 1.0, 2.0], [1.0, 3.0, 1.0])
    assert curves.score() == 1.5
    assert curves.best_epoch() == 3
    # Each fold's own best epoch would flatter: (1 + 1) / 2.
    assert curves.score() > 1.0


def test_fold_epochs_count_what_was_trained():
    curves = curves_of([3.0, 2.0, 1.0], [3.0])
    assert curves.fold_epochs == 4
    assert curves.folds == 2
    assert curves.epochs() == 1
    assert curves.epochs(1) == 3


def test_a_mean_over_some_folds_covers_the_epochs_that_all_of_them_have():
    curves = curves_of([4.0, 2.0, 1.0], [2.0, 4.0])
    np.testing.assert_array_equal(curves.mean(VALIDATION_LOSS), [3.0, 3.0])
    np.testing.assert_array_equal(curves.mean(VALIDATION_LOSS, folds=1), [4.0, 2.0, 1.0])


def test_of_a_trial_that_was_stopped_midway_those_folds_count_that_are_as_long_as_the_first():
    assert curves_of([4.0, 2.0, 1.0], [2.0, 4.0, 2.0], [9.0]).longest.score() == 1.5
    assert curves_of([4.0, 2.0], [2.0, 1.0]).longest.score() == 1.5
    assert curves_of([4.0, 2.0], [2.0]).longest.folds == 1
    assert Curves(5, 20).longest.score() == float("inf")


def test_empty_curves_have_an_infinite_score_and_no_best_epoch():
    assert Curves(5, 20).score() == float("inf")
    assert Curves(5, 20).best_epoch() == 0
