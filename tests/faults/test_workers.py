"""Several workers, and what happens when they die."""

from __future__ import annotations

import os
import signal
import time

import pytest
from watching import board, children, is_alive, processes_of, wait_for, workers_of

SMALL = ["--space", "smoke", "--architecture", "mlp", "--folds", "2", "--epochs", "4", "--threads", "2"]
SMALL += ["--workers", "2"]


@pytest.mark.slow
@pytest.mark.parametrize("how", ["forked", "each with its own imports"])
def test_budget_two_workers_ask_for_exactly_so_many_trials_and_share_them(how, automl, tmp_path, monkeypatch):
    if how != "forked":  # as where a device or the system does not bear a fork
        monkeypatch.setattr("automl.workers.local.can_fork", lambda devices: False)
    run = tmp_path / "run"
    answer = automl("search", "digits", "--out", run, "--trials", "10", *SMALL)
    assert answer.code == 0, answer.err
    found = board(automl, run)
    assert sorted(trial["number"] for trial in found["trials"]) == list(range(10))
    assert {trial["state"] for trial in found["trials"]} == {"COMPLETE", "PRUNED"}
    assert found["totals"]["complete"] >= 3
    assert found["test"]["accuracy"] > 0.5
    assert not (run / "shared").exists()
    for number in range(10):
        assert f"trial {number} (mlp): " in answer.out
    assert len(list((run / "logs").iterdir())) == 2


@pytest.mark.slow
def test_kill_worker_its_trial_is_taken_over_and_none_is_lost_or_run_twice(automl, start, tmp_path):
    run = tmp_path / "run"
    search = start("search", "digits", "--out", run, "--trials", "14", *SMALL)
    for _ in range(2):
        wait_for(lambda: workers_of(search.pid) and len(list((run / "checkpoints").glob("*"))) >= 2)
        time.sleep(0.5)
        victim = workers_of(search.pid)[0]
        os.kill(victim, signal.SIGKILL)
        wait_for(lambda gone=victim: gone not in workers_of(search.pid))
    _, err = search.communicate(timeout=120)
    assert search.returncode == 0, err
    assert "worker" in err
    assert "signal 9" in err
    found = board(automl, run)
    assert sorted(trial["number"] for trial in found["trials"]) == list(range(14))
    assert {trial["state"] for trial in found["trials"]} <= {"COMPLETE", "PRUNED"}


@pytest.mark.slow
def test_kill_worker_who_replaces_it_has_its_device(automl, start, tmp_path):
    run = tmp_path / "run"
    few = ["--trials", "6", "--finalists", "1", "--repeats", "1", "--devices", "cpu:0,cpu:1"]
    search = start("search", "digits", "--out", run, *few, *SMALL[:-2])
    logs = run / "logs"
    wait_for(lambda: len(list(logs.glob("*"))) == 2 and all(" on " in log.read_text() for log in logs.iterdir()))
    second = next(
        worker for worker in workers_of(search.pid)
        if os.readlink(f"/proc/{worker}/fd/2") == str(logs / "worker-1.log")
    )  # fmt: skip
    os.kill(second, signal.SIGKILL)
    _, err = search.communicate(timeout=170)
    assert search.returncode == 0, err
    devices = [(logs / f"worker-{number}.log").read_text().split()[4].strip(",") for number in range(3)]
    assert devices == ["cpu:0", "cpu:1", "cpu:1"]
    assert sorted(trial["number"] for trial in board(automl, run)["trials"]) == list(range(6))


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["while they import", "while they search"])
def test_parent_death_no_worker_lives_ten_seconds_longer(start, tmp_path, moment):
    run = tmp_path / "run"
    search = start("search", "digits", "--out", run, "--trials", "500", *SMALL)
    processes = wait_for(lambda: children(search.pid))
    if moment == "while they search":
        wait_for(lambda: len(list((run / "checkpoints").glob("*"))) >= 2)  # a busy machine imports for half a minute
        processes = processes_of(search.pid)
        assert len(workers_of(search.pid)) == 2
    search.kill()
    search.communicate()
    assert wait_for(lambda: not any(is_alive(process) for process in processes), seconds=10)


@pytest.mark.slow
def test_signals_stop_all_workers_and_the_run_can_be_resumed_by_another_number_of_them(automl, start, tmp_path):
    run = tmp_path / "run"
    search = start("search", "digits", "--out", run, "--trials", "500", *SMALL)
    wait_for(lambda: len(list((run / "checkpoints").glob("*"))) >= 2 if run.exists() else False)
    workers = workers_of(search.pid)
    assert len(workers) == 2
    search.send_signal(signal.SIGINT)
    _, err = search.communicate(timeout=15)
    assert search.returncode == 130
    assert "Traceback" not in err
    assert not any(is_alive(worker) for worker in workers)
    asked = len(board(automl, run)["trials"])
    assert automl("resume", run, "--trials", asked, "--workers", "1", "--quiet").code == 0
    assert board(automl, run)["totals"]["waiting"] == 0


POISON = """
import os
from torch import nn
from automl import Choice, architecture, hookimpl

@architecture(deadly=Choice(True, False))
def poison(input_shape, num_outputs, *, deadly):
    'Kills the process that trains it.'
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.out = nn.Linear(64, num_outputs)
        def forward(self, x):
            if deadly and x.device.type != 'meta':
                os._exit(9)
            return self.out(x.flatten(1))
    return Net()

@hookimpl
def automl_architectures():
    return [poison]
"""


@pytest.fixture
def poison(tmp_path):
    """Options for a search some of whose trials kill their process."""
    plugin, space = tmp_path / "poison.py", tmp_path / "space.yaml"
    plugin.write_text(POISON)
    space.write_text("architectures: {poison: {}}\n")
    return ["--plugin", plugin, "--space", space, "--sampler", "random", "--folds", "2", "--epochs", "1"]


def assert_poisoned(trials):
    """The deadly ones have failed, and the others not."""
    deadly = [trial for trial in trials if trial["config"]["poison.deadly"]]
    assert deadly
    assert {trial["state"] for trial in deadly} == {"FAIL"}
    assert all("3 workers died of it" in trial["reason"] for trial in deadly)
    assert {trial["state"] for trial in trials if trial not in deadly} <= {"COMPLETE", "PRUNED"}


@pytest.mark.slow
def test_poison_trial_a_config_that_kills_its_workers_fails_after_the_retries(automl, poison, tmp_path):
    run = tmp_path / "run"
    answer = automl("search", "digits", "--out", run, "--trials", "4", "--workers", "2", "--threads", "2", *poison)
    assert answer.code == 0, answer.err
    assert_poisoned(board(automl, run)["trials"])


@pytest.mark.slow
def test_poison_trial_of_a_search_without_workers_fails_after_three_sessions(automl, start, poison, tmp_path):
    run = tmp_path / "run"
    alone = ["--trials", "2", "--workers", "1", "--threads", "1"]
    codes = []
    while 0 not in codes and len(codes) < 8:
        session = start("resume", run) if codes else start("search", "digits", "--out", run, *alone, *poison)
        _, err = session.communicate(timeout=120)
        codes.append(session.returncode)
    assert codes == [9, 9, 9, 0], err
    assert_poisoned(board(automl, run)["trials"])


@pytest.mark.slow
def test_a_trial_that_a_search_without_workers_had_begun_is_gone_on_with_by_workers(automl, start, tmp_path):
    run = tmp_path / "run"
    alone = [*SMALL[: SMALL.index("--workers")], "--quiet"]
    search = start("search", "digits", "--out", run, "--trials", "500", *alone)
    wait_for(lambda: len(list((run / "checkpoints").glob("*"))) >= 2 if run.exists() else False)
    search.kill()
    search.communicate()
    asked = len(board(automl, run)["trials"])
    answer = automl("resume", run, "--trials", asked + 2, "--workers", "2", "--quiet")
    assert answer.code == 0, answer.err
    trials = board(automl, run)["trials"]
    assert sorted(trial["number"] for trial in trials) == list(range(asked + 2))
    assert all(trial["fold_epochs"] for trial in trials)  # the one that was broken off as well
