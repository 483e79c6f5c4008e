"""Names that others chose, with what steers a terminal and what a spreadsheet takes for a formula."""

from __future__ import annotations

import csv
import os
import pty
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

import automl as automl_package
from automl import search

TITLE, HIDDEN, BELL, REVERSED, OVERWRITTEN = "\x1b]0;mine\x07", "\x1b[8m", "\x9b31m", "\u202etxt", "a\rb"
STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]")
CLASSES = [f"cat{TITLE}", f"{HIDDEN}dog{BELL}", f"{REVERSED}{OVERWRITTEN}"]
FORMULAS = ["=1+cmd|' /C calc'!A0", "+sum", "-dash", "@at", "\ttab", "-1"]
SMALL = {"architectures": ("mlp",), "folds": 2, "epochs": 1, "threads": 1, "trials": 1}


def run_of(folder: Path, classes: list[str]) -> Path:
    """A run about these classes; an .npz with other samples of them lies beside it."""
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (20 * len(classes), 8, 8), dtype=np.uint8)
    y = np.array(classes * 20)
    np.savez(folder / "data.npz", x=x, y=y)
    return search(folder / "data.npz", "smoke", out=folder / "run", **SMALL).path


@pytest.fixture(scope="module")
def steering(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run_of(tmp_path_factory.mktemp("steering"), CLASSES)


def on_a_terminal(*arguments: object) -> str:
    """What a terminal of 100 columns is sent by the command."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "automl", *map(str, arguments)]
    env = {**os.environ, "COLUMNS": "100", "TERM": "xterm", "PYTHONIOENCODING": "utf-8"}
    process = subprocess.Popen(command, stdout=theirs, stderr=theirs, stdin=subprocess.DEVNULL, env=env)
    os.close(theirs)
    sent = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:  # the other end is closed
            break
        if not part:
            break
        sent += part
    os.close(ours)
    process.wait()
    return sent.decode().replace("\r\n", "\n")


def test_control_characters_of_class_names_are_shown_as_escapes_wherever_they_are_printed(automl, steering, tmp_path):
    data = steering.parent / "data.npz"
    for arguments in (
        ["show", steering],
        ["evaluate", steering, data],
        ["leaderboard", steering],
        ["predict", steering, data],
        ["predict", steering, data, "-o", tmp_path / "out.csv"],
        ["search", data, "--out", tmp_path / "again", "--space", "smoke", "--trials", 1, "--epochs", 1, "--folds", 2],
    ):
        answer = automl(*arguments)
        assert answer.code == 0, answer.err
        assert STEERING.findall(answer.out + answer.err) == [], arguments
    assert r"cat\x1b]0;mine\x07" in automl("predict", steering, data).out
    assert STEERING.findall((tmp_path / "out.csv").read_bytes().decode()) == []


def test_control_characters_do_not_reach_a_terminal_and_colours_do(steering):
    sent = on_a_terminal("evaluate", steering, steering.parent / "data.npz")
    assert r"\x1b]0;mine\x07" in sent
    assert TITLE not in sent
    assert HIDDEN not in sent
    assert REVERSED[0] not in sent
    refused = on_a_terminal("search", "no\x1b]0;mine\x07.csv")
    assert r"no\x1b]0;mine\x07.csv" in refused
    assert TITLE not in refused
    assert "\x1b[1m" in on_a_terminal("--help")


def test_formula_cells_are_shown_as_text_by_a_spreadsheet_and_numbers_stay_numbers(automl, tmp_path):
    run = run_of(tmp_path, FORMULAS)
    answer = automl("predict", run, tmp_path / "data.npz", "-o", tmp_path / "out.csv")
    assert answer.code == 0, answer.err
    with open(tmp_path / "out.csv", encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    labels = {row[1] for row in rows}
    assert labels <= {"'=1+cmd|' /C calc'!A0", "'+sum", "'-dash", "'@at", "'\ttab", "tab", "-1"}
    assert len(labels) > 1
    assert not [text for row in [header, *rows] for text in row if re.match(r"[=+@\t\r]|-(?!1$)", text)]


@pytest.mark.parametrize("format", ["torch-export", "onnx"])
def test_private_paths_of_the_exporter_are_in_no_export(automl, steering, tmp_path, format):
    pytest.importorskip("onnxruntime" if format == "onnx" else "torch")
    assert automl("export", steering, "--format", format, "-o", tmp_path / "model").code == 0
    data = (tmp_path / "model").read_bytes()
    if format == "torch-export":
        with zipfile.ZipFile(tmp_path / "model") as archive:
            data = b"".join(archive.read(name) for name in archive.namelist())
    for path in (Path(automl_package.__file__).parent, Path(torch.__file__).parent, steering.parent, Path.home()):
        assert os.fsencode(path) not in data, path


@pytest.mark.parametrize("text", ["a: &x [1]\nb: *x\n", "settings: &x [*x]\n"])
def test_endless_record_aliases_are_refused_with_their_line(automl, steering, tmp_path, text):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "run.yaml").write_text((steering / "run.yaml").read_text() + text)
    answer = automl("leaderboard", tmp_path / "run")
    assert answer.code == 2
    assert "aliases" in answer.err
    assert "line" in answer.err
    assert "&id0" not in (steering / "run.yaml").read_text()
