"""Runs that an earlier state of the code made can be looked at, resumed and trained again, with the same numbers."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from golden_runs import GOLDEN, facts

import automl
from automl.api import replay
from automl.data.sources.load import load
from automl.run.folder import RunFolder

KNOWN: dict[str, Any] = json.loads((GOLDEN / "facts.json").read_text())


@pytest.fixture
def golden(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """`golden(name)`: the run, unpacked in the current folder.

    Its data have the fingerprint of today: what that counts changes more often than what a run holds.
    """
    monkeypatch.chdir(tmp_path)

    def unpack(name: str) -> Path:
        with tarfile.open(GOLDEN / f"{name}.tar.xz") as file:
            file.extractall(tmp_path, filter="data")
        folder = RunFolder(tmp_path / name)
        record, data = folder.read_record(), load(str(folder.data / "arrays.npz"))
        folder.write_record(record.but(data=record.data.model_copy(update={"fingerprint": data.fingerprint})))
        return folder.path

    return unpack


@pytest.mark.parametrize("name", KNOWN)
def test_its_leaderboard_says_what_it_said(golden: Callable[[str], Path], name: str) -> None:
    summary = json.loads(json.dumps(automl.open_run(golden(name)).summary))
    assert facts(summary) == KNOWN[name]


@pytest.mark.parametrize("name", ["journal", "sqlite"])
def test_its_winner_is_trained_again_with_the_same_curves(golden: Callable[[str], Path], name: str) -> None:
    found = replay(golden(name), KNOWN[name]["winner"])
    assert found.bit_equal or (found.changed and found.equal)


def test_an_interrupted_search_ends_as_the_undisturbed_one(golden: Callable[[str], Path]) -> None:
    run = automl.resume(golden("interrupted"))
    undisturbed = KNOWN["journal"]
    assert facts(run.summary)["totals"] == undisturbed["totals"]
    assert run.summary["winner"] == undisturbed["winner"]
    rows = {row["number"]: row for row in undisturbed["trials"]}
    for row in run.leaderboard():
        assert row["score"] == pytest.approx(rows[row["number"]]["score"], rel=1e-6)


def test_a_finished_search_takes_more_trials(golden: Callable[[str], Path]) -> None:
    run = automl.resume(golden("sqlite"), trials=9)
    assert run.summary["totals"]["trials"] == 9
    rows = {row["number"]: row for row in KNOWN["sqlite"]["trials"]}
    complete = [row for row in run.leaderboard() if row["state"] == "COMPLETE" and row["number"] in rows]
    assert complete
    assert all(row["score"] == rows[row["number"]]["score"] for row in complete)
