"""How much a search may still do."""

from __future__ import annotations

import pytest

from automl.errors import AutomlError, Interrupted, OutOfTime, Stop
from automl.scheduling.deadline import Budget


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


def test_without_a_timeout_there_is_no_end():
    clock = Clock()
    budget = Budget.of(5, clock=clock)
    clock.now += 1e9
    budget.deadline.check()
    assert (budget.deadline.left, budget.elapsed) == (float("inf"), 1e9)


@pytest.mark.parametrize(("timeout", "closing"), [(60, 3), (600, 3), (20, 1)])
def test_the_deadline_counts_from_the_beginning_and_leaves_a_moment_for_the_report(timeout, closing):
    clock = Clock()
    clock.now += 10
    budget = Budget.of(5, timeout=timeout, clock=clock, started=1000.0)
    clock.now = 1000.0 + timeout - closing - 1
    budget.deadline.check()
    assert (budget.deadline.left, budget.elapsed) == (1, timeout - closing - 1)
    clock.now += 1
    with pytest.raises(OutOfTime):
        budget.deadline.check()


def test_the_reserve_is_kept_for_the_final_fit_which_may_use_it():
    clock = Clock()
    budget = Budget.of(5, timeout=60, clock=clock)
    race = budget.deadline.minus(20)
    clock.now += 38
    with pytest.raises(OutOfTime):
        race.check()
    budget.deadline.check()
    clock.now += 19
    with pytest.raises(OutOfTime):
        budget.deadline.check()


def test_the_users_wish_to_stop_goes_before_the_deadline():
    clock, wish = Clock(), []
    deadline = Budget.of(5, timeout=60, interrupted=lambda: bool(wish), clock=clock).deadline
    deadline.check()
    wish.append(1)
    clock.now += 100
    with pytest.raises(Interrupted):
        deadline.check()


def test_both_are_a_stop_that_keeps_the_trial_and_an_error_of_automl():
    for kind in (OutOfTime, Interrupted):
        assert issubclass(kind, Stop)
        assert issubclass(kind, AutomlError)
