"""A search that was killed or interrupted goes on where it was."""

from __future__ import annotations

import hashlib
import json
import shutil
import signal
from pathlib import Path

import pytest
import yaml
from watching import board, wait_for

SMALL = ["--space", "smoke", "--architecture", "mlp", "--folds", "2", "--threads", "1", "--quiet"]


def trials_of(automl, run: Path) -> list[dict]:
    return board(automl, run)["trials"]


def told(run: Path) -> int:
    return len(list((run / "artifacts").glob("*-curves.npz"))) if (run / "artifacts").exists() else 0


@pytest.mark.slow
def test_kill_anywhere_a_run_killed_in_a_trial_is_continued_and_no_complete_trial_is_lost_or_repeated(
    automl, start, tmp_path
):
    run = tmp_path / "run"
    # A ladder of one rung completes every trial at once, so there is something to lose.
    arguments = ["digits", "--out", run, "--trials", "12", "--epochs", "3", "--ladder", "3x2", *SMALL]
    search = start("search", *arguments)
    wait_for(lambda: told(run) >= 3)
    search.send_signal(signal.SIGKILL)
    search.wait()
    before = {t["number"]: t for t in trials_of(automl, run) if t["state"] == "COMPLETE"}
    assert 2 <= len(before) < 12

    answer = automl("resume", run, "--quiet")
    assert answer.code == 0, answer.err
    after = {t["number"]: t for t in trials_of(automl, run)}
    assert sorted(after) == list(range(12))
    assert {number: after[number] for number in before} == before
    assert {t["state"] for t in after.values()} <= {"COMPLETE", "PRUNED"}
    assert (run / "model" / "model.json").exists()


@pytest.mark.slow
def test_kill_anywhere_a_killed_search_comes_to_the_same_trials_as_an_undisturbed_one(automl, start, tmp_path):
    arguments = ["--trials", "5", "--epochs", "4", "--finalists", "1", "--sampler", "random", *SMALL]
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert automl("search", "digits", "--out", whole, *arguments).code == 0
    search = start("search", "digits", "--out", killed, *arguments)
    wait_for(lambda: len(list((killed / "checkpoints").glob("*.safetensors"))) >= 5 if killed.exists() else False)
    search.send_signal(signal.SIGKILL)
    search.wait()
    assert automl("resume", killed, "--quiet").code == 0
    columns = ("number", "config", "score", "state", "reason", "epochs", "folds")
    assert [[t[c] for c in columns] for t in trials_of(automl, killed)] == [
        [t[c] for c in columns] for t in trials_of(automl, whole)
    ]


@pytest.mark.parametrize(
    "number",
    [signal.SIGINT, *(pytest.param(number, marks=pytest.mark.slow) for number in (signal.SIGTERM, signal.SIGHUP))],
)
def test_signals_stop_a_search_in_order_and_leave_a_run_that_can_be_resumed(automl, start, tmp_path, number):
    run = tmp_path / "run"
    search = start("search", "digits", "--out", run, "--trials", "500", "--epochs", "4", *SMALL)
    wait_for(lambda: len(list((run / "checkpoints").glob("*.safetensors"))) >= 2 if run.exists() else False)
    search.send_signal(number)
    _, err = search.communicate(timeout=60)
    assert search.returncode == 128 + number
    assert "resume" in err
    assert "Traceback" not in err
    waiting = [t for t in trials_of(automl, run) if t["state"] == "RUNNING"]
    assert waiting
    assert automl("resume", run, "--trials", len(trials_of(automl, run)), "--quiet").code == 0


@pytest.mark.slow
def test_two_searches_one_folder_the_second_is_refused_and_names_the_first(automl, start, tmp_path):
    run = tmp_path / "run"
    search = start("search", "digits", "--out", run, "--trials", "500", "--epochs", "4", *SMALL)
    try:
        wait_for(lambda: len(list((run / "checkpoints").glob("*.safetensors"))) >= 1 if run.exists() else False)
        answer = automl("resume", run, "--quiet")
        assert answer.code == 2
        assert str(search.pid) in answer.err
        assert automl("search", "digits", "--out", run, *SMALL).code == 2
    finally:
        search.kill()
        search.communicate()


def test_a_deadline_stops_the_search_and_still_returns_a_model(automl, tmp_path):
    # What is imported and decoded once is not to be waited for in the next search.
    assert automl("search", "digits", "--out", tmp_path / "before", "--trials", 1, "--epochs", 1, *SMALL).code == 0
    budget = ["--timeout", "8s", "--trials", "9999", "--epochs", "4"]
    answer = automl("search", "digits", "--out", tmp_path / "run", *budget, *SMALL[:-1], "--json")
    assert answer.code == 0, answer.err
    summary = json.loads(answer.out)
    assert Path(summary["model"]).exists()
    assert 0 <= summary["test"]["accuracy"] <= 1
    assert summary["totals"]["trials"] < 9999
    assert summary["totals"]["waiting"] == 0
    # 9999 trials would take hours; how near to the deadline a slow machine stops is not for a test to say.


@pytest.mark.slow
def test_what_the_deadline_stops_says_so_and_its_config_becomes_the_model(automl, tmp_path):
    assert automl("search", "digits", "--out", tmp_path / "before", "--trials", 1, "--epochs", 1, *SMALL).code == 0
    run = tmp_path / "run"
    endless = ["--epochs", 100_000, "--ladder", "1x1,2x2,100000x2", "--trials", 1, "--timeout", "6s"]
    answer = automl("search", "digits", "--out", run, *endless, *SMALL[:-1])
    assert answer.code == 0, answer.err
    found = board(automl, run)
    (trial,) = found["trials"]
    assert (trial["state"], trial["reason"]) == ("PRUNED", "deadline")
    assert found["totals"]["pruned"] == {"deadline": 1}
    assert (found["winner"], found["final"]["stand_in"]) == (0, True)
    assert trial["score"] < 2.3  # guessing has log(10)
    assert found["test"]["log_loss"] < 2.3
    assert "1 deadline" in answer.out


def test_the_deadline_counts_from_the_start_of_the_command_with_all_that_comes_before_the_first_trial(automl, tmp_path):
    (tmp_path / "slow.py").write_text("import time\n\ntime.sleep(1.1)\n")
    run = tmp_path / "run"
    arguments = ["--plugin", tmp_path / "slow.py", "--trials", 1, "--epochs", 1, *SMALL]
    answer = automl("search", "digits", "--out", run, "--timeout", "1s", *arguments)
    assert answer.code == 1
    assert "--timeout 1s: over before the first trial" in answer.err
    assert f"automl resume {run} --timeout" in answer.err
    answer = automl("resume", run, "--timeout", "5m", "--quiet")
    assert answer.code == 0, answer.err
    assert board(automl, run)["totals"]["complete"] == 1


def test_a_resumed_run_without_time_for_another_trial_ends_with_what_is_complete(automl, tmp_path):
    run = tmp_path / "run"
    assert automl("search", "digits", "--out", run, "--trials", 1, "--epochs", 1, *SMALL).code == 0
    shutil.rmtree(run / "model")
    answer = automl("resume", run, "--trials", 9, "--timeout", "0.01s", "--quiet")
    assert answer.code == 0, answer.err
    found = board(automl, run)
    assert (found["totals"]["trials"], found["totals"]["complete"]) == (1, 1)
    assert (run / "model" / "model.json").exists()


def test_changed_resume_other_data_are_refused(automl, tmp_path):
    import numpy as np

    data = tmp_path / "data.npz"
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (60, 8, 8), dtype=np.uint8), np.arange(60) % 2
    np.savez(data, x=x, y=y)
    run = tmp_path / "run"
    assert automl("search", data, "--out", run, "--trials", "2", "--epochs", "1", *SMALL).code == 0
    x[0, 0, 0] ^= 1
    np.savez(data, x=x, y=y)
    answer = automl("resume", run, "--trials", "3", "--quiet")
    assert answer.code == 2
    assert "the data" in answer.err
    assert "changed" in answer.err


def test_changed_resume_another_search_space_is_refused_with_the_difference(automl, tmp_path):
    space = tmp_path / "space.yaml"
    space.write_text("architectures: {mlp: {depth: 1, width: 32}}\n")
    run = tmp_path / "run"
    arguments = ["--trials", "2", "--epochs", "1", "--folds", "2", "--threads", "1", "--quiet"]
    assert automl("search", "digits", "--space", space, "--out", run, *arguments).code == 0
    space.write_text("architectures: {mlp: {depth: 2, width: 32}}\n")
    answer = automl("resume", run, "--trials", "3", "--quiet")
    assert answer.code == 2
    assert "mlp.depth: 1 -> 2" in answer.err


def test_a_larger_budget_continues_a_finished_run(automl, tmp_path):
    run = tmp_path / "run"
    assert automl("search", "digits", "--out", run, "--trials", "2", "--epochs", "1", *SMALL).code == 0
    first = trials_of(automl, run)
    assert automl("resume", run, "--trials", "4", "--quiet").code == 0
    assert len(trials_of(automl, run)) == 4
    assert {t["number"] for t in first} == {0, 1}


@pytest.mark.parametrize(
    "left",
    [[], *(pytest.param(left, marks=pytest.mark.slow) for left in (["splits.npz"], ["splits.npz", "journal.log"]))],
)
def test_kill_anywhere_also_before_the_first_trial(left, automl, tmp_path):
    run = tmp_path / "run"
    assert automl("search", "digits", "--out", run, *SMALL, "--trials", "2", "--epochs", "2").code == 0
    record = yaml.safe_load((run / "run.yaml").read_text())
    for name in ("seconds", "final"):
        record.pop(name)
    for path in sorted(run.rglob("*"), reverse=True):  # what a kill in the first moments would have left
        if path.is_file() and path.name not in left:
            path.unlink()
    (run / "run.yaml").write_text(yaml.safe_dump(record))
    if "journal.log" in left:
        (run / "journal.log").write_text("")
    answer = automl("resume", run)
    assert answer.code == 0, answer.err
    assert (run / "model" / "model.safetensors").exists()


PLUGIN = '''from automl import architecture, hookimpl
from torch import nn


@architecture()
def mine(input_shape, num_outputs):
    """A network."""
    return nn.Sequential(nn.Flatten(), nn.LazyLinear(num_outputs))


@hookimpl
def automl_architectures():
    return [mine]
'''


def test_changed_resume_a_plugin_that_was_edited_since_must_be_named_and_is_said(automl, tmp_path, caplog):
    run, plugin = tmp_path / "run", tmp_path / "mine.py"
    plugin.write_text(PLUGIN)
    options = ["--plugin", plugin, "--set", "architecture=mine", "--epochs", 1, "--repeats", 1, "--workers", 1]
    begun = automl("search", "digits", "--out", run, "--trials", 1, *SMALL[:2], *SMALL[4:], *options)
    assert begun.code == 0, begun.err
    (recorded,) = yaml.safe_load((run / "run.yaml").read_text())["plugins"]
    assert recorded["sha256"] == hashlib.sha256(PLUGIN.encode()).hexdigest()
    unchanged = automl("resume", run, "--trials", 1, "--quiet")
    assert unchanged.code == 0
    assert "edited" not in caplog.text
    plugin.write_text(PLUGIN.replace("A network", "Another network"))
    edited = automl("resume", run, "--trials", 1, "--quiet")
    assert edited.code == 2
    assert f"{plugin}: its SHA-256 is not the recorded one" in edited.err
    assert "--plugin" in edited.err
    named = automl("resume", run, "--trials", 1, "--plugin", plugin, "--quiet")
    assert named.code == 0, named.err
    assert f"the plugin {plugin} was edited since this run was begun" in caplog.text
