"""Runs that lie elsewhere than they were made, or say that their workers do."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml
from watching import board

import automl as package


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    small = {"folds": 2, "epochs": 1, "trials": 1, "finalists": 1, "repeats": 1, "threads": 1, "workers": 1}
    run = tmp_path_factory.mktemp("searched") / "run"
    package.search("digits", "smoke", out=run, architectures=("mlp",), report=False, **small)
    return run


def test_moved_run_shows_where_it_and_its_model_lie_now(automl, searched, tmp_path):
    moved = Path(shutil.copytree(searched, tmp_path / "elsewhere" / "moved"))
    shown = board(automl, moved)
    assert (shown["run"], shown["model"]) == (str(moved), str(moved / "model"))
    assert automl("report", moved).code == 0
    for text in (automl("leaderboard", moved).out, (moved / "report.html").read_text()):
        assert str(moved / "model") in text
        assert str(searched) not in text


def test_ray_of_others_is_joined_only_where_the_command_names_it(automl, searched, tmp_path):
    run = Path(shutil.copytree(searched, tmp_path / "run"))
    record = yaml.safe_load((run / "run.yaml").read_text())
    record["settings"] |= {"launcher": "ray", "ray_address": "127.0.0.1:9"}
    (run / "run.yaml").write_text(yaml.safe_dump(record))
    answer = automl("resume", run, "--quiet")
    assert answer.code == 2
    assert "if it is yours, give --ray-address 127.0.0.1:9, else --launcher local" in answer.err
    assert automl("resume", run, "--launcher", "local", "--quiet").code == 0
    assert automl("replay", run, 0).code == 0
