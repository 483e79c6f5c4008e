"""How long the rest of a search will take."""

from __future__ import annotations

import optuna
import pytest

from automl.racing.curves import VALIDATION_LOSS, Curves, FoldEpoch
from automl.racing.ladder import parse_ladder
from automl.racing.race import Race
from automl.scheduling.time_estimates import (
    CARRYING_SHARE,
    FINAL_SHARE,
    FIRST_SHARE,
    MARGIN,
    RESCORING_SHARE,
    TEST_SHARE,
    TimeEstimates,
)

LADDER = parse_ladder("1x1,2x1,3x1,5x2,9x5", 9, 5)


def curves_of(fold_epochs: int) -> Curves:
    curves = Curves(1, 9)
    curves.add(FoldEpoch(0, epoch, 1.0, 0.0, 1.0, 0.0) for epoch in range(1, fold_epochs + 1))
    return curves


@pytest.fixture
def race() -> Race:
    """Trial 0 waits at rung 1, trials 1 and 2 at rung 0; their scores 2, 1, 3."""
    race = Race(LADDER, finalists=2)
    for trial, score in enumerate((2.0, 1.0, 3.0)):
        race.start(trial)
        race.record(trial, 0, score)
    race.record(0, 1, 2.0)
    return race


@pytest.fixture
def estimates(race: Race) -> TimeEstimates:
    """Seconds per fold-epoch: trial 0 10, trial 1 1, trial 2 100."""
    estimates = TimeEstimates(race)
    for trial, seconds in enumerate((20.0, 1.0, 100.0)):
        estimates.learn(trial, seconds, curves_of(2 if trial == 0 else 1))
    return estimates


def test_nothing_is_known_before_the_first_trial():
    estimates = TimeEstimates(Race(LADDER))
    assert estimates.final_fit(None) == estimates.carrying(None) == 0.0
    estimates.learn(0, 5.0, Curves(1, 9))
    assert estimates.rates == {}


def test_the_final_fit_has_all_epochs_on_all_folds_data_of_the_dearest_finalist(estimates):
    # The two best candidates are 0 (higher up) and 1; trial 2 will not win.
    assert estimates.final_fit(None) == pytest.approx(10 * 9 * (5 / 4) * MARGIN)


def test_the_final_fit_may_be_that_of_a_trial_on_its_way_to_the_top(estimates, race):
    race.fast_tracked.add(2)
    race.set_climbing(2, True)
    assert estimates.final_fit(None) == estimates.fit(2) == pytest.approx(100 * 9 * (5 / 4) * MARGIN)


def test_carrying_takes_the_fold_epochs_that_the_best_still_miss(estimates):
    assert estimates.carrying(None) == pytest.approx((10 * (45 - 2) + 1 * (45 - 1)) * MARGIN)


def test_carrying_takes_a_bounded_share_of_the_timeout(estimates):
    assert estimates.carrying(100) == FIRST_SHARE * 100  # the first finalist may take more than the others
    estimates.race.leave(2, complete=True)
    assert estimates.carrying(100) == CARRYING_SHARE * 100
    assert estimates.carrying(1e9) == estimates.carrying(None)


def test_workers_carry_side_by_side(estimates):
    both = estimates.carrying(None)
    assert estimates.carrying(None, workers=2) == pytest.approx(10 * (45 - 2) * MARGIN)
    assert estimates.carrying(None, workers=2) < both
    assert estimates.carrying(None, workers=5) == estimates.carrying(None, workers=2)


def test_who_does_not_get_to_the_top_in_time_is_not_waited_for(estimates):
    assert estimates.in_time(left=500) == [0, 1]
    assert estimates.in_time(left=400) == [1]
    assert estimates.carrying(None, left=400) == pytest.approx(1 * (45 - 1) * MARGIN)


def test_where_nobody_gets_there_in_time_the_best_goes_as_far_as_it_gets(estimates, race):
    assert estimates.in_time(left=1) == [0, 1, 2]
    race.leave(2, complete=True)
    assert estimates.in_time(left=1) == []
    assert estimates.carrying(100, left=1) == 0.0


def test_beside_a_baseline_one_that_the_race_has_chosen_shall_get_there(estimates, race):
    race.fast_tracked.add(2)
    race.leave(2, complete=True)
    assert estimates.carrying(100) == FIRST_SHARE * 100


def test_the_final_fit_takes_a_bounded_share_of_the_timeout(estimates):
    assert estimates.final_fit(100) == FINAL_SHARE * 100


def test_a_finalist_less_is_carried_for_each_complete_trial(estimates, race):
    race.leave(0, complete=True)
    assert estimates.carrying(None) == pytest.approx(1 * (45 - 1) * MARGIN)
    race.leave(1, complete=True)
    assert estimates.carrying(None) == 0.0


def test_trials_of_earlier_sessions_count(race):
    study = optuna.create_study()
    for seconds, fold_epochs in ((20.0, 2), (0.0, 0), (7.0, 1)):
        trial = study.ask()
        trial.set_user_attr("seconds", seconds)
        trial.set_user_attr("fold_epochs", fold_epochs)
    study.ask()
    estimates = TimeEstimates(race)
    estimates.recall(study.trials)
    assert estimates.rates == {0: 10.0, 2: 7.0}


class TestRescoring:
    def test_the_finalists_are_trained_once_more_for_each_repeat(self, estimates):
        assert estimates.rescoring(None) == 0.0  # `repeats` 1 is the search's own
        estimates.repeats = 3
        assert estimates.rescoring(None) == pytest.approx((10 + 1) * 2 * 45 * MARGIN)
        rest = estimates.final_fit(None) + estimates.inspection(None)
        assert estimates.finish(None) == pytest.approx(rest + estimates.rescoring(None))

    def test_nothing_is_kept_for_it_where_the_share_of_the_timeout_would_not_do_for_two(self, estimates):
        estimates.repeats = 2
        needed = (10 + 1) * 45 * MARGIN
        assert estimates.rescoring(needed / RESCORING_SHARE * 1.01) == pytest.approx(needed)
        assert estimates.rescoring(needed / RESCORING_SHARE * 0.99) == 0.0

    def test_a_third_finalist_gets_what_is_left_of_the_share(self, estimates, race):
        estimates.repeats, race.finalists = 2, 3
        two = (10 + 1) * 45 * MARGIN
        timeout = two / RESCORING_SHARE * 1.5
        assert estimates.rescoring(timeout) == pytest.approx(RESCORING_SHARE * timeout)


def test_an_ensemble_may_need_every_fold_again(estimates):
    estimates.final = "ensemble"
    assert estimates.final_fit(None) == pytest.approx(10 * 9 * 5 * MARGIN)


def test_the_final_fit_may_be_that_of_the_only_trial_wherever_it_is_broken_off():
    race = Race(LADDER)
    race.start(0)
    race.record(0, 0, 1.0)
    race.set_climbing(0, True)  # to the second rung of five
    estimates = TimeEstimates(race)
    estimates.learn(0, 10.0, curves_of(1))
    assert estimates.final_fit(None) == pytest.approx(10 * 9 * (5 / 4) * MARGIN)
    assert estimates.rescoring(None) == 0


def test_a_fold_of_its_own_takes_longer_than_its_share_of_a_fused_step(race):
    fused, serial = TimeEstimates(race, fused=True), TimeEstimates(race)
    for estimates in (fused, serial):
        estimates.learn(0, 20.0, curves_of(2))
    assert fused.refit_epoch(0) == pytest.approx(1.6 * serial.refit_epoch(0))


@pytest.mark.parametrize(("timeout", "seconds"), [(None, 10.0), (60.0, 1.8), (3600.0, 10.0)])
def test_a_search_keeps_time_for_a_look_at_its_data(timeout, seconds):
    estimates = TimeEstimates(Race(LADDER))
    assert estimates.inspection(timeout) == pytest.approx(seconds)
    ending = 0.0 if timeout is None else min(10.0, 0.015 * timeout)
    assert estimates.finish(timeout) == pytest.approx(seconds + ending)


def test_a_waiting_trial_is_not_carried_where_its_final_fit_would_not_fit_any_more(estimates, race):
    race.leave(0, complete=True)
    kept, own = estimates.final_fit(None), estimates.fit(2)
    climb = estimates.to_the_top(2)
    assert kept < own
    assert estimates.in_time(left=climb + own - kept + 1) == [1, 2]
    assert estimates.in_time(left=climb + 1) == [1]


def test_nothing_is_kept_for_the_final_fit_of_a_slow_trial_that_something_complete_is_ahead_of(estimates, race):
    race.leave(1, complete=True)
    assert estimates.final_fit(None) == estimates.fit(1) < estimates.fit(0)


def test_nothing_is_kept_for_a_dear_complete_trial_that_another_one_is_far_ahead_of(estimates, race):
    for trial, score in ((1, 1.0), (2, 1.3)):
        race.pass_by(trial, race.top, score)
        race.leave(trial, complete=True)
    dear = estimates.final_fit(None)
    race.pass_by(2, race.top, 1.4)
    assert estimates.final_fit(None) == pytest.approx(dear / 100)


def test_what_was_complete_after_few_epochs_is_scored_again_for_as_many_and_fitted_for_twice_as_many_at_most(race):
    estimates = TimeEstimates(race, repeats=2)
    overfitted = curves_of(9)
    overfitted.values[:, :, VALIDATION_LOSS] = [1.0, 0.5, 0.2, 0.6, 0.9, 1.2, 1.5, 1.8, 2.1]
    assert overfitted.best_epoch() == 3
    estimates.learn(0, 18.0, overfitted)
    all_epochs = estimates.fit(0)
    race.leave(0, complete=True)
    assert estimates.fit(0) == pytest.approx(all_epochs * 6 / 9)
    estimates.rates |= {1: 0.0, 2: 0.0}
    assert estimates.rescoring(None) == pytest.approx(2 * 3 * 5 * MARGIN)


def test_time_is_kept_for_the_test_by_what_the_networks_that_may_win_take_for_a_sample(race):
    estimates = TimeEstimates(race, tested=1000)
    for trial, prediction in enumerate((0.02, 0.01, 0.5)):
        estimates.learn(trial, 1.0, curves_of(1), prediction)
    assert estimates.test(None) == pytest.approx(0.02 * 1000 * MARGIN)  # trial 0 is ahead, trial 2 will not win
    assert estimates.test(50) == TEST_SHARE * 50
    estimates.final = "ensemble"
    assert estimates.test(None) == pytest.approx(0.02 * 1000 * 5 * MARGIN)
    kept = estimates.final_fit(None) + estimates.rescoring(None) + estimates.inspection(None)
    assert estimates.finish(None) == pytest.approx(kept + estimates.test(None))
