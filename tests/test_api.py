"""`automl.search` in a notebook: arrays in, a `Run` out, nothing said that nobody asked for."""

from __future__ import annotations

import shutil
import warnings

import numpy as np
import optuna
import pytest

import automl
from automl import Choice, Float
from automl.api import replay
from automl.data.sources import given
from automl.errors import RunError, SettingsError, SpaceError
from automl.racing.objective import Objective
from automl.scheduling.samplers import make_sampler
from automl.spaces.merge import merge
from automl.study.storage.opening import create_study, open_storage

RNG = np.random.default_rng(0)
X = RNG.normal(size=(120, 5))
Y = np.where(X[:, 0] + X[:, 1] > 0, "yes", "no")
LINEAR = {
    "architectures": {"linear": {"dropout": Float(0.0, 0.2)}},
    "training": {"optimizer": "adam", "lr": 0.05, "batch_size": Choice(16, 32)},
}
SMALL = {"trials": 2, "folds": 2, "epochs": 2, "threads": 1}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return automl.search((X, Y), LINEAR, out=tmp_path_factory.mktemp("api") / "run", **SMALL)


def test_arrays_and_a_space_as_a_mapping_are_searched(run):
    assert run.best is not None
    assert run.leaderboard()[0]["number"] == run.best["number"]
    assert run.best["config"]["linear.dropout"] <= 0.2
    assert run.record.data.classes == ("no", "yes")
    assert (run.model.predict(X) == Y).mean() > 0.8


def test_the_curves_of_a_trial_are_an_array_by_fold_and_epoch(run):
    curves = run.curves(run.best["number"])
    assert curves.shape == (2, 2, 4)
    assert curves[:, run.best["best_epoch"] - 1, 2].mean() == pytest.approx(run.best["score"])


def test_the_report_is_written_anew_from_the_run(run):
    run.folder.report.unlink()
    assert run.report() == run.folder.report
    assert "arrays" in run.folder.report.read_text()


def test_a_run_keeps_its_arrays_and_goes_on_without_them_also_where_it_was_moved_to(run, tmp_path):
    moved = shutil.copytree(run.path, tmp_path / "moved")
    (moved / "data" / "arrays.npz").touch()
    record = (moved / "run.yaml").read_text().replace(str(run.path), str(tmp_path / "gone"))
    (moved / "run.yaml").write_text(record)
    assert len(automl.resume(moved, trials=3).leaderboard()) == 3
    assert replay(moved, 0).bit_equal


def test_other_arrays_are_refused(run):
    with pytest.raises(RunError, match=r"the data '.*' have changed .*the same number of samples, but other values"):
        automl.resume(run.path, data=(X + 1, Y))


def test_a_run_whose_arrays_were_too_large_to_be_kept_must_be_given_them_again(tmp_path, monkeypatch):
    monkeypatch.setattr(given, "MAX_KEPT", 100)
    run = automl.search((X, Y), LINEAR, out=tmp_path / "run", **SMALL)
    assert not (run.path / "data").exists()
    with pytest.raises(RunError, match=r"has not kept them.*automl.resume\(RUN, data=...\)"):
        automl.resume(run.path, trials=3)
    assert len(automl.resume(run.path, data=(X, Y), trials=3).leaderboard()) == 3


def test_nothing_is_said_about_experimental_features_or_new_studies(host, tmp_path, caplog):
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        make_sampler("tpe", 0, 0, 0, merge(None, host.catalogue()), dict)
        storage = open_storage(None, tmp_path / "journal.log")
        with caplog.at_level("INFO"):
            optuna.logging.enable_propagation()
            create_study(storage, "study", Objective(), optuna.samplers.RandomSampler())
            optuna.logging.disable_propagation()
    assert not said
    assert not caplog.records


@pytest.mark.parametrize(
    ("space", "error", "message"),
    [
        ({"architectures": {"linaer": {}}}, SpaceError, "architectures.linaer: unknown architecture 'linaer'; did you"),
        ({"architectures": {"linear": {"dropout": object()}}}, SettingsError, "must hold numbers, texts, lists"),
        ({"training": {"lr": float("nan")}}, SettingsError, "--space"),
    ],
)
def test_a_mistake_in_a_mapping_is_named_and_nothing_is_written(space, error, message, tmp_path):
    with pytest.raises(error) as caught:
        automl.search((X, Y), space, out=tmp_path / "run", **SMALL)
    assert message in str(caught.value)
    assert not (tmp_path / "run").exists()


PLUGIN = """
from torch import nn
from automl import architecture, hookimpl

@architecture()
def single(input_shape, num_outputs):
    'One layer.'
    return nn.Linear(*input_shape, num_outputs)

@hookimpl
def automl_architectures():
    return [single]
"""


@pytest.mark.parametrize("option", ["plugins", "plugins_dirs"])
def test_a_model_finds_the_file_of_its_plugin_however_the_search_was_given_it(option, tmp_path):
    file = tmp_path / "own" / "single.py"
    file.parent.mkdir()
    file.write_text(PLUGIN)
    own = {option: (str(file if option == "plugins" else file.parent),)}
    run = automl.search((X, Y), {"architectures": {"single": {}}}, out=tmp_path / "run", report=False, **SMALL, **own)
    assert automl.load_model(run.path).predict(X).shape == Y.shape
