"""An ASCII terminal, a reader that goes away, and the words after Ctrl-C, on one search by the real command."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest
import torch

import automl


def command(*arguments):
    return [sys.executable, "-m", "automl", *map(str, arguments)]


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    """A search on an ASCII terminal whose reader goes after two lines; Ctrl-C stops it when it has gone on a while."""
    folder = tmp_path_factory.mktemp("here")
    options = ["--space", "smoke", "--folds", 2, "--epochs", 2, "--workers", 1, "--threads", 1, "--timeout", "1h"]
    search = subprocess.Popen(
        command("search", "digits", "--out", "my run", *options),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=folder,
        env={**os.environ, "PYTHONIOENCODING": "ascii", "AUTOML_CACHE": str(folder / "cache")},
    )  # fmt: skip
    lines = [search.stdout.readline() for _ in range(2)]
    search.stdout.close()
    journal = folder / "my run" / "journal.log"
    size, patience = journal.stat().st_size, time.monotonic() + 60
    while journal.stat().st_size < size + 3000 and search.poll() is None and time.monotonic() < patience:
        time.sleep(0.05)
    search.send_signal(signal.SIGINT)
    err = search.communicate(timeout=60)[1] if search.stderr is not None else ""
    return folder, lines, search.returncode, err


@pytest.mark.slow
def test_a_search_goes_on_when_its_reader_has_gone(stopped):
    _, lines, code, err = stopped
    assert lines[0].startswith("data ")
    assert code == 128 + signal.SIGINT  # it was there to be stopped
    assert "disk" not in err
    assert "Traceback" not in err


@pytest.mark.slow
def test_after_ctrl_c_the_command_that_goes_on_is_printed_whole(stopped):
    assert stopped[3].splitlines()[-1] == "automl: stopped; go on with: automl resume 'my run' --timeout 3600s"


def test_a_table_and_a_plot_are_printed_on_an_ascii_terminal(finished_run):
    env = {**os.environ, "PYTHONIOENCODING": "ascii"}
    for name in ("leaderboard", "show"):
        done = subprocess.run(command(name, finished_run.path), env=env, capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.isascii()
        assert "+-" in done.stdout


def test_any_other_command_ends_with_its_reader_as_unix_tools_do(finished_run):
    done = subprocess.Popen(command("leaderboard", finished_run.path), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    done.stdout.close()
    assert done.wait() == 128 + signal.SIGPIPE
    assert done.stderr.read() == b""


def test_the_versions_that_a_report_of_a_bug_needs_are_printed_without_importing_torch():
    script = "import sys; from automl.cli import main\ntry: main()\nfinally: assert 'torch' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", script, "--version"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"automl {automl.__version__}, torch {torch.__version__.partition('+')[0]}" in done.stdout
