"""Curves: means over folds, the score and its epoch."""

import numpy as np
import pytest

from automl.racing.curves import VALIDATION_LOSS, VALIDATION_METRIC, Curves, FoldEpoch
from automl.racing.objective import Objective

# Clearly worse in the end; the lowest averages of three are centred on epochs 3 and 5, of their mean on epoch 4.
EARLY = [9.0, 5.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0]
LATE = [9.0, 8.0, 6.0, 4.0, 3.0, 4.0, 6.0, 9.0]


def curves_of(*validation: list[float], epochs: int = 8) -> Curves:
    """Curves with these validation losses by fold; the train loss is their half, the metric 1 - loss / 10."""
    curves = Curves(3, epochs)
    for fold, losses in enumerate(validation):
        curves.add(FoldEpoch(fold, e, loss / 2, 0.0, loss, 1 - loss / 10) for e, loss in enumerate(losses, 1))
    return curves


def test_the_score_is_the_fold_mean_at_the_last_epoch_though_another_one_was_luckier():
    curves = curves_of([3.0, 1.0, 2.0], [1.0, 3.0, 1.5])
    assert curves.score() == 1.75
    assert curves.best_epoch() == 3
    assert curves.score(1, 2) == 1.0


def test_a_fold_is_scored_at_the_epoch_that_the_other_folds_choose():
    summary = curves_of(EARLY, LATE).summary()
    assert summary is not None
    assert summary.scores.tolist() == [EARLY[5 - 1], LATE[3 - 1]] == [6.0, 6.0]
    assert summary.score == 6.0  # where its own best epochs would say (4 + 3) / 2
    assert summary.best_epoch == 4  # of the mean, for a training with all of these data


def test_what_stands_beside_the_score_is_that_of_the_same_epochs():
    summary = curves_of(EARLY, LATE).summary()
    assert summary is not None
    assert summary.beside == pytest.approx(0.4)
    assert summary.gap == 3.0
    assert summary.spread == 0.0


def test_no_fold_has_a_say_in_its_own_epoch():
    """Independent: whatever a fold's curve looks like, the others' choice of its epoch stays the same."""
    rng = np.random.default_rng(0)
    others = np.stack([[EARLY, LATE]] * 4, axis=-1).reshape(2, 8, 4)
    for _ in range(50):
        own = rng.uniform(1, 9, (1, 8, 4))
        for scored in range(3):
            values = np.insert(others, scored, own, axis=0)
            summary = Curves.of(values).summary()
            assert summary is not None
            chosen = Curves.of(others).best_epoch()
            assert summary.by_fold[scored].tolist() == values[scored, chosen - 1].tolist()


def test_a_single_fold_chooses_for_itself():
    summary = curves_of(EARLY).summary()
    assert summary is not None
    assert (summary.score, summary.best_epoch, summary.spread) == (4.0, 3, None)


def test_where_greater_is_better_the_score_is_a_value_and_its_cost_is_negative():
    objective = Objective.of("classification", "accuracy")
    curves = Curves.of(curves_of(EARLY, LATE).values[:2], objective)
    summary = curves.summary()
    assert summary is not None
    assert summary.score == pytest.approx(0.4)
    assert curves.score() == pytest.approx(-0.4)
    assert summary.beside == 6.0
    assert curves.values[0, 4, VALIDATION_METRIC] == summary.scores[0]


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
    assert Curves(5, 20).summary() is None
    assert Curves(5, 20).score() == float("inf")
    assert Curves(5, 20).best_epoch() == 0
