"""`--log-to tensorboard` and `--log-to mlflow`, read back with the libraries themselves."""

from __future__ import annotations

import logging

import numpy as np
import pytest

import automl
from automl.errors import SettingsError
from automl.hooks.host import load_plugins
from automl.run import prepare

SMALL = {
    "space": "smoke",
    "architectures": ("mlp",),
    "trials": 2,
    "folds": 2,
    "epochs": 2,
    "threads": 1,
    "report": False,
}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    pytest.importorskip("tensorboard")
    pytest.importorskip("mlflow")
    patch = pytest.MonkeyPatch()
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME"):
        patch.delenv(name, raising=False)
    yield automl.search("digits", log_to=("tensorboard", "mlflow"), out=tmp_path_factory.mktemp("log") / "run", **SMALL)
    patch.undo()


def fold_mean(run, trial, column):
    curves = run.curves(trial)
    return np.nanmean(curves[:, :, column], axis=0)[: run.trial(trial)["epochs"]]


def test_tensorboard_has_the_curves_and_the_config_of_every_trial(run):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

    for row in run.leaderboard():
        read = EventAccumulator(str(run.path / "tensorboard" / f"trial-{row['number']:05d}"))
        read.Reload()
        for column, name in enumerate(
            ("log_loss/train", "accuracy/train", "log_loss/validation", "accuracy/validation")
        ):
            events = read.Scalars(name)
            assert [event.step for event in events] == list(range(1, row["epochs"] + 1))
            assert [event.value for event in events] == pytest.approx(fold_mean(run, row["number"], column), rel=1e-5)
        assert read.Scalars("trial/score")[0].value == pytest.approx(row["score"], rel=1e-5)
        start = read.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
        config = HParamsPluginData.FromString(start).session_start_info.hparams
        assert config["train.lr"].number_value == pytest.approx(row["config"]["train.lr"])
        assert config["state"].string_value == row["state"]


def test_mlflow_has_a_run_for_the_search_and_a_nested_one_for_every_trial(run):
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=f"sqlite:///{run.path / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("automl")
    found = client.search_runs([experiment.experiment_id])
    (parent,) = [each for each in found if "mlflow.parentRunId" not in each.data.tags]
    assert (parent.info.status, parent.info.run_name) == ("FINISHED", "run")
    assert parent.data.metrics["test/accuracy"] == pytest.approx(run.test["accuracy"])
    assert parent.data.metrics["best_score"] == pytest.approx(run.best["score"])
    assert parent.data.params["folds"] == "2"
    nested = {each.info.run_name: each for each in found if each is not parent}
    assert nested.keys() == {"trial-00000", "trial-00001"}
    for row in run.leaderboard():
        logged = nested[f"trial-{row['number']:05d}"]
        assert logged.data.tags["mlflow.parentRunId"] == parent.info.run_id
        assert (logged.data.tags["state"], logged.data.tags["reason"]) == (row["state"], row["reason"])
        assert logged.data.params["train.optimizer"] == row["config"]["train.optimizer"]
        history = client.get_metric_history(logged.info.run_id, "log_loss/validation")
        assert [point.step for point in history] == list(range(1, row["epochs"] + 1))
        assert [point.value for point in history] == pytest.approx(fold_mean(run, row["number"], 2))


def test_the_report_goes_to_mlflow_and_a_resumed_search_goes_on_in_its_run(run, monkeypatch):
    from mlflow import MlflowClient

    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    automl.resume(run.path, trials=3)
    client = MlflowClient(tracking_uri=f"sqlite:///{run.path / 'mlflow.db'}")
    found = client.search_runs([client.get_experiment_by_name("automl").experiment_id])
    (parent,) = [each for each in found if "mlflow.parentRunId" not in each.data.tags]
    assert len(found) == 4
    assert [artifact.path for artifact in client.list_artifacts(parent.info.run_id)] == ["report.html"]


def test_a_server_that_does_not_answer_stops_nothing_and_is_told_once(tmp_path, monkeypatch, caplog):
    pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with caplog.at_level(logging.WARNING, "automl.plugins"):
        run = automl.search("digits", log_to=("mlflow",), out=tmp_path / "run", **SMALL)
    assert run.best is not None
    (record,) = [record for record in caplog.records if record.name == "automl.plugins"]
    assert "plugin 'mlflow'" in record.getMessage()


def test_a_search_that_was_not_told_to_log_leaves_nothing(tmp_path):
    run = automl.search("digits", out=tmp_path / "run", **SMALL)
    assert not [path for path in run.path.iterdir() if "mlflow" in path.name or "tensorboard" in path.name]


def test_a_missing_package_is_told_before_anything_is_started(tmp_path, monkeypatch):
    monkeypatch.setattr(prepare.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SettingsError, match="--log-to mlflow needs the package mlflow: pip install mlflow"):
        automl.search("digits", log_to=("mlflow",), out=tmp_path / "run", **SMALL)
    assert not (tmp_path / "run").exists()


def test_an_unknown_listener_is_refused():
    with pytest.raises(SettingsError, match=r"--log-to mlflo: no plugin logs there, .* did you mean 'mlflow'"):
        automl.search("digits", log_to=("mlflo",))


LISTENER = """\
from pathlib import Path
from automl import hookimpl


@hookimpl
def automl_log_to():
    return {"scores": ""}


@hookimpl
def automl_trial_finished(run, trial):
    Path(run["folder"], f"heard-{trial['number']}").touch()
"""


@pytest.mark.parametrize("asked", [True, False])
def test_a_plugins_own_listener_hears_only_searches_that_ask_for_it(asked, tmp_path):
    (tmp_path / "scores.py").write_text(LISTENER)
    more = {"log_to": ("scores",)} if asked else {}
    run = automl.search("digits", plugins=[str(tmp_path / "scores.py")], out=tmp_path / "run", **SMALL, **more)
    assert bool(list(run.path.glob("heard-*"))) == asked


def test_two_listeners_of_one_name_are_told_apart(tmp_path):
    (tmp_path / "other.py").write_text(LISTENER.replace("scores", "mlflow"))
    host = load_plugins(files=[tmp_path / "other.py"])
    assert [str(broken) for broken in host.broken] == [
        "plugin 'other' (other.py:5): --log-to 'mlflow' belongs to another plugin; rename this one"
    ]
