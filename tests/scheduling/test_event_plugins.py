"""Event plugins are told what happens in a real search, and cannot stop it."""

from __future__ import annotations

import json

import automl

PLUGIN = """
import json, pathlib
from automl import hookimpl

LOG = pathlib.Path({log!r})

def write(*event):
    with LOG.open("a") as file:
        file.write(json.dumps(event) + "\\n")

@hookimpl
def automl_search_started(run):
    write("started", run["data"], run["settings"]["trials"])

@hookimpl
def automl_trial_finished(run, trial, curves):
    write("finished", trial["number"], trial["state"], curves["validation_loss"].shape[0])
    raise RuntimeError("a listener's own fault")

@hookimpl
def automl_search_finished(run):
    write("search finished", run["data"])
"""


def test_listeners_hear_of_the_start_of_each_trial_and_of_the_end_and_their_errors_stop_nothing(tmp_path):
    plugin = tmp_path / "listener.py"
    plugin.write_text(PLUGIN.format(log=str(tmp_path / "log")))
    run = automl.search(
        "digits", plugins=(str(plugin),), space="smoke", architectures=("mlp",), trials=3, folds=2, epochs=1, threads=1,
        out=tmp_path / "run",
    )  # fmt: skip
    events = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert events[0] == ["started", "digits", 3]
    assert events[-1] == ["search finished", "digits"]
    told = {tuple(event[1:]) for event in events[1:-1]}
    assert told == {(t["number"], t["state"], 2) for t in run.leaderboard()}
