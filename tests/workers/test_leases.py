"""Several workers agree on who climbs, through the storage alone."""

from __future__ import annotations

import threading

import optuna
import pytest
from optuna.storages import JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

from automl.scheduling.leases import Key, slot_key, trial_key
from automl.workers.shared_leases import SharedLeases


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(params=["journal", "sqlite"])
def open_again(request, tmp_path):
    """Opens the same storage as another process would."""

    def opened():
        if request.param == "sqlite":
            return RDBStorage(f"sqlite:///{tmp_path}/study.db")
        path = str(tmp_path / "journal.log")
        return JournalStorage(JournalFileBackend(path, lock_obj=JournalFileOpenLock(path)))

    optuna.create_study(storage=opened(), study_name="s")
    return opened


def test_the_first_claim_of_a_key_wins_and_the_second_is_told_so(open_again):
    a, b = SharedLeases(open_again(), "s", "a"), SharedLeases(open_again(), "s", "b")
    assert a.claim(trial_key(0), 0)
    assert not b.claim(trial_key(0), 0)  # it has not read a's claim yet: same version, later in the order
    assert a.holds(trial_key(0))
    assert not b.holds(trial_key(0))


def test_of_many_claims_at_once_exactly_one_wins(open_again):
    leases = [SharedLeases(open_again(), "s", f"worker {n}") for n in range(4)]
    won: list[Key] = []

    def claim(one: SharedLeases) -> None:
        for thing in range(5):
            # Who sees that somebody holds it would claim the next version: a takeover.
            if trial_key(thing) not in one.held and one.claim(trial_key(thing)):
                won.append(trial_key(thing))

    threads = [threading.Thread(target=claim, args=(one,)) for one in leases]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(won) == [trial_key(thing) for thing in range(5)]


def test_a_takeover_is_a_newer_version_and_the_old_worker_learns_that_it_lost(open_again):
    a, b = SharedLeases(open_again(), "s", "a"), SharedLeases(open_again(), "s", "b")
    assert a.claim(trial_key(3), 1)
    b.sync()
    assert b.claim(trial_key(3), 1)
    assert not a.holds(trial_key(3))
    assert (a.held[trial_key(3)].worker, a.held[trial_key(3)].version, a.held[trial_key(3)].attempt) == ("b", 2, 2)
    assert b.claim(trial_key(3), 2)  # another rung begins to count attempts anew
    assert b.held[trial_key(3)].attempt == 1


def test_a_worker_is_dead_when_its_counter_stands_still_for_the_grace_period_by_the_watchers_own_clock(open_again):
    clock = Clock()
    a, b = SharedLeases(open_again(), "s", "a"), SharedLeases(open_again(), "s", "b", grace=10, clock=clock)
    a.beat()
    a.claim(trial_key(0))
    b.sync()
    clock.now = 9.0
    a.beat()
    b.sync()
    clock.now = 18.0
    b.sync()
    assert not b.is_dead("a")
    clock.now = 19.1
    b.sync()
    assert b.is_dead("a")
    a.beat()  # it was only frozen
    b.sync()
    assert not b.is_dead("a")


def test_a_buried_worker_is_dead_at_once(open_again):
    a, b = SharedLeases(open_again(), "s", "a"), SharedLeases(open_again(), "s", "b")
    a.beat()
    a.claim(trial_key(0))
    b.mark_all_dead()
    b.sync()
    assert b.is_dead("a")


def test_the_time_in_which_nobody_could_move_a_counter_makes_nobody_dead(open_again):
    clock = Clock()
    a, b = SharedLeases(open_again(), "s", "a"), SharedLeases(open_again(), "s", "b", grace=12, clock=clock)
    a.beat()
    a.claim(trial_key(0))
    b.beat()
    b.sync()
    clock.now = 100.0  # the storage was away, and b sees it before a has come to move its counter
    b.sync()
    assert not b.is_dead("a")
    b.beat()
    assert not b.is_dead("a")
    for _ in range(5):
        clock.now += 2.0
        b.beat()
        b.sync()
    assert b.is_dead("a")  # but the time since then counts


def test_a_thing_rests_at_the_home_of_its_last_worker_as_long_as_somebody_lives_there(open_again):
    clock = Clock()
    a = SharedLeases(open_again(), "s", "a", home="a", joined=True)
    b = SharedLeases(open_again(), "s", "b", grace=10, clock=clock)
    a.enter()
    a.claim(trial_key(0))
    b.sync()
    assert b.remote_workers() == ["a"]
    assert not b.can_access(trial_key(0))
    assert a.can_access(trial_key(0))
    clock.now = 11.0  # it has shown no life for longer than the grace
    assert b.can_access(trial_key(0))
    assert b.remote_workers() == []


def test_a_climb_that_was_given_back_counts_as_no_attempt(open_again):
    a, b = SharedLeases(open_again(), "s", "a"), SharedLeases(open_again(), "s", "b")
    a.enter()
    a.claim(trial_key(0), 1)
    a.leave()
    b.mark_dead("a")  # what has left in good order is not made dead
    b.sync()
    assert b.is_dead("a")
    assert b.attempt(trial_key(0), 1) == 1
    assert b.claim(trial_key(0), 1)
    assert b.held[trial_key(0)].attempt == 1
    b.mark_dead("b")
    a.sync()
    assert a.attempt(trial_key(0), 1) == 2


def test_a_climb_that_has_got_further_when_its_worker_dies_begins_to_count_anew(open_again):
    a, b = SharedLeases(open_again(), "s", "a"), SharedLeases(open_again(), "s", "b")
    a.enter()
    a.claim(trial_key(0), 1, 3)
    b.mark_dead("a")
    b.sync()
    assert [b.attempt(trial_key(0), 1, reached) for reached in (3, 4)] == [2, 1]
    b.claim(trial_key(0), 1, 4)
    a.sync()
    assert a.held[trial_key(0)].attempt == 1
    assert a.attempt(trial_key(0), 1, 4) == 2


def test_places_are_drawn_by_all_without_losing_one_and_none_beyond_the_budget(open_again):
    many = [SharedLeases(open_again(), "s", name) for name in "abc"]
    assert [leases.claim_slot(2, 7) for leases in many] == [2, 3, 4]  # two trials were there before
    assert many[1].claim(slot_key(3))  # of a worker that has died
    assert [leases.claim_slot(0, 7) for leases in many] == [5, 6, None]
    assert [leases.claim_slot(7, 8) for leases in many[:2]] == [7, None]
    for leases in many:
        leases.sync()
    assert all(leases.held == many[0].held for leases in many)
    assert sorted(many[0].held) == [slot_key(number) for number in range(2, 8)]


def test_a_session_that_begins_anew_buries_its_own_workers_and_not_those_that_came_by_themselves(open_again):
    a = SharedLeases(open_again(), "s", "a", home="a", joined=True)
    b, main = SharedLeases(open_again(), "s", "b"), SharedLeases(open_again(), "s", "supervisor")
    a.enter()
    b.enter()
    main.mark_all_dead()
    main.sync()
    assert main.is_dead("b")
    assert not main.is_dead("a")
