"""Several workers agree on who takes which job."""

from __future__ import annotations

import optuna
import pytest

from automl.racing.ladder import parse_ladder
from automl.racing.race import Race, Standing, State
from automl.scheduling.deadline import Budget
from automl.scheduling.leases import Leases
from automl.scheduling.scheduler import Job, Scheduler
from automl.scheduling.time_estimates import TimeEstimates
from automl.study.standings import standing_attribute
from automl.study.storage.opening import open_storage
from automl.study.trial_record import write_attributes
from automl.workers.shared_leases import SharedLeases

LADDER = parse_ladder("1x1,2x1,3x1,5x2,9x5", 9, 5)
TOP = len(LADDER) - 1
FIRST = (("resnet", 1.8), ("lenet", 1.2), ("resnet", 1.7))
TO_THE_TOP = 44  # fold-epochs


@pytest.fixture
def study(tmp_path) -> optuna.Study:
    """The three configs that a space begins with wait at the first rung."""
    study = optuna.create_study(storage=open_storage(None, tmp_path / "journal.log"), study_name="s")
    for family, score in FIRST:
        waits = Standing(scores={0: score}, state=State.WAITING, family=family)
        write_attributes(study.ask(), standing_attribute(waits))
    return study


def scheduler_of(
    study: optuna.Study, leases: Leases, seconds: float, timeout: float | None = 100.0, elapsed: float = 0.0
) -> Scheduler:
    """Those of a worker that took so many seconds for a fold-epoch."""
    race = Race(LADDER)
    estimates = TimeEstimates(race)
    estimates.rates = dict.fromkeys(range(len(FIRST)), seconds)
    budget = Budget.of(100, timeout, clock=lambda: elapsed, started=0.0)
    return Scheduler(study, race, budget, estimates, leases, len(FIRST))


def worker(study: optuna.Study, name: str, seconds: float) -> Scheduler:
    leases = SharedLeases(study._storage, "s", name)
    leases.enter()
    return scheduler_of(study, leases, seconds)


def test_where_time_is_short_the_first_config_climbs_straight_to_the_top(study):
    scheduler = scheduler_of(study, Leases(), seconds=1.0)
    assert scheduler.next() == Job(0, TOP)
    scheduler.race.record(0, TOP, 1.0)
    assert scheduler.next().rung == 1  # one of the others: the race goes on


@pytest.mark.parametrize("timeout", [None, 10_000.0])
def test_where_time_is_not_short_the_race_decides(study, timeout):
    assert scheduler_of(study, Leases(), 1.0, timeout).next() == Job(2, 1)


def test_the_configs_of_the_space_begin_though_the_first_alone_would_need_all_the_time(tmp_path):
    study = optuna.create_study(storage=open_storage(None, tmp_path / "one.log"), study_name="s")
    waits = Standing(scores={0: 1.8}, state=State.WAITING, family="resnet")
    write_attributes(study.ask(), standing_attribute(waits))
    assert scheduler_of(study, Leases(), seconds=5.0, elapsed=20.0).next() == Job(1, 0)


def test_one_worker_decides_for_all_which_trial_goes_straight_to_the_top(study):
    quick, slow = worker(study, "quick", 1.0), worker(study, "slow", 3.0)
    assert quick.next() == Job(0, TOP)
    # By its own measurements nothing fits into the time; what the other has decided counts.
    slow.next()
    assert slow.race.fast_tracked == quick.race.fast_tracked == {0}


def test_a_worker_that_climbs_keeps_time_for_the_fit_of_what_another_one_has_completed(study):
    quick, slow = worker(study, "quick", 0.1), worker(study, "slow", 0.1)
    assert quick.next() != slow.next()
    before = slow.deadline.end
    trial = study.get_trials(deepcopy=False)[0]
    complete = Standing(scores={TOP: 1.0}, state=State.COMPLETE, family="resnet")
    costs = {
        "seconds": 2.0 * LADDER[TOP].epochs * LADDER[TOP].folds,
        "fold_epochs": LADDER[TOP].epochs * LADDER[TOP].folds,
    }
    write_attributes(optuna.Trial(study, trial._trial_id), {**standing_attribute(complete), **costs})
    slow.renew_deadline()
    assert slow.estimates.rates[0] == 2.0
    assert slow.deadline.end < before


def test_who_takes_over_from_a_dead_worker_sends_its_baseline_on(study):
    dead = worker(study, "dead", 1.0)
    assert dead.next() == Job(0, TOP)
    dead.leases.leave()
    heir = worker(study, "heir", 3.0)
    assert heir.next() == Job(0, TOP)
    assert heir.race.fast_tracked == {0}
