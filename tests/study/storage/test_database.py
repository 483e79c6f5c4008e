"""A study in a database server that goes away: nothing is lost, nothing is done twice."""

from __future__ import annotations

import signal
import threading
import time

import optuna
import pytest
from optuna.trial import TrialState

from automl.errors import Interrupted, MachineFailed
from automl.study.storage import database
from automl.study.storage.cache import StudyCache
from automl.study.storage.opening import open_storage, storage_errors


@pytest.fixture
def journal(tmp_path):
    return tmp_path / "journal.log"


def later(seconds, call):
    timer = threading.Timer(seconds, call)
    timer.start()
    return timer


def test_a_call_waits_for_a_server_that_is_restarted(postgresql, journal):
    study = optuna.create_study(storage=open_storage(postgresql.url, journal), study_name="s")
    trial = study.ask()
    postgresql.stop(signal.SIGQUIT)
    timer = later(2, postgresql.start)
    trial.report(0.5, 1)
    study.tell(trial, 0.25)
    timer.join()
    (found,) = study.get_trials()
    assert found.intermediate_values == {1: 0.5}
    assert found.value == 0.25


def test_a_server_that_stays_away_ends_in_machine_failed_without_its_password(postgresql, journal, monkeypatch):
    monkeypatch.setattr(database.patiently, "__defaults__", (1.0,))
    study = optuna.create_study(storage=open_storage(postgresql.url, journal), study_name="s")
    postgresql.stop()
    with pytest.raises(MachineFailed, match="the storage failed: ") as caught, storage_errors():
        study.ask()
    assert "sesame" not in str(caught.value)


def test_a_wait_ends_when_the_user_wants_to_stop(postgresql, journal):
    wanted = threading.Event()
    study = optuna.create_study(storage=open_storage(postgresql.url, journal, wanted.is_set), study_name="s")
    trial = study.ask()
    postgresql.stop()
    later(1, wanted.set)
    started = time.monotonic()
    with pytest.raises(Interrupted):
        trial.report(0.5, 1)
    assert time.monotonic() - started < 10


def test_a_wrong_password_is_told_at_once(postgresql, journal):
    started = time.monotonic()
    with pytest.raises(MachineFailed, match="authentication failed"):
        open_storage(postgresql.url.replace("sesame", "barley"), journal, patience=60)
    assert time.monotonic() - started < 20


@pytest.mark.parametrize("calls", ["ask", "tell"])
def test_a_commit_whose_answer_was_lost_counts_once(postgresql, journal, calls, monkeypatch):
    import psycopg

    storage = open_storage(postgresql.url, journal)
    assert isinstance(storage, StudyCache)
    study = optuna.create_study(storage=storage, study_name="s")
    trial = study.ask()
    lost = [True]

    commit = storage._backend.engine.dialect.do_commit

    def lose(connection):
        commit(connection)
        if lost:
            lost.clear()
            raise psycopg.OperationalError("server closed the connection unexpectedly")

    monkeypatch.setattr(storage._backend.engine.dialect, "do_commit", lose)
    if calls == "ask":
        study.ask()
        assert [t.number for t in study.get_trials()] == [0, 1]
    else:
        study.tell(trial, 0.5)
        assert [(t.state, t.value) for t in study.get_trials()] == [(TrialState.COMPLETE, 0.5)]
    assert not lost


def test_cold_start_eight_that_open_a_fresh_database_at_once_all_do(postgresql, journal):
    failed = []

    def begin():
        try:
            open_storage(postgresql.url, journal)
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=begin) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
