"""Workers that die at the worst moments, and many workers: exactly the trials asked for, each of them once."""

from __future__ import annotations

import pytest
from watching import board

OPTIONS = ["--space", "smoke", "--architecture", "mlp", "--set", "train.batch_size=128", "--folds", 2, "--epochs", 2]
OPTIONS += ["--ladder", "1x1,2x2", "--finalists", 2, "--repeats", 1, "--sampler", "random", "--quiet"]


# slot: it has taken a place and not asked for the trial. ask: nobody has a lease of the trial. tell: the trial is over,
# and only its worker knew. With all of them nobody can know at once; the others wait until nothing happens any more.
@pytest.mark.slow
@pytest.mark.parametrize("place", ["slot:2", "ask:2", "checkpoint:2", "tell:1"])
def test_kill_worker_at_its_worst_moments_its_place_and_its_trial_are_taken_over(
    place, automl, start, tmp_path, monkeypatch
):
    monkeypatch.setenv("AUTOML_GRACE", "5")
    run, once = tmp_path / "run", tmp_path / "once"
    options = ["--trials", 8, "--workers", 2, "--threads", 2, *OPTIONS]
    search = start("search", "digits", "--out", run, *options, failpoint=f"{place}:KILL:{once}")
    _, err = search.communicate(timeout=300)
    assert search.returncode == 0, err
    assert once.exists()
    assert "signal 9" in err
    trials = board(automl, run)["trials"]
    assert sorted(trial["number"] for trial in trials) == list(range(8))
    assert {trial["state"] for trial in trials} == {"COMPLETE", "PRUNED"}
    assert all(trial["fold_epochs"] for trial in trials)
    assert sum(trial["state"] == "COMPLETE" for trial in trials) >= 2


@pytest.mark.slow
def test_budget_eight_workers_ask_for_exactly_so_many_trials(automl, start, tmp_path):
    run = tmp_path / "run"
    search = start("search", "digits", "--out", run, "--trials", 40, "--workers", 8, "--threads", 8, *OPTIONS)
    _, err = search.communicate(timeout=300)
    assert search.returncode == 0, err
    found = board(automl, run)
    assert sorted(trial["number"] for trial in found["trials"]) == list(range(40))
    assert {trial["state"] for trial in found["trials"]} == {"COMPLETE", "PRUNED"}
    assert found["totals"]["waiting"] == 0
    assert len(list((run / "logs").iterdir())) == 8
    for log in (run / "logs").iterdir():
        assert len(log.read_text().splitlines()) == 1, log.read_text()  # its device: no worker died or lost a trial
