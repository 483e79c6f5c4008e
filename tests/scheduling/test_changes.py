"""What is new in a study since the last look."""

from __future__ import annotations

import optuna
import pytest
from optuna.trial import TrialState

from automl.scheduling.changes import Changes
from automl.scheduling.leases import trial_key
from automl.study.storage.opening import open_storage
from automl.workers.shared_leases import SharedLeases


@pytest.fixture(params=["journal", "database"])
def study(request, tmp_path):
    url = f"sqlite:///{tmp_path / 'study.db'}" if request.param == "database" else None
    return optuna.create_study(storage=open_storage(url, tmp_path / "journal.log"), study_name="s")


@pytest.fixture
def changes(study):
    return Changes(study, SharedLeases(study._storage, "s", "reader"))


def new(changes: Changes) -> list[int]:
    return [trial.number for trial in changes.look()]


def test_a_trial_is_told_of_when_it_is_new_when_it_has_changed_and_when_it_has_ended(study, changes):
    assert new(changes) == []
    trials = [study.ask() for _ in range(3)]
    assert new(changes) == [0, 1, 2]
    assert new(changes) == []
    trials[1].suggest_float("x", 0, 1)
    assert new(changes) == [1]
    study.tell(trials[2], 1.0)
    found = changes.look()
    assert [(trial.number, trial.state) for trial in found] == [(2, TrialState.COMPLETE)]
    assert (new(changes), len(changes)) == ([], 3)


def test_a_claim_of_any_worker_makes_a_trial_new_once(study, changes):
    study.ask(), study.ask()
    new(changes)
    other = SharedLeases(study._storage, "s", "other")
    assert other.claim(trial_key(1), 2)
    assert other.claim_slot(0, 9) == 0  # no trial
    assert new(changes) == [1]
    assert changes.leases.held[trial_key(1)].rung == 2
    assert new(changes) == []


def test_a_trial_that_was_forgotten_is_new_again(study, changes):
    study.ask(), study.ask()
    new(changes)
    changes.forget(0)
    assert new(changes) == [0]


def test_a_trial_that_no_look_has_seen_can_be_forgotten(study, changes):
    changes.forget(0)
    study.ask()
    changes.forget(0)
    assert new(changes) == [0]
