"""What a command was given and is not there is said before torch is imported, all of it at once, with the remedy."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from automl.cli import app
from automl.errors import BadInput


def refused(*arguments):
    with pytest.raises(BadInput) as caught:
        CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=False)
    return str(caught.value)


@pytest.fixture(autouse=True)
def empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_no_command_imports_torch_or_optuna_before_it_says_that_a_path_is_not_there():
    commands = [
        line.split()
        for line in (
            "search nope.csv", "search digts", "search digits --plugin nope.py", "search digits --space nope.yaml",
            "search digits --timeout soon", "resume nope", "fit nope", "predict nope nope.csv", "evaluate nope x.csv",
            "export nope", "leaderboard nope", "show nope", "replay nope 0", "report nope", "dashboard nope",
            "worker --study s --storage postgresql://x --data nope/x",
        )
    ]  # fmt: skip
    script = f"""
import contextlib, io, json, sys
from automl.cli import main
said = []
for arguments in {commands!r}:
    sys.argv = ["automl", *arguments]
    with contextlib.redirect_stderr(io.StringIO()) as err:
        try:
            main()
        except SystemExit as exit:
            said.append([exit.code, err.getvalue()])
print(json.dumps([said, [m for m in ("torch", "optuna", "sklearn", "pandas") if m in sys.modules]]))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    said, heavy = json.loads(done.stdout)
    assert heavy == []
    assert [code for code, _ in said] == [2] * len(commands)
    assert all(text.startswith("automl: ") and text.count("\n") <= 2 for _, text in said)


def test_all_that_is_not_there_is_said_at_once(finished_run):
    said = refused("search", "nope.csv", "--plugin", "x.py", "--space", "y.yaml", "--out", finished_run.path)
    for words in ("'nope.csv': there is no such file", "--plugin x.py: no such file", "y.yaml", "holds a run already"):
        assert words in said
    said = refused("predict", "nope", "no-data")
    assert "nope: no such run or model" in said
    assert "no-data: there is no such file" in said


def test_a_missing_run_is_told_with_those_that_there_are(empty_folder):
    for name in ("photos-1", "digits-2"):
        (empty_folder / "runs" / name).mkdir(parents=True)
        (empty_folder / "runs" / name / "run.yaml").touch()
    assert refused("leaderboard", "runs/digits-3").endswith("no such run; did you mean 'runs/digits-2'?")
    said = refused("show", "zzz")
    assert "zzz: no such run; there are: " in said
    assert "runs/photos-1" in said
    assert "runs/digits-2" in said
    assert "no run is here (run.yaml is missing)" in refused("resume", "runs")


def test_a_run_without_a_model_says_how_to_go_on(empty_folder):
    (empty_folder / "begun").mkdir()
    (empty_folder / "begun" / "run.yaml").touch()
    assert "its search has not come to its end; go on with: automl resume begun" in refused("export", "begun")


@pytest.mark.parametrize("command", ["predict", "evaluate"])
def test_swapped_arguments_are_told_the_right_way_round(command, finished_run, empty_folder):
    (empty_folder / "photos").mkdir()
    said = refused(command, "photos", finished_run.path)
    assert said == f"the model stands before the data: automl {command} {finished_run.path} photos"


def test_an_export_without_a_format_lists_them(finished_run):
    assert "torch-export, onnx, state-dict" in refused("export", finished_run.path)
    assert "--format onx: there are torch-export" in refused("export", finished_run.path, "--format", "onx")
