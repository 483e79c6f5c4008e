"""Trials that fail one after the other."""

import pytest

from automl.errors import NoTrialSucceeded
from automl.racing.ladder import make_ladder
from automl.racing.race import Race
from automl.scheduling.failures import Failures


@pytest.fixture
def race() -> Race:
    """One in which no trial has reached a rung."""
    race = Race(make_ladder(9, 5))
    race.start(0)
    return race


def test_the_fifth_in_a_row_for_one_cause_ends_the_search_whatever_its_numbers(race):
    failures = Failures()
    for trial in range(4):
        failures.add(f"line 7: no file {trial}", race)
    with pytest.raises(NoTrialSucceeded, match="5 trials in a row failed for the same cause: line 8: no file 99"):
        failures.add("line 8: no file 99", race)


def test_another_cause_or_a_trial_that_ends_otherwise_begins_the_count_again(race):
    failures = Failures()
    for reason in ["a"] * 4 + ["b"] + ["a"] * 4:
        failures.add(reason, race)
    failures.clear()
    for _ in range(4):
        failures.add("a", race)
    with pytest.raises(NoTrialSucceeded):
        failures.add("a", race)


@pytest.mark.parametrize("left", [False, True])
def test_once_any_trial_has_been_trained_nothing_ends_the_search(race, left):
    race.record(0, 0, 1.0)
    if left:  # also where it was pruned since
        race.leave(0)
    failures, raised = Failures(), []
    for _ in range(20):
        try:
            failures.add("a", race)
        except NoTrialSucceeded as error:
            raised.append(error)
    assert raised == []
