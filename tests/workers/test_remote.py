"""A worker joins a search from anywhere: it needs the storage and the data, and checks that they are the search's."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import optuna
import pytest
from optuna.trial import TrialState

from automl.errors import Interrupted, MachineFailed, RunError, SettingsError
from automl.run.curve_files import load_curves
from automl.run.folder import RunFolder
from automl.run.prepare import prepare
from automl.run.record import make_record
from automl.scheduling.callbacks import TrialEnded, TrialRested
from automl.scheduling.deadline import Budget
from automl.settings import make_settings
from automl.study.sent_curves import CURVES, collect_curves
from automl.study.storage.opening import create_study, open_storage
from automl.workers.remote import RECORD, join, publish
from automl.workers.shared_leases import SharedLeases

PLUGIN = """
from torch import nn
from automl import Float, architecture, hookimpl

@architecture({declared})
def plain(input_shape, num_outputs, *, {names}):
    \"\"\"A linear model.\"\"\"
    return nn.Sequential(nn.Flatten(), nn.Dropout(dropout), nn.Linear(64, num_outputs))

@hookimpl
def automl_architectures():
    return [plain]
"""
TRIALS = 6


@pytest.fixture
def plugin(tmp_path):
    file = tmp_path / "plain.py"
    file.write_text(PLUGIN.format(declared="dropout=Float(0.0, 0.5)", names="dropout"))
    return file


@pytest.fixture
def data(tmp_path, images):
    np.savez(tmp_path / "bars.npz", x=images.x[:, 0], y=images.y)
    return tmp_path / "bars.npz"


@pytest.fixture
def begun(postgresql, tmp_path, plugin, data):
    """A search that has left its record in the study, and then died."""
    settings = make_settings(
        data=str(data), plugins=(str(plugin),), space={"architectures": {"plain": {}}}, trials=TRIALS, folds=2,
        epochs=2, finalists=1, device="cpu", precision="fp32", threads=1, sampler="random",
    )  # fmt: skip
    context = prepare(settings)
    study = create_study(open_storage(postgresql.url, Path()), "s", context.objective, optuna.samplers.RandomSampler())
    record = make_record(context, "s", "postgresql://me:***@here/db")
    folder = RunFolder(tmp_path / "run")
    folder.create(record)
    publish(study, context, record, Budget.of(TRIALS))
    return study, folder, context


def told(trials):
    return [t for t in trials if t.state == TrialState.COMPLETE]


def test_a_worker_alone_races_to_the_end_and_its_curves_travel_through_the_storage(begun, postgresql):
    study, folder, context = begun
    assert join(postgresql.url, "s", threads=1)
    trials = study.get_trials()
    assert [t.number for t in trials] == list(range(TRIALS))
    assert told(trials)
    assert not list(folder.checkpoints.iterdir())
    assert all(isinstance(t.system_attrs[CURVES], str) for t in trials)
    collect_curves(trials, folder, context.objective)
    for trial in told(trials):
        curves = load_curves(folder, trial.number, context.objective)
        assert curves is not None
        assert curves.values[:, curves.best_epoch() - 1, curves.objective.column].mean() == pytest.approx(trial.value)


def test_with_the_runs_folder_checkpoints_are_shared_and_no_curves_are_sent(begun, postgresql):
    study, folder, _ = begun
    assert join(postgresql.url, "s", run=folder.path, threads=1)
    assert list(folder.checkpoints.iterdir())
    assert not any(CURVES in t.system_attrs for t in study.get_trials())


def test_what_a_worker_leaves_at_its_own_home_another_one_begins_again(begun, postgresql):
    study, *_ = begun
    seen: list[int] = []

    def see(event):
        if isinstance(event, TrialRested | TrialEnded):
            seen.append(event.trial.number)

    with pytest.raises(Interrupted):
        join(postgresql.url, "s", threads=1, watch=lambda *_: see, interrupted=lambda: len(seen) >= 3)
    left = [t.number for t in study.get_trials() if t.state == TrialState.RUNNING]
    assert left
    assert join(postgresql.url, "s", threads=1)
    trials = study.get_trials()
    assert [t.number for t in trials] == list(range(TRIALS))
    assert told(trials)


def test_a_search_that_is_closing_is_over_for_who_comes_late(begun, postgresql):
    study, *_ = begun
    SharedLeases(study._storage, "s", "supervisor").close(True)
    assert not join(postgresql.url, "s", threads=1)
    assert not study.get_trials()


def test_the_record_in_the_study_holds_no_password(begun):
    study, *_ = begun
    record = study._storage.get_study_system_attrs(study._study_id)[RECORD]
    assert record["record"]["settings"]["storage"] == "postgresql://me:***@here/db"


def test_other_data_are_refused_with_the_difference(begun, postgresql, tmp_path, images):
    np.savez(tmp_path / "other.npz", x=images.x[:60, 0], y=images.y[:60])
    with pytest.raises(RunError, match=r"other.npz' have changed .*61 samples then, 60 now"):
        join(postgresql.url, "s", data=str(tmp_path / "other.npz"))


def test_data_that_are_not_here_are_asked_for(begun, postgresql, data):
    data.unlink()
    with pytest.raises(RunError, match="not on this machine: say where with --data"):
        join(postgresql.url, "s")


def test_other_plugins_are_refused_with_the_difference(begun, postgresql, tmp_path):
    other = tmp_path / "elsewhere.py"
    declared = "dropout=Float(0.0, 0.5), shift=Float(0.0, 1.0)"
    other.write_text(PLUGIN.format(declared=declared, names="dropout, shift"))
    with pytest.raises(RunError, match=r"(?s)the plugins here are not those of the search.*plain.shift: only here"):
        join(postgresql.url, "s", plugins=(str(other),))


def test_splits_that_are_dealt_otherwise_are_refused(begun, postgresql):
    study, folder, context = begun
    record = folder.read_record()
    other = replace(context.splits, fold=context.splits.fold[::-1])
    publish(study, replace(context, splits=other), record, Budget.of(1))
    with pytest.raises(RunError, match="the seed deals out other folds here"):
        join(postgresql.url, "s")


def test_the_folder_of_another_run_is_refused(begun, postgresql, tmp_path):
    *_, context = begun
    other = RunFolder(tmp_path / "other")
    other.create(make_record(context, "s", None))
    with pytest.raises(RunError, match="this is the folder of another run"):
        join(postgresql.url, "s", run=other.path)


def test_a_study_that_is_not_there_is_named_with_those_that_are(begun, postgresql):
    with pytest.raises(RunError, match="has no study 't' "):
        join(postgresql.url, "t")


def test_only_a_database_server_can_be_joined():
    with pytest.raises(SettingsError, match="must be a database server"):
        join("sqlite:///study.db", "s")


def test_a_storage_that_does_not_answer_is_the_machines_fault(postgresql, monkeypatch):
    monkeypatch.setattr("automl.workers.remote.PATIENCE", 1.0)
    postgresql.stop()
    with pytest.raises(MachineFailed, match="does not answer"):
        join(postgresql.url, "s")
