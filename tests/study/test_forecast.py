"""How long the rest of a search will take."""

from __future__ import annotations

import optuna
import pytest

from automl.racing.curves import Curves, FoldEpoch
from automl.racing.ladder import parse_ladder
from automl.racing.race import Race
from automl.study.forecast import CARRYING_SHARE, FINAL_SHARE, FIRST_SHARE, MARGIN, RESCORING_SHARE, Forecast

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
def forecast(race: Race) -> Forecast:
    """Seconds per fold-epoch: trial 0 10, trial 1 1, trial 2 100."""
    forecast = Forecast(race)
    for trial, seconds in enumerate((20.0, 1.0, 100.0)):
        forecast.learn(trial, seconds, curves_of(2 if trial == 0 else 1))
    return forecast


def test_nothing_is_known_before_the_first_trial():
    forecast = Forecast(Race(LADDER))
    assert forecast.final_fit(None) == forecast.carrying(None) == 0.0
    forecast.learn(0, 5.0, Curves(1, 9))
    assert forecast.rates == {}


def test_the_final_fit_has_all_epochs_on_all_folds_data_of_the_dearest_finalist(forecast):
    # The two best candidates are 0 (higher up) and 1; trial 2 will not win.
    assert forecast.final_fit(None) == pytest.approx(10 * 9 * (5 / 4) * MARGIN)


def test_the_final_fit_may_be_that_of_a_trial_on_its_way_to_the_top(forecast, race):
    race.straight.add(2)
    race.standings[2].waiting, race.standings[2].climbing = False, True
    assert forecast.final_fit(None) == forecast.fit(2) == pytest.approx(100 * 9 * (5 / 4) * MARGIN)


def test_carrying_takes_the_fold_epochs_that_the_best_still_miss(forecast):
    assert forecast.carrying(None) == pytest.approx((10 * (45 - 2) + 1 * (45 - 1)) * MARGIN)


def test_carrying_takes_a_bounded_share_of_the_timeout(forecast):
    assert forecast.carrying(100) == FIRST_SHARE * 100  # the first finalist may take more than the others
    forecast.race.standings[2].complete = True
    assert forecast.carrying(100) == CARRYING_SHARE * 100
    assert forecast.carrying(1e9) == forecast.carrying(None)


def test_workers_carry_side_by_side(forecast):
    both = forecast.carrying(None)
    assert forecast.carrying(None, workers=2) == pytest.approx(10 * (45 - 2) * MARGIN)
    assert forecast.carrying(None, workers=2) < both
    assert forecast.carrying(None, workers=5) == forecast.carrying(None, workers=2)


def test_who_does_not_get_to_the_top_in_time_is_not_waited_for(forecast):
    assert forecast.in_time(left=500) == [0, 1]
    assert forecast.in_time(left=400) == [1]
    assert forecast.carrying(None, left=400) == pytest.approx(1 * (45 - 1) * MARGIN)


def test_where_nobody_gets_there_in_time_the_best_goes_as_far_as_it_gets(forecast, race):
    assert forecast.in_time(left=1) == [0, 1, 2]
    race.leave(2, complete=True)
    assert forecast.in_time(left=1) == []
    assert forecast.carrying(100, left=1) == 0.0


def test_beside_a_baseline_one_that_the_race_has_chosen_shall_get_there(forecast, race):
    race.straight.add(2)
    race.leave(2, complete=True)
    assert forecast.carrying(100) == FIRST_SHARE * 100


def test_the_final_fit_takes_a_bounded_share_of_the_timeout(forecast):
    assert forecast.final_fit(100) == FINAL_SHARE * 100


def test_a_finalist_less_is_carried_for_each_complete_trial(forecast, race):
    race.leave(0, complete=True)
    assert forecast.carrying(None) == pytest.approx(1 * (45 - 1) * MARGIN)
    race.leave(1, complete=True)
    assert forecast.carrying(None) == 0.0


def test_trials_of_earlier_sessions_count(race):
    study = optuna.create_study()
    for seconds, fold_epochs in ((20.0, 2), (0.0, 0), (7.0, 1)):
        trial = study.ask()
        trial.set_user_attr("seconds", seconds)
        trial.set_user_attr("fold_epochs", fold_epochs)
    study.ask()
    forecast = Forecast(race)
    forecast.recall(study.trials)
    assert forecast.rates == {0: 10.0, 2: 7.0}


class TestRescoring:
    def test_the_finalists_are_trained_once_more_for_each_repeat(self, forecast):
        assert forecast.rescoring(None) == 0.0  # `repeats` 1 is the search's own
        forecast.repeats = 3
        assert forecast.rescoring(None) == pytest.approx((10 + 1) * 2 * 45 * MARGIN)
        assert forecast.finish(None) == pytest.approx(forecast.final_fit(None) + forecast.rescoring(None))

    def test_nothing_is_kept_for_it_where_the_share_of_the_timeout_would_not_do_for_two(self, forecast):
        forecast.repeats = 2
        needed = (10 + 1) * 45 * MARGIN
        assert forecast.rescoring(needed / RESCORING_SHARE * 1.01) == pytest.approx(needed)
        assert forecast.rescoring(needed / RESCORING_SHARE * 0.99) == 0.0

    def test_a_third_finalist_gets_what_is_left_of_the_share(self, forecast, race):
        forecast.repeats, race.finalists = 2, 3
        two = (10 + 1) * 45 * MARGIN
        timeout = two / RESCORING_SHARE * 1.5
        assert forecast.rescoring(timeout) == pytest.approx(RESCORING_SHARE * timeout)


def test_an_ensemble_may_need_every_fold_again(forecast):
    forecast.final = "ensemble"
    assert forecast.final_fit(None) == pytest.approx(10 * 9 * 5 * MARGIN)


def test_the_final_fit_may_be_that_of_the_only_trial_wherever_it_is_broken_off():
    race = Race(LADDER)
    race.start(0)
    race.record(0, 0, 1.0)
    race.standings[0].waiting, race.standings[0].climbing = False, True  # to the second rung of five
    forecast = Forecast(race)
    forecast.learn(0, 10.0, curves_of(1))
    assert forecast.final_fit(None) == pytest.approx(10 * 9 * (5 / 4) * MARGIN)
    assert forecast.rescoring(None) == 0


def test_a_fold_of_its_own_takes_longer_than_its_share_of_a_fused_step(race):
    fused, serial = Forecast(race, fused=True), Forecast(race)
    for forecast in (fused, serial):
        forecast.learn(0, 20.0, curves_of(2))
    assert fused.refit_epoch(0) == pytest.approx(1.6 * serial.refit_epoch(0))
