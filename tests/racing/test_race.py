"""Who may climb: asynchronous successive halving with promotion."""

from automl.racing.ladder import make_ladder, parse_ladder
from automl.racing.race import Race

LADDER = parse_ladder("1x1,2x1,3x1,5x2,9x5", 9, 5)


def race_with(scores: dict[int, float], rung: int = 0, eta: float = 2.5) -> Race:
    race = Race(LADDER, eta=eta)
    for trial, score in scores.items():
        race.start(trial)
        for reached in range(rung + 1):
            race.record(trial, reached, score)
    return race


def test_nobody_climbs_before_there_are_enough_scores():
    assert race_with({0: 1.0, 1: 2.0}).promote() is None


def test_the_best_floor_of_n_by_eta_may_climb_best_first():
    race = race_with({0: 5.0, 1: 1.0, 2: 3.0, 3: 2.0, 4: 4.0})
    assert race.promote() == (1, 1)
    assert race.promote() == (3, 1)
    assert race.promote() is None


def test_the_highest_rung_goes_first():
    race = race_with({0: 5.0, 1: 1.0, 2: 3.0, 3: 2.0, 4: 4.0})
    for trial, score in ((10, 0.5), (11, 0.6), (12, 0.7)):
        race.start(trial)
        race.record(trial, 0, score)
        race.record(trial, 1, score)
    assert race.promote() == (10, 2)


def test_a_trial_on_its_way_is_not_promoted_again_but_its_score_still_counts():
    race = race_with({0: 1.0, 1: 2.0, 2: 3.0})
    assert race.promote() == (0, 1)
    assert race.promote() is None
    assert race.waiting == [1, 2]


def test_scores_of_trials_that_left_still_count_at_their_rung():
    race = race_with({0: 1.0, 1: 2.0})
    race.start(2)
    race.leave(2, rung=0, score=3.0)
    assert race.promote() == (0, 1)


def test_failed_trials_leave_no_score():
    race = race_with({0: 1.0, 1: 2.0})
    race.start(2)
    race.leave(2)
    assert race.promote() is None


def test_the_top_rung_completes_a_trial():
    race = race_with({0: 1.0}, rung=3)
    assert race.complete == 0
    race.record(0, 4, 0.5)
    assert race.complete == 1
    assert race.waiting == []


def test_at_the_end_the_best_waiting_trial_is_carried_until_there_are_enough_finalists():
    race = race_with({0: 3.0, 1: 2.0, 2: 1.0, 3: 0.5})
    for finalist in (3, 2, 1):
        for rung in range(1, len(LADDER)):
            assert race.carry() == (finalist, rung)
            race.record(finalist, rung, 1.0)
    assert race.complete == 3
    assert race.carry() is None
    assert race.waiting == [0]


def test_who_does_not_fit_into_the_time_is_not_carried():
    race = race_with({0: 2.0, 1: 1.0})
    assert not race.is_over(closing=True, fits={0}.__contains__)
    assert race.carry(fits={0}.__contains__) == (0, 1)
    race.record(0, 1, 1.0)
    assert race.carry(fits=set().__contains__) is None
    assert race.is_over(closing=True, fits=set().__contains__)


def test_a_higher_rung_is_carried_before_a_better_score():
    race = race_with({0: 3.0, 1: 1.0})
    race.record(0, 1, 3.0)
    assert race.carry() == (0, 2)


def test_an_overfitting_trial_would_climb_when_its_score_is_among_the_best():
    race = race_with({0: 1.0, 1: 2.0, 2: 3.0, 3: 4.0})
    race.start(4)
    assert race.would_promote(4, 0, 0.5)
    assert race.would_promote(4, 0, 1.5)
    assert not race.would_promote(4, 0, 2.5)


def test_with_too_few_scores_at_a_rung_the_rank_at_the_highest_rung_with_enough_counts():
    race = race_with({0: 1.0, 1: 2.0, 2: 3.0})
    race.record(1, 1, 0.5)
    assert race.would_promote(0, 1, 0.9)  # best of three at rung 0; at rung 1 there are only two
    assert not race.would_promote(2, 1, 0.9)


def test_a_trial_that_races_alone_has_no_rank():
    race = race_with({0: 1.0})
    assert race.carry() == (0, 1)
    assert not race.would_promote(0, 1, 0.9)


class TestFamilies:
    def race_of(self, scores: dict[str, list[float]]) -> tuple[Race, dict[int, str]]:
        race, families = Race(LADDER), {}
        for family, values in scores.items():
            for value in values:
                trial = len(families)
                race.start(trial)
                families[trial] = family
                race.assign(trial, family)
                race.record(trial, 0, value)
        return race, families

    def test_a_family_that_learns_slowly_has_its_share_of_the_promotions(self):
        race, families = self.race_of({"fast": [1.0, 1.1, 1.2], "slow": [2.0, 2.1, 2.2]})
        climbing = []
        while (step := race.promote()) is not None:
            climbing.append(step[0])
        assert [families[trial] for trial in climbing] == ["fast", "slow"]
        assert climbing == [0, 3]

    def test_no_more_climb_than_with_one_family(self):
        race, _ = self.race_of({str(family): [float(family), family + 0.5] for family in range(9)})
        climbing = 0
        while race.promote() is not None:
            climbing += 1
        assert climbing == 18 // 3

    def test_a_family_of_one_waits_for_larger_ones_unless_it_is_far_ahead_of_them_all(self):
        def climbing(one: float) -> list[int]:
            race, _ = self.race_of({"many": [1.0, 1.1, 1.2, 1.3], "one": [one]})
            steps = iter(race.promote, None)
            return [step[0] for step in steps if step is not None]

        assert climbing(0.7) == [0]
        assert climbing(0.6) == [4, 0]

    def test_below_the_top_the_score_alone_counts(self):
        race, families = self.race_of({"fast": [1.0, 1.1], "slow": [2.0]})
        for trial, value in {0: 0.9, 1: 0.95, 2: 0.5}.items():  # the slow one has caught up
            race.record(trial, race.top - 1, value)
        assert race.promote() == (2, race.top)
        assert families[2] == "slow"


def test_unfinished_are_those_on_their_way_those_that_earned_their_next_rung_and_the_best_up_to_the_finalists():
    race = race_with({trial: float(trial) for trial in range(9)}, eta=3.0)
    assert race.promote() == (0, 1)
    assert race.unfinished() == {0, 1, 2}
    race.finalists = 5
    assert race.unfinished() == {0, 1, 2, 3, 4}
    race.record(0, 1, 0.0)
    race.leave(0, complete=True)
    assert race.unfinished() == {1, 2, 3, 4}


def test_a_race_that_is_over_has_none_unfinished():
    race = race_with({0: 1.0, 1: 2.0, 2: 3.0}, eta=3.0)
    race.finalists = 1
    race.leave(0, complete=True)
    assert race.unfinished() == set()


def on_all_epochs(scores: dict[int, float]) -> Race:
    """Trials on the rung below the top of 1x1 2x1 4x1 9x2 20x2 20x5, where only folds are missing."""
    race = Race(make_ladder(20, 5))
    for trial, score in scores.items():
        race.start(trial)
        for rung in range(race.top):
            race.record(trial, rung, score)
    return race


def test_where_only_folds_are_missing_the_best_climbs_at_once_and_who_is_as_good_and_nobody_else():
    race = on_all_epochs({0: 1.0})
    assert race.promote() == (0, race.top)
    race = on_all_epochs({trial: 1.0 + trial / 25 for trial in range(9)})
    assert [race.promote(), race.promote(), race.promote()] == [(0, race.top), (1, race.top), None]


def test_who_beats_the_complete_ones_on_the_folds_that_it_has_gets_the_others():
    race = on_all_epochs({0: 1.0, 1: 2.0, 2: 0.5})
    race.record(0, race.top, 0.9)
    assert race.promote() == (2, race.top)
    assert race.promote() is None


def test_who_led_and_left_bars_nobodys_way():
    race = on_all_epochs({0: 1.0, 1: 2.0})
    race.leave(0)
    assert race.promote() == (1, race.top)
