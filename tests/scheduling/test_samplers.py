"""Samplers by name, and the view that lets them learn from trials which still race."""

from __future__ import annotations

import importlib.util
import math

import optuna
import pytest
from optuna.trial import TrialState

from automl.errors import SettingsError
from automl.racing.ladder import make_ladder
from automl.racing.race import Race
from automl.scheduling.grid import make_grid
from automl.scheduling.samplers import BEST, LEARNT_FROM, make_sampler, standings_of
from automl.spaces.parameters import Choice, Float, Int
from automl.spaces.space import Space
from automl.study.reasons import BROKEN, VIOLATION
from automl.study.standings import recall_race, standing_attribute
from automl.study.storage.cache import STANDING

needs_cmaes = pytest.mark.skipif(importlib.util.find_spec("cmaes") is None, reason="the package cmaes is not installed")
SAMPLERS = ["tpe", "random", "grid", "gp", pytest.param("cmaes", marks=needs_cmaes)]

SPACE = Space(
    architectures={
        "deep": {"depth": Int(1, 5), "norm": Choice("a", "b", None)},
        "flat": {"width": Int(4, 32, log=True)},
    },
    training={"lr": Float(1e-4, 1e-1, log=True), "weight_decay": 0.0, "batch_size": 32},
    optimizers={"sgd": {"momentum": Float(0.0, 0.9)}},
    schedules={"constant": {}},
    augmentations={"none": {}},
)
TRAINED = ({}, {"sgd": {}}, {"constant": {}}, {"none": {}})
PLANE = Space({"net": {"x": Float(0.0, 1.0), "y": Float(0.0, 1.0)}}, *TRAINED)


def study_with(name, space=SPACE, seed=0, worker=0, trials=0, standings=dict):
    sampler = make_sampler(name, seed, worker, trials, space, standings)
    return optuna.create_study(direction="minimize", sampler=sampler)


def draws(number, name="tpe", space=SPACE, **given):
    study = study_with(name, space, **given)
    return [space.suggest(study.ask()) for _ in range(number)]


@pytest.mark.parametrize("name", ["tpe", "gp"])
def test_the_first_trials_try_every_architecture_twice(name):
    names = [f"net{number}" for number in range(9)]
    many = Space({each: {"x": Float(0.0, 1.0)} for each in names}, *TRAINED)
    drawn = [config["architecture"] for config in draws(18, name, many)]
    assert sorted(drawn) == sorted(names * 2)


@pytest.mark.parametrize("name", SAMPLERS)
def test_every_sampler_works_in_a_study_with_complete_pruned_failed_and_running_trials(name):
    study = study_with(name)
    for number in range(16):
        trial = study.ask()
        config = SPACE.suggest(trial)
        assert config["architecture"] in SPACE.architectures
        assert 1e-4 <= config["train.lr"] <= 1e-1
        trial.report(config["train.lr"], 1)
        if number % 4 == 0:
            study.tell(trial, config["train.lr"])
        elif number % 4 == 1:
            study.tell(trial, state=optuna.trial.TrialState.PRUNED)
        elif number % 4 == 2:
            study.tell(trial, state=optuna.trial.TrialState.FAIL)
    assert len({tuple(trial.params.items()) for trial in study.trials}) > 8


def test_a_missing_package_is_named_with_the_remedy():
    if importlib.util.find_spec("cmaes"):
        pytest.skip("the package cmaes is installed")
    with pytest.raises(SettingsError, match=r"--sampler cmaes needs the package cmaes: pip install 'automl\[cmaes\]'"):
        study_with("cmaes")


class TestGrid:
    def test_it_holds_both_ends_and_the_middle_of_ranges_and_all_choices(self):
        grid = make_grid(SPACE)
        assert grid["deep.depth"] == [1, 3, 5]
        assert grid["deep.norm"] == ["a", "b", None]
        assert grid["flat.width"] == [4, 11, 32]
        assert grid["train.lr"] == pytest.approx([1e-4, math.sqrt(1e-5), 1e-1])
        assert (grid["train.lr"][0], grid["train.lr"][-1]) == (1e-4, 1e-1)
        assert "train.batch_size" not in grid

    @pytest.mark.parametrize(
        "domain",
        [
            Int(1, 4, step=3), Int(2, 10, step=4), Int(0, 5), Int(7, 7), Int(1, 2), Int(1, 1000, log=True),
            Float(0.0, 0.5, step=0.1), Float(0.1, 0.4, step=0.3), Float(2.0, 2.0), Float(1e-7, 1e-3, log=True),
        ],
        ids=str,
    )  # fmt: skip
    def test_every_point_lies_in_its_domain(self, domain):
        space = Space({"net": {"p": domain}}, *TRAINED)
        points = make_grid(space)["net.p"]
        assert points == sorted(set(points))
        assert all(domain.contains(point) for point in points), points
        assert {points[0], points[-1]} == set(domain.corners())

    def test_an_absurd_size_is_refused_with_the_remedy(self):
        wide = Space({"net": {f"p{i}": Int(1, 9) for i in range(11)}}, *TRAINED)
        with pytest.raises(SettingsError, match=r"177,147 grid points, more than 100,000; pin parameters with --set"):
            study_with("grid", wide)
        vast = Space({"net": {f"p{i}": Int(1, 9) for i in range(999)}}, *TRAINED)
        with pytest.raises(SettingsError, match="more than 100,000") as caught:
            study_with("grid", vast)
        assert len(str(caught.value)) < 1000

    def test_it_visits_every_point_once_and_then_goes_on(self):
        space = Space({"net": {"a": Choice(1, 2, 3), "b": Choice("x", "y")}}, *TRAINED)
        study = study_with("grid", space)
        configs = []
        for _ in range(8):  # two more than there are points
            trial = study.ask()
            config = space.suggest(trial)
            configs.append((config["net.a"], config["net.b"]))
            study.tell(trial, 1.0)
        assert len(set(configs[:6])) == 6

    def test_other_workers_and_later_sessions_visit_the_points_that_are_left(self):
        space = Space({"net": {"a": Choice(1, 2, 3), "b": Choice("x", "y", "z")}}, *TRAINED)
        study = study_with("grid", space)
        visited = set()
        for number in range(9):
            study.sampler = make_sampler("grid", 0, number % 4, number, space, dict)
            config = space.suggest(trial := study.ask())
            visited.add((config["net.a"], config["net.b"]))
            study.tell(trial, 1.0)
        assert len(visited) == 9


def loss(config):
    return (config["net.x"] - 0.3) ** 2 + (config["net.y"] - 0.8) ** 2


def distances(name, visible, seed, number=40):
    """How far the proposals of a study lie from the optimum, whose trials all wait; they are `visible` or not."""
    waiting = {}
    study = study_with(name, PLANE, seed=seed, standings=lambda: waiting if visible else {})
    far = []
    for _ in range(number):
        trial = study.ask()
        config = PLANE.suggest(trial)
        far.append(math.sqrt(loss(config)))
        waiting[trial.number] = {0: loss(config)}
    return far


@pytest.mark.parametrize("reason", BROKEN)
def test_tpe_ranks_what_diverged_or_cannot_run_last_though_its_scores_were_the_best(reason):
    study = study_with("tpe", PLANE)
    for _ in range(60):
        trial = study.ask()
        x = PLANE.suggest(trial)["net.x"]
        trial.report(-1 if x > 0.5 else x, 1)
        trial.set_constraint(reason, VIOLATION if x > 0.5 else 0.0)
        study.tell(trial, state=TrialState.PRUNED)
    late = [trial.params["net.x"] for trial in study.trials[-20:]]
    assert sum(x > 0.5 for x in late) <= 4


class TestWaitingTrials:
    @pytest.mark.parametrize("seed", [0, 1, 2])
    def test_tpe_learns_from_trials_that_wait(self, seed):
        seen, unseen = (distances("tpe", visible, seed) for visible in (True, False))
        assert sum(seen[-15:]) < 0.6 * sum(unseen[-15:])

    def test_gp_learns_from_trials_that_wait(self):
        seen, unseen = (distances("gp", visible, 0, number=15) for visible in (True, False))
        assert sum(seen[-5:]) < 0.5 * sum(unseen[-5:])

    def test_a_higher_rung_counts_for_more_than_a_better_score_at_a_lower_one(self):
        # Trials on the left have the better scores, but at 1 epoch; those on the right have climbed to 9.
        waiting = {}
        study = study_with("tpe", PLANE, standings=lambda: waiting)
        for _ in range(60):
            trial = study.ask()
            x = PLANE.suggest(trial)["net.x"]
            waiting[trial.number] = {0: 1.5, 3: 2.0} if x > 0.7 else {0: 1.0}
        late = [trial.params["net.x"] for trial in study.trials[-20:]]
        assert sum(x > 0.7 for x in late) > 10

    def test_the_study_itself_still_says_that_they_run(self):
        waiting = {}
        study = study_with("tpe", PLANE, standings=lambda: waiting)
        for _ in range(12):
            trial = study.ask()
            PLANE.suggest(trial)
            waiting[trial.number] = {0: 0.5}
        assert {trial.state.name for trial in study.trials} == {"RUNNING"}
        assert all(not trial.intermediate_values for trial in study.trials)

    def test_of_many_trials_a_sampler_is_shown_the_best_and_some_of_all_the_others(self):
        waiting = {}
        study = study_with("tpe", PLANE, standings=lambda: waiting)
        storage, number = study._storage, LEARNT_FROM + 300
        for trial in range(number):
            storage.create_new_trial(study._study_id)
            waiting[trial] = {1 if trial % 10 == 0 else 0: (trial * 37 % number) / number}
        shown = study.sampler._view(study, storage.get_trial(number - 1)).get_trials()
        assert len(shown) == LEARNT_FROM
        assert {trial.state for trial in shown} == {TrialState.PRUNED}
        climbed = {trial for trial in waiting if 1 in waiting[trial]}
        good = sorted(waiting, key=lambda trial: (trial not in climbed, *waiting[trial].values()))[:BEST]
        assert set(good) <= {trial.number for trial in shown}
        assert sum(trial.number < number // 2 for trial in shown) > LEARNT_FROM // 3

        storage.create_new_trial(study._study_id)  # a new one is shown at once, whatever the choice was
        waiting[number] = {0: 0.5}
        again = study.sampler._view(study, storage.get_trial(number)).get_trials()
        assert [trial.number for trial in again] == [*(trial.number for trial in shown), number]


def seen(study, race):
    """What the sampler is shown: of each trial the number, the state, the value, and what it reported."""
    sampler = make_sampler("tpe", 0, 0, 0, PLANE, standings_of(race))
    view = sampler._view(study, study.get_trials()[-1])
    return [(t.number, t.state, t.value, t.intermediate_values) for t in view.get_trials()]


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_what_tpe_is_shown_of_a_trial_stays_the_same_when_it_ends_and_after_a_restart(direction):
    study, race = optuna.create_study(direction=direction), Race(make_ladder(9, 5))
    for number in range(3):
        trial = study.ask()
        race.start(number)
        trial.suggest_float("net.x", 0, 1)
        for epoch in (1, 2, 3):
            trial.report(0.9 - 0.1 * epoch, epoch)  # one fold's, at that epoch
        for rung in range(number + 1):
            race.record(number, rung, 0.5 - 0.1 * rung)
    before = seen(study, race)
    best = 0.3 if direction == "minimize" else -0.3
    assert before[2] == (2, TrialState.PRUNED, pytest.approx(best), {3: pytest.approx(best)})
    for number in range(3):
        trial = optuna.Trial(study, study.get_trials()[number]._trial_id)
        trial.set_user_attr(STANDING, standing_attribute(race.standings[number])[STANDING])
        study.tell(number, state=TrialState.PRUNED)
    again = Race(make_ladder(9, 5))
    recall_race(again, study.get_trials())
    after = seen(study, again)
    assert [(number, state, steps) for number, state, _, steps in after] == [
        (number, state, steps) for number, state, _, steps in before
    ]


class TestOneRung:
    def test_gp_is_shown_scores_of_the_highest_rung_that_enough_have_reached_and_no_others(self):
        study = study_with("gp", PLANE, standings=lambda: race)
        race = {}
        for number in range(40):  # 40 at rung 0, 20 at rung 1, 5 at rung 2, one of them complete at 3
            trial = study.ask()
            trial.suggest_float("net.x", 0, 1)
            reached = 1 + (number % 2 == 0) + (number % 8 == 0) + (number == 8)
            race[number] = {rung: 10 - rung - number / 100 for rung in range(reached)}
        study.tell(8, 0.001)
        study.tell(16, state=TrialState.PRUNED)
        shown = study.sampler._view(study, study.get_trials()[-1]).get_trials()
        assert [t.number for t in shown] == list(range(0, 40, 2))
        assert {t.state for t in shown} == {TrialState.COMPLETE}
        assert [t.value for t in shown] == [9 - number / 100 for number in range(0, 40, 2)]

    def test_gp_is_not_shown_what_broke_off(self):
        study = study_with("gp", PLANE, standings=lambda: {number: {0: 1.0} for number in range(3)})
        for state, constraint in ((TrialState.PRUNED, VIOLATION), (TrialState.FAIL, 0.0), (TrialState.PRUNED, 0.0)):
            trial = study.ask()
            trial.set_constraint("diverged", constraint)
            study.tell(trial, state=state)
        shown = study.sampler._view(study, study.get_trials()[-1]).get_trials()
        assert [t.number for t in shown] == [2]


class TestSeeds:
    @pytest.mark.parametrize("name", ["tpe", "random"])
    def test_the_same_seed_draws_the_same(self, name):
        assert draws(3, name) == draws(3, name)

    @pytest.mark.parametrize("other", [{"seed": 1}, {"worker": 1}, {"trials": 3}])
    def test_another_seed_worker_or_a_restart_draws_something_else(self, other):
        assert draws(3)[0] != draws(3, **other)[0]

    def test_a_restart_does_not_repeat_the_draws_before_it(self):
        before = [config["train.lr"] for config in draws(5)]
        after = [config["train.lr"] for config in draws(5, trials=5)]
        assert not set(before) & set(after)
