"""A search that is killed at an exact place is resumed, and comes to what it would have come to undisturbed."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest
from watching import board

import automl as package
from automl.failpoints import parse_failpoint
from automl.racing.objective import Objective
from automl.training.run import read_curves

# Nothing is left to the sampler, whose draws depend on when it was made.
SPACE: dict = {
    "architectures": {"mlp": {"depth": 1, "width": 16, "activation": "relu", "batch_norm": False, "dropout": 0.0}},
    "training": {
        "optimizer": {"sgd": {"momentum": 0.9, "nesterov": False}}, "schedule": "constant", "augmentation": "none",
        "lr": 0.05, "weight_decay": 0, "batch_size": 128,
    },
}  # fmt: skip
SETTINGS = {
    "space": SPACE, "trials": 6, "folds": 2, "epochs": 2, "ladder": "1x1,2x2", "finalists": 2, "repeats": 1,
    "sampler": "random", "threads": 1, "workers": 1, "device": "cpu",
}  # fmt: skip
OPTIONS = [
    text
    for name, value in SETTINGS.items()
    for text in (f"--{name}", json.dumps(value) if name == "space" else str(value))
]
PLACES = ["slot:3", "ask:3", "epoch:5", "report:5", "checkpoint:4", "rename:6", "told:1", "final:1"]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    return package.search("digits", out=tmp_path_factory.mktemp("undisturbed") / "run", report=False, **SETTINGS)


def told(row) -> dict:
    return {name: value for name, value in row.items() if name not in ("seconds", "fold_epochs")}


@pytest.mark.slow
@pytest.mark.parametrize("place", ["tell:2", *PLACES])
def test_kill_anywhere_no_finished_trial_is_lost_or_run_twice_and_the_trials_are_those_of_an_undisturbed_search(
    place, undisturbed, automl, start, tmp_path: Path
):
    run = tmp_path / "run"
    search = start("search", "digits", "--out", run, *OPTIONS, "--quiet", failpoint=place)
    _, err = search.communicate()
    assert search.returncode == -signal.SIGKILL, err
    before = {row["number"]: row for row in board(automl, run)["trials"]}
    finished = {number: row for number, row in before.items() if row["state"] != "RUNNING"}

    answer = automl("resume", run, "--quiet")
    assert answer.code == 0, answer.err
    found = board(automl, run)
    after = {row["number"]: row for row in found["trials"]}
    assert {number: after[number] for number in finished} == finished  # to the seconds that they took
    rows = undisturbed.summary["trials"]
    assert [told(row) for row in found["trials"]] == [told(row) for row in rows]
    again = [now["fold_epochs"] - then["fold_epochs"] for now, then in zip(found["trials"], rows, strict=True)]
    assert min(again) >= 0  # what was trained again counts
    assert max(again) <= 2 * SETTINGS["epochs"]
    assert (found["winner"], found["test"]) == (undisturbed.summary["winner"], undisturbed.summary["test"])
    complete = [number for number, row in after.items() if row["state"] == "COMPLETE"]
    assert len(complete) >= 2
    for number in complete:
        curves = package.open_run(run).curves(number)
        assert curves is not None
        saved = read_curves(run / "checkpoints" / f"trial-{number:05d}.safetensors", Objective.of("classification"))
        assert (saved.values[:, :2] == curves[:, :2]).all()


@pytest.mark.parametrize("wrong", ["checkpont:3", "checkpoint", "ask:0", "ask:often", ":1", "ask:1:HUP"])
def test_a_failpoint_that_does_not_exist_is_refused_with_those_that_do(wrong):
    with pytest.raises(package.AutomlError, match=r"must be PLACE:NTH\[:SIGNAL\[:FILE\]\]; PLACE is one of slot, ask"):
        parse_failpoint(wrong)
