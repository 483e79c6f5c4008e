"""A worker that stands still is given up; when it comes to life again, what it has found is dropped."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path

import pytest
from watching import board, wait_for

from automl.study.storage.opening import open_storage

PLUGIN = '''import time

from torch import nn

from automl import Int, architecture, hookimpl


class Slow(nn.Module):
    def __init__(self, num_outputs):
        super().__init__()
        self.dense = nn.Linear(64, num_outputs)

    def forward(self, x):
        if x.device.type != "meta":
            time.sleep(0.02)
        return self.dense(x.flatten(1))


@architecture(seed=Int(0, 1000))
def slow(input_shape, num_outputs, *, seed):
    """Takes a third of a second for an epoch of the digits."""
    return Slow(num_outputs)


@hookimpl
def automl_architectures():
    return [slow]
'''
OPTIONS = ["--set", "architecture=slow", "--set", "train.batch_size=64", "--set", "train.optimizer=sgd"]
OPTIONS += ["--folds", 2, "--epochs", 2, "--ladder", "1x1,2x2", "--finalists", 1, "--repeats", 1]
OPTIONS += ["--sampler", "random", "--workers", 2, "--threads", 2, "--quiet"]


@pytest.fixture
def freezing(start, tmp_path, monkeypatch):
    """Starts a search of so many trials, one of whose workers freezes at a place; gives it, its run, and the worker."""
    monkeypatch.setenv("AUTOML_GRACE", "5")
    (tmp_path / "slow.py").write_text(PLUGIN)
    once, run = tmp_path / "once", tmp_path / "run"
    started = []

    def begin(trials: int, place: str):
        options = ["--plugin", tmp_path / "slow.py", "--trials", trials, *OPTIONS]
        started.append(start("search", "digits", "--out", run, *options, failpoint=f"{place}:STOP:{once}"))
        frozen = int(wait_for(lambda: once.exists() and once.read_text()))
        return started[0], run, frozen

    yield begin
    with suppress(ProcessLookupError, FileNotFoundError):
        os.kill(int(once.read_text()), signal.SIGKILL)
    for search in started:
        search.kill()
        search.communicate()


def trials_of(automl, run: Path) -> dict[int, dict]:
    return {trial["number"]: trial for trial in board(automl, run)["trials"]}


def claims_of(run: Path) -> list[dict]:
    storage = open_storage(None, run / "journal.log")
    study = storage.get_study_id_from_name("run.leases")
    return [claim.user_attrs["claim"] for claim in storage.get_all_trials(study)]


# At `tell` it has written down everything of a trial but that it is over.
@pytest.mark.slow
@pytest.mark.parametrize("place", ["epoch:3", "tell:1"])
def test_frozen_worker_that_is_thawed_after_the_grace_loses_its_trial_and_goes_on_with_others(place, freezing, automl):
    search, run, frozen = freezing(30, place)

    def taken_over() -> list[int]:
        versions: dict[tuple[int, int], set[int]] = {}
        for claim in claims_of(run):
            kind, trial, _ = claim["key"]
            if kind == "trial":
                versions.setdefault((trial, claim["rung"]), set()).add(claim["version"])
        return [trial for (trial, _), claimed in versions.items() if len(claimed) > 1]

    (lost,) = wait_for(taken_over)
    os.kill(frozen, signal.SIGCONT)
    _, err = search.communicate(timeout=300)
    assert search.returncode == 0, err
    trials = trials_of(automl, run)
    assert sorted(trials) == list(range(30))
    assert {trial["state"] for trial in trials.values()} <= {"COMPLETE", "PRUNED"}

    claims = claims_of(run)
    of_trial = [(number, claim["worker"]) for number, claim in enumerate(claims) if claim["key"][:2] == ["trial", lost]]
    late = of_trial[0][1]
    over = next(number for number, worker in of_trial if worker != late)
    assert any(claim["worker"] == late for claim in claims[over:])  # it took others
    words = f"trial {lost} was taken over by another worker; what this one found is dropped"
    logs = [log.read_text() for log in (run / "logs").iterdir()]
    assert sum(words in log for log in logs) == 1
    assert [log for log in logs if "Traceback" in log] == []


@pytest.mark.slow
def test_frozen_worker_that_is_never_thawed_does_not_hold_up_the_end_of_the_search(freezing, automl):
    search, run, frozen = freezing(4, "epoch:3")
    _, err = search.communicate(timeout=300)
    assert search.returncode == 0, err
    assert "the race is over, and worker" in err
    assert "does not end: killed" in err
    assert not Path(f"/proc/{frozen}").exists()
    trials = trials_of(automl, run)
    assert sorted(trials) == list(range(4))
    assert {trial["state"] for trial in trials.values()} <= {"COMPLETE", "PRUNED"}
    assert all(trial["fold_epochs"] for trial in trials.values())
