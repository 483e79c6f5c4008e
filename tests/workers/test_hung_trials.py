"""How long a trial has taken, by the claims of its worker."""

from __future__ import annotations

import json

import optuna
import pytest
from optuna.trial import TrialState

from automl.run.folder import RunFolder
from automl.run.prepare import prepare
from automl.run.run_record import DataFacts, RunRecord
from automl.scheduling.leases import FoldClaim, fold_key, slot_key, trial_key
from automl.settings import Settings, make_settings
from automl.study.storage.cache import STANDING
from automl.workers.hung_trials import SLACK, HungTrials
from automl.workers.shared_leases import SharedLeases


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def watched(images, tmp_path):
    """Hung trials after 60 s, its clock, a running trial, and the leases of workers a and b."""
    study = optuna.create_study(study_name="s", storage=optuna.storages.InMemoryStorage())
    clock = Clock()
    a, b, watching = (SharedLeases(study._storage, "s", name, grace=10, clock=clock) for name in ("a", "b", "w"))
    context = prepare(make_settings(device="cpu", folds=2, trial_timeout="1m"), images)
    folder = RunFolder(tmp_path / "run")
    folder.create(RunRecord(settings=Settings(), space={}, data=DataFacts()))
    hung = HungTrials(context, study, folder, watching, clock)

    def at(seconds: float, worker: str = "a") -> int | None:
        clock.now = seconds
        watching.sync()
        return hung.hangs_in(worker)

    return hung, study.ask(), a, b, at


def test_a_worker_hangs_when_its_trial_has_taken_longer_than_a_trial_may(watched):
    _, _, a, _, at = watched
    assert at(0) is None
    a.claim(slot_key(0))
    assert at(900) is None  # no trial yet
    a.claim(trial_key(0))
    assert at(1000) is None
    assert at(1060 + SLACK) is None
    assert at(1061 + SLACK) == 0


def test_what_the_trial_took_on_its_way_to_earlier_rungs_counts_too(watched):
    _, trial, a, _, at = watched
    trial.set_user_attr("seconds", 50.0)
    a.claim(trial_key(0), 1)
    assert at(0) is None
    assert at(11 + SLACK) == 0


def test_a_worker_whose_trial_rests_or_has_ended_does_not_hang(watched):
    _, trial, a, _, at = watched
    a.claim(trial_key(0))
    at(0)
    trial.set_user_attr(STANDING, json.dumps({"scores": {"0": 0.5}, "waiting": True}))
    assert at(100) is None
    a.claim(trial_key(0), 1)
    at(100)
    assert at(200) == 0
    trial.study.tell(trial, 0.5)
    assert at(200) is None


def test_a_worker_that_lost_its_trial_hangs_if_it_shows_no_life(watched):
    hung, trial, a, b, at = watched
    a.beat()
    a.claim(trial_key(0))
    at(0)
    b.sync()
    b.claim(trial_key(0))
    a.beat()
    assert at(65) is None
    assert at(70) is None
    assert at(80) == 0
    hung.fail("a", 0)
    assert trial.study.trials[0].state == TrialState.RUNNING  # b has it


def test_a_hung_trial_fails_with_its_reason(watched):
    hung, trial, a, _, at = watched
    a.claim(trial_key(0))
    at(0)
    hung.fail("a", 0)
    failed = trial.study.trials[0]
    assert failed.state == TrialState.FAIL
    assert failed.user_attrs["reason"] == "longer than --trial-timeout 60s: its worker hung and was killed"


def test_a_worker_that_hangs_in_a_fold_is_found_and_the_trial_stays_with_who_has_it(watched):
    hung, trial, a, b, at = watched
    a.claim(trial_key(0))
    b.sync()
    b.claim(fold_key(0, 1))
    assert at(0, "b") is None
    assert at(61 + SLACK, "b") == 0
    hung.fail("b", 0)
    assert trial.study.trials[0].state == TrialState.RUNNING
    trial.study.tell(trial, 0.5)
    assert at(62 + SLACK, "b") == 0, "it still hangs"
    b.claim(fold_key(0, 1), FoldClaim.RELEASED)
    assert at(900, "b") is None


def test_who_has_the_trial_has_no_more_time_for_one_of_its_folds(watched):
    _, trial, a, _, at = watched
    a.claim(trial_key(0))
    at(0)
    a.claim(fold_key(0, 2), FoldClaim.OWN)
    assert at(59) is None
    assert at(61 + SLACK) == 0
    trial.study.tell(trial, 0.5)
    assert at(900) is None
