"""One climb of a table's trial: how it ends, and what it costs."""

import numpy as np
import pytest

from automl.racing.climb import climb
from automl.racing.curves import Curves, FoldEpoch
from automl.racing.ladder import parse_ladder
from automl.racing.overfitting import OverfittingRule, verdict_at
from automl.racing.race import Race

LADDER = parse_ladder("1x1,2x1,4x1,9x2,20x5", 20, 5)
HEALTHY = np.linspace(1.0, 0.1, 20)
TURNING = np.concatenate([np.linspace(1.0, 0.5, 4), np.linspace(0.55, 1.5, 16)])  # lowest around epoch 5


class Table:
    """Recorded validation losses in the place of training; the train loss falls all along."""

    def __init__(self, validation):
        self.validation = validation
        self.done = [0] * 5

    def advance(self, epochs, folds):
        for epoch in range(1, epochs + 1):
            behind = [fold for fold in range(folds) if self.done[fold] < epoch]
            if behind:
                for fold in behind:
                    self.done[fold] = epoch
                yield [FoldEpoch(f, epoch, 1 / epoch, 0.0, float(self.validation[epoch - 1]), 0.0) for f in behind]


def finish(race, trial, rung, run, curves, rule=None):
    steps = climb(race, trial, rung, run, curves, rule or OverfittingRule(3))
    while True:
        try:
            next(steps)
        except StopIteration as ended:
            return ended.value


def start(validation, others=()):
    race = Race(LADDER)
    for number, score in enumerate(others, 100):
        race.start(number)
        for rung in range(5):
            race.record(number, rung, score)
    race.start(0)
    return race, Table(validation), Curves(5, 20)


def test_a_healthy_trial_reaches_each_rung_and_completes_at_the_top():
    race, run, curves = start(HEALTHY)
    costs = []
    for rung in range(5):
        outcome = finish(race, 0, rung, run, curves)
        assert outcome.verdict is None
        costs.append(curves.fold_epochs)
    assert costs == [1, 2, 4, 18, 100]
    assert race.standings[0].complete
    assert outcome.score == pytest.approx(0.1)


def test_a_trial_whose_checkpoint_is_ahead_of_its_rung_is_scored_by_the_rungs_epochs():
    """One that went straight to the top, was interrupted, and goes on in a search that is in no hurry."""
    race, run, curves = start(HEALTHY)
    for results in run.advance(12, 5):
        curves.add(results)
    assert finish(race, 0, 1, run, curves).score == pytest.approx(HEALTHY[1])
    assert finish(race, 0, 4, run, curves).score == pytest.approx(HEALTHY[-1])


def test_an_overfitting_trial_that_would_not_climb_is_pruned_at_the_verdict():
    race, run, curves = start(TURNING, others=[0.1, 0.2, 0.3, 0.4])
    for rung in range(3):
        assert finish(race, 0, rung, run, curves).verdict is None
    outcome = finish(race, 0, 3, run, curves)
    assert (outcome.verdict.epoch, outcome.verdict.best_epoch) == (9, 5)
    assert curves.fold_epochs == 2 * 9  # two folds until the verdict, no epoch more
    assert race.standings[0].scores[3] == pytest.approx(0.55)
    assert not race.standings[0].complete


def test_an_overfitting_trial_that_would_climb_completes_on_all_folds_at_its_best_epoch():
    race, run, curves = start(TURNING, others=[0.9, 0.9, 0.9, 0.9])
    for rung in range(3):
        finish(race, 0, rung, run, curves)
    outcome = finish(race, 0, 3, run, curves)
    assert outcome.verdict.best_epoch == 5
    assert outcome.score == pytest.approx(0.55)
    assert run.done == [9, 9, 5, 5, 5]
    assert curves.best_epoch() == 5
    assert race.standings[0].complete


def test_in_the_last_epoch_of_all_nothing_is_left_to_be_saved_and_the_trial_is_complete():
    late = np.concatenate([np.linspace(1.0, 0.5, 15), np.linspace(0.52, 0.84, 5)])
    race, run, curves = start(late, others=[0.1, 0.2, 0.3, 0.4])
    for rung in range(4):
        finish(race, 0, rung, run, curves)
    outcome = finish(race, 0, 4, run, curves)
    assert verdict_at(curves, OverfittingRule(3), 5, 19) is None
    assert verdict_at(curves, OverfittingRule(3), 5, 20) is not None
    assert outcome.verdict is None
    assert race.standings[0].complete
    assert (outcome.score, curves.best_epoch()) == (pytest.approx(late[14]), 15)


def test_without_the_rule_a_trial_is_trained_to_its_rung():
    race, run, curves = start(TURNING)
    steps = climb(race, 0, 4, run, curves, None)
    assert sum(1 for _ in steps) == 20
    assert curves.fold_epochs == 100


def test_every_epoch_is_entered_before_it_is_shown():
    race, run, curves = start(HEALTHY)
    for epoch, results in enumerate(climb(race, 0, 2, run, curves, OverfittingRule(3)), 1):
        assert curves.epochs() == epoch
        assert [r.epoch for r in results] == [epoch]


def test_who_goes_straight_to_the_top_leaves_its_score_at_every_rung_that_it_passes():
    race, run, curves = start(HEALTHY)
    race.fast_tracked.add(0)
    assert finish(race, 0, 0, run, curves).verdict is None
    finish(race, 0, 4, run, curves)
    assert race.standings[0].scores == pytest.approx({rung: HEALTHY[r.epochs - 1] for rung, r in enumerate(LADDER)})
    for number in (1, 2, 3):  # three that are worse send nobody on past it
        race.start(number)
        for rung in range(4):
            race.record(number, rung, 2.0 + number)
    assert race.promote() is None


def test_who_is_stopped_on_the_way_straight_up_leaves_its_score_at_the_rungs_that_it_has_passed():
    race, run, curves = start(TURNING)
    race.fast_tracked.add(0)
    finish(race, 0, 4, run, curves)
    assert {rung: score for rung, score in race.standings[0].scores.items() if rung < 4} == pytest.approx(
        {0: TURNING[0], 1: TURNING[1], 2: TURNING[3], 3: TURNING[4]}
    )
