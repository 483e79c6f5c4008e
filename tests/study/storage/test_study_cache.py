"""What is read of a study in a database when others write to it."""

from __future__ import annotations

import json

import optuna
import pytest
from optuna.trial import TrialState

from automl.study.storage.cache import STANDING, StudyCache
from automl.study.storage.opening import open_storage


@pytest.fixture
def studies(tmp_path):
    """The same study as two processes have it: who writes, who reads, and the ids that the reader has asked for."""
    url = f"sqlite:///{tmp_path / 'study.db'}"
    writing = optuna.create_study(storage=open_storage(url, tmp_path / "none"), study_name="s")
    storage = open_storage(url, tmp_path / "none")
    assert isinstance(storage, StudyCache)
    asked = []
    read = storage._database._get_trials

    def reading(study_id, states, included_trial_ids, trial_id_greater_than):
        found = read(study_id, states, included_trial_ids, trial_id_greater_than)
        asked.append([trial.number for trial in found])
        return found

    storage._database._get_trials = reading
    return writing, optuna.load_study(storage=storage, study_name="s"), asked


def rest(trial, score):
    trial.set_user_attr(STANDING, json.dumps({"scores": {0: score}, "waiting": True}))


def test_a_trial_that_rests_is_read_once_until_it_goes_on(studies):
    writing, reading, asked = studies
    trials = [writing.ask() for _ in range(4)]
    for number, trial in enumerate(trials):
        trial.suggest_float("x", 0, 1)
        rest(trial, number)
    assert [len(trial.params) for trial in reading.get_trials()] == [1] * 4
    reading.get_trials()
    assert asked == [[0, 1, 2, 3]]
    rest(trials[2], 0.5)
    assert json.loads(reading.get_trials()[2].user_attrs[STANDING])["scores"] == {"0": 0.5}
    writing.tell(trials[1], 0.1)
    writing.tell(writing.ask(), state=TrialState.FAIL)
    running, complete, failed = TrialState.RUNNING, TrialState.COMPLETE, TrialState.FAIL
    assert [trial.state for trial in reading.get_trials()] == [running, complete, running, running, failed]
    assert asked[1:] == [[2], [1, 4]]


def test_a_trial_that_has_not_rested_is_read_whenever_something_was_added_to_it(studies):
    writing, reading, asked = studies
    trial = writing.ask()
    assert reading.get_trials()[0].params == {}
    trial.suggest_float("x", 0, 1)
    assert reading.get_trials()[0].params == trial.params
    trial.report(0.5, 1)
    assert reading.get_trials()[0].intermediate_values == {1: 0.5}
    reading.get_trials()
    assert asked == [[0], [0], [0]]


def test_both_see_the_same_whatever_was_written_in_whichever_order(studies):
    writing, reading, _ = studies
    for step in range(12):
        made = [study.ask() for study in (writing, reading)]
        made[step % 2].suggest_float("x", 0, 1)
        rest(made[step % 2], step)
        if step % 3 == 0:
            writing.tell(made[1].number, 0.5)
        if step > 4:
            reading.tell(step, state=TrialState.PRUNED, skip_if_finished=True)
    assert writing.get_trials() == reading.get_trials()
    assert len(writing.trials) == 24


def test_several_attributes_are_written_at_once_and_of_an_ended_trial_none(studies):
    writing, reading, _ = studies
    trial = writing.ask()
    writing._storage.set_trial_user_attrs(trial._trial_id, {"a": 1, "b": [2]})
    writing._storage.set_trial_user_attrs(trial._trial_id, {"b": "three"})
    assert reading._storage.get_trial(trial._trial_id).user_attrs == {"a": 1, "b": "three"}
    writing.tell(trial, 1.0)
    with pytest.raises(optuna.exceptions.UpdateFinishedTrialError):
        reading._storage.set_trial_user_attrs(trial._trial_id, {"a": 2})
