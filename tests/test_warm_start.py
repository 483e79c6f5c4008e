"""`--first-from`: a search begins with the best configs of an earlier run, as far as its own space has them."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import automl
from automl.errors import SettingsError

QUICK = {
    "folds": 2, "epochs": 4, "finalists": 1, "repeats": 1, "threads": 1, "workers": 1, "device": "cpu",
    "sampler": "random",
}  # fmt: skip
SPACE = {"architectures": {"linear": {"dropout": [0.0, 0.5]}, "mlp": {"width": 8, "depth": 1}},
         "training": {"optimizer": ["adam", "sgd"], "batch_size": 16, "lr": {"float": [0.001, 0.1]}}}  # fmt: skip


@pytest.fixture(scope="module")
def data() -> tuple[np.ndarray, np.ndarray]:
    x = np.random.default_rng(0).normal(size=(120, 4))
    return x, (x[:, 0] > 0).astype(int)


@pytest.fixture(scope="module")
def earlier(data: Any, tmp_path_factory: pytest.TempPathFactory) -> automl.Run:
    return automl.search(data, SPACE, out=tmp_path_factory.mktemp("earlier") / "run", trials=4, seed=3, **QUICK)


def configs(run: automl.Run) -> list[dict[str, Any]]:
    return [row["config"] for row in sorted(run.leaderboard(), key=lambda row: row["number"])]


def test_the_first_trials_have_the_configs_of_its_best_ones_and_the_run_is_only_looked_at(earlier, data, tmp_path):
    before = {path: path.stat().st_mtime_ns for path in earlier.path.rglob("*")}
    run = automl.search(data, SPACE, out=tmp_path / "run", trials=4, first_from=(str(earlier.path),), **QUICK)
    complete = [row["config"] for row in earlier.leaderboard() if row["state"] == "COMPLETE"][:3]
    assert complete
    assert configs(run)[: len(complete)] == complete
    assert f"Tried first: {len(complete)} config" in " ".join(run.record.data.notes)
    assert {path: path.stat().st_mtime_ns for path in earlier.path.rglob("*")} == before


@pytest.mark.slow
def test_workers_in_processes_of_their_own_begin_with_them_too(earlier, data, tmp_path):
    settings = {**QUICK, "workers": 2}
    run = automl.search(data, SPACE, out=tmp_path / "run", trials=4, first_from=(str(earlier.path),), **settings)
    complete = [row["config"] for row in earlier.leaderboard() if row["state"] == "COMPLETE"][:3]
    assert configs(run)[: len(complete)] == complete


def test_what_the_space_does_not_offer_is_drawn_from_it(earlier, data, tmp_path):
    narrow = {**SPACE, "training": {**SPACE["training"], "lr": {"float": [0.2, 0.3]}}}
    run = automl.search(data, narrow, out=tmp_path / "run", trials=1, first_from=(str(earlier.path),), **QUICK)
    best, found = earlier.leaderboard()[0]["config"], configs(run)[0]
    assert 0.2 <= found["train.lr"] <= 0.3
    assert {**found, "train.lr": 0} == {**best, "train.lr": 0}


def test_a_run_that_was_begun_so_is_resumed_when_the_earlier_one_is_gone(earlier, data, tmp_path):
    copy = Path(shutil.copytree(earlier.path, tmp_path / "copy"))
    begun = automl.search(data, SPACE, out=tmp_path / "run", trials=1, first_from=(str(copy),), **QUICK)
    shutil.rmtree(copy)
    resumed = automl.resume(begun.path, trials=3)
    assert configs(resumed)[0] == configs(begun)[0]
    assert len(configs(resumed)) == 3


def test_without_a_config_that_fits_or_a_run_the_search_says_why(earlier, data, tmp_path):
    other = {"architectures": {"tabular_resnet": {}}}
    with pytest.raises(SettingsError, match=r"--first-from .*none of its best configs .*\(tabular_resnet\)"):
        automl.search(data, other, out=tmp_path / "run", first_from=(str(earlier.path),), **QUICK)
    with pytest.raises(SettingsError, match=r"--first-from .*nowhere: no such run"):
        automl.search(data, SPACE, out=tmp_path / "run", first_from=(str(tmp_path / "nowhere"),), **QUICK)
    assert not (tmp_path / "run").exists()
