"""The baseline of a short search."""

from __future__ import annotations

import pytest

from automl.racing.ladder import parse_ladder
from automl.racing.objective import Objective
from automl.racing.race import Race
from automl.scheduling.baseline import FEW, FITTING, all_begun, choose_baseline
from automl.scheduling.time_estimates import TimeEstimates

LADDER = parse_ladder("1x1,2x1,3x1,5x2,9x5", 9, 5)
RATE = 2.0  # seconds per fold-epoch
TO_THE_TOP = RATE * (45 - 1)


def race_of(*scores: tuple[str, float]) -> Race:
    """Trials of these families wait at the first rung with these scores."""
    race = Race(LADDER)
    for trial, (family, score) in enumerate(scores):
        race.start(trial)
        race.assign(trial, family)
        race.record(trial, 0, score)
    return race


def chosen(
    race: Race, left: float = 2 * TO_THE_TOP, workers: int = 1, fused: bool = False, metric: str | None = None
) -> int | None:
    estimates = TimeEstimates(race, fused=fused)
    estimates.rates = dict.fromkeys(race.standings, RATE)
    objective = Objective.of("regression" if metric == "r2" else "classification", metric)
    return choose_baseline(race, len(race.standings), estimates, left, workers, objective)


def test_it_is_the_first_config_of_the_space_though_others_learn_faster():
    assert chosen(race_of(("resnet", 1.8), ("lenet", 1.2), ("resnet", 1.7))) == 0


def test_it_is_another_one_of_the_same_architecture_that_is_better_beyond_luck():
    assert chosen(race_of(("resnet", 1.8), ("lenet", 0.9), ("resnet", 1.3))) == 0
    assert chosen(race_of(("resnet", 1.8), ("lenet", 0.9), ("resnet", 1.2))) == 2


def test_it_is_another_architecture_where_the_first_does_not_suit_the_data_at_all():
    assert chosen(race_of(("airbench", 1.8), ("resnet", 0.7), ("airbench", 1.7))) == 0
    assert chosen(race_of(("airbench", 1.8), ("resnet", 0.5), ("lenet", 0.4), ("airbench", 1.7))) == 1
    assert chosen(race_of(("airbench", 1.8), ("resnet", 0.5), ("airbench", 1.1), ("resnet", 0.1))) == 3


@pytest.mark.parametrize("metric", ["accuracy", "balanced_accuracy", "macro_f1", "auroc", "r2"])
def test_where_greater_is_better_the_errors_are_compared(metric):
    def against(first: float, second: float) -> int | None:
        return chosen(race_of(("resnet", -first), ("resnet", -second)), metric=metric)

    assert against(0.80, 0.999) == 1  # errors 0.2 and 0.001: mirrored digits
    assert against(0.80, 0.87) == 1
    assert against(0.80, 0.85) == 0  # a quarter less
    assert against(0.10, 0.30) == 0
    if metric == "r2":
        assert against(-1.0, 0.3) == 1  # worse than the mean


def test_there_is_none_where_the_race_has_time_to_find_its_way():
    race = race_of(("resnet", 1.0))
    assert chosen(race, left=FEW * TO_THE_TOP) == 0
    assert chosen(race, left=FEW * TO_THE_TOP + 1) is None
    assert chosen(race, left=FEW * TO_THE_TOP, workers=2) is None


def test_there_is_none_where_it_does_not_fit_into_the_time():
    race = race_of(("resnet", 1.0))
    assert chosen(race, left=TO_THE_TOP / FITTING * 1.01) == 0
    assert chosen(race, left=TO_THE_TOP / FITTING * 0.99) is None


def test_workers_share_out_its_folds_so_that_more_fits():
    race = race_of(("resnet", 1.0))
    assert chosen(race, left=0.6 * TO_THE_TOP / FITTING * 1.01, workers=2) == 0
    assert chosen(race, left=0.6 * TO_THE_TOP / FITTING * 0.99, workers=2) is None
    assert chosen(race, left=0.2 * TO_THE_TOP / FITTING * 1.01, workers=8) == 0
    assert chosen(race, left=0.6 * TO_THE_TOP / FITTING * 1.01, workers=2, fused=True) is None


def test_the_next_architecture_has_its_turn_where_the_first_does_not_fit():
    race = race_of(("resnet", 1.0), ("resnet", 1.1), ("lenet", 1.5))
    estimates = TimeEstimates(race)
    estimates.rates = {0: 10 * RATE, 1: 10 * RATE, 2: RATE}
    assert choose_baseline(race, 3, estimates, 2 * TO_THE_TOP, 1, Objective()) == 2


def test_a_first_epoch_that_was_slow_does_not_count_where_another_config_of_the_architecture_was_quicker():
    race = race_of(("resnet", 1.0), ("lenet", 1.5), ("resnet", 1.1))
    estimates = TimeEstimates(race)
    estimates.rates = {0: 10 * RATE, 1: RATE, 2: RATE}
    assert choose_baseline(race, 3, estimates, 2 * TO_THE_TOP, 1, Objective()) == 0


def test_there_is_none_where_one_of_them_is_complete_or_all_have_failed():
    race = race_of(("resnet", 1.0), ("resnet", 1.1))
    race.leave(1, complete=True)
    assert chosen(race) is None
    race = race_of(("resnet", 1.0))
    race.leave(0)
    assert chosen(race) is None


def test_the_next_one_takes_the_place_of_a_config_that_cannot_run():
    race = race_of(("resnet", 1.0), ("lenet", 1.5))
    race.leave(0)
    assert chosen(race) == 1


def test_all_have_begun_when_each_has_come_to_the_first_rung_or_failed():
    race = race_of(("resnet", 1.0))
    assert not all_begun(race, 2)
    race.start(1)
    assert not all_begun(race, 2)
    race.leave(1)
    assert all_begun(race, 2)


def test_who_goes_straight_to_the_top_is_completed_when_the_overfitting_rule_stops_it():
    race = race_of(("resnet", 1.8), ("resnet", 1.0), ("resnet", 1.1), ("resnet", 1.2))
    assert not race.would_promote(0, race.top, 1.8)
    race.fast_tracked.add(0)
    assert race.would_promote(0, race.top, 1.8)


@pytest.mark.parametrize("rung", range(len(LADDER) - 1))
def test_who_goes_straight_to_the_top_climbs_before_all_others_and_at_once(rung):
    race = race_of(*[("resnet", float(score)) for score in range(9)])
    for reached in range(1, rung + 1):
        race.record(8, reached, 9.0)
    race.fast_tracked.add(8)
    assert race.promote() == (8, len(LADDER) - 1)
    assert race.promote() == (0, 1)
