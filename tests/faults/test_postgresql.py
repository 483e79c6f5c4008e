"""Workers that share a study in a real PostgreSQL server: killed, restarted, all at once, and no password shown."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from pathlib import Path

import optuna
import pytest
from postgresql import PASSWORD, Server
from watching import board, processes_of, wait_for, workers_of

# Quickly trained: for what is not about training.
LINEAR = ["--space", "linear.yaml", "--folds", "2", "--epochs", "2", "--finalists", "1", "--repeats", "1"]
MLP = ["--space", "smoke", "--architecture", "mlp", "--folds", "2", "--epochs", "4", "--threads", "2", "--workers", "2"]


@pytest.fixture
def database(postgresql: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    """The server, where every command of this test finds it."""
    monkeypatch.setenv("AUTOML_STORAGE", postgresql.url)
    return postgresql


@pytest.fixture(autouse=True)
def linear_space(empty_folder: Path) -> None:
    training = "optimizer: [sgd, adam]\n  lr: {float: [1e-3, 1e-1], log: true}\n  batch_size: 64"
    (empty_folder / "linear.yaml").write_text(f"architectures:\n  linear: {{}}\ntraining:\n  {training}\n")


def curves(run: Path) -> int:
    """How many trials have left a file: they wait, or have ended."""
    return len(list(run.glob("checkpoints/*"))) + len(list(run.glob("artifacts/*-curves.npz")))


def check(automl, run: Path, trials: int) -> dict:
    found = board(automl, run)
    assert sorted(trial["number"] for trial in found["trials"]) == list(range(trials))
    assert {trial["state"] for trial in found["trials"]} <= {"COMPLETE", "PRUNED"}
    assert found["totals"]["complete"] >= 1
    return found


@pytest.mark.slow
def test_budget_two_workers_on_postgresql_ask_for_exactly_so_many_trials(automl, database, tmp_path):
    run = tmp_path / "run"
    answer = automl("search", "digits", "--out", run, "--trials", "8", "--workers", "2", *LINEAR)
    assert answer.code == 0, answer.err
    found = check(automl, run, 8)
    assert found["test"]["accuracy"] > 0.5
    for number in range(8):
        assert f"trial {number} (linear): " in answer.out
    assert not (run / "journal.log").exists()


@pytest.mark.slow
def test_secret_leak_a_password_is_in_no_process_list_output_or_file(postgresql, start, tmp_path):
    run = tmp_path / "run"
    small = [*LINEAR, "--workers", "2", "--threads", "2", "--trials", "4"]
    search = start("search", "digits", "--out", run, "--storage", postgresql.url, *small)
    shown = set()
    while search.poll() is None:
        for process in [search.pid, *processes_of(search.pid)]:
            try:
                arguments = Path(f"/proc/{process}/cmdline").read_bytes()
                secret = b"AUTOML_STORAGE" in Path(f"/proc/{process}/environ").read_bytes()
            except OSError:
                continue
            if process == search.pid and not secret:
                continue  # it has not come so far yet
            assert PASSWORD.encode() not in arguments
            shown.add((process == search.pid, secret))
        time.sleep(0.1)
    out, err = search.communicate()
    assert search.returncode == 0, err
    assert shown == {(True, True), (False, False)}
    assert PASSWORD not in out + err
    files = [path for path in run.rglob("*") if path.is_file()]
    assert len(files) > 5
    for path in files:
        assert PASSWORD.encode() not in path.read_bytes(), path


@pytest.mark.slow
def test_kill_worker_on_postgresql_its_trial_is_taken_over(automl, database, start, tmp_path):
    run = tmp_path / "run"
    search = start("search", "digits", "--out", run, "--trials", "12", *MLP)
    wait_for(lambda: curves(run) >= 2)
    victim = workers_of(search.pid)[0]
    os.kill(victim, signal.SIGKILL)
    _, err = search.communicate(timeout=170)
    assert search.returncode == 0, err
    assert "signal 9" in err
    check(automl, run, 12)


@pytest.mark.slow
def test_second_client_of_the_database_looks_and_notes_beside_a_search_and_nothing_is_lost(
    automl, database, start, tmp_path
):
    run = tmp_path / "run"
    search = start("search", "digits", "--out", run, "--trials", "8", *MLP)
    wait_for(lambda: curves(run) >= 1)
    seen = []
    while search.poll() is None:
        seen.append(automl("leaderboard", run, "--json"))
        study = optuna.load_study(study_name=run.name, storage=database.url)  # a colleague's notebook
        study.set_user_attr(f"note {len(seen)}", "looked")
        assert len(study.trials) <= 8
    _, err = search.communicate()
    assert search.returncode == 0, err
    assert seen
    assert {answer.code for answer in seen} == {0}, seen[-1].err
    check(automl, run, 8)
    assert study.user_attrs.keys() >= {f"note {number + 1}" for number in range(len(seen) - 1)}


def restart(database: Server, search: subprocess.Popen[str], run: Path, seconds: float) -> str:
    """Stops the server in the midst of a search for so long; what the search said of it."""
    wait_for(lambda: curves(run) >= 2)
    database.stop()
    time.sleep(seconds)
    assert search.poll() is None, search.communicate()
    database.start()
    _, err = search.communicate(timeout=170)
    assert search.returncode == 0, err
    assert "Traceback" not in err
    assert PASSWORD not in err
    return err


@pytest.mark.slow
def test_db_restart_of_some_seconds_loses_and_doubles_no_trial(automl, database, start, tmp_path):
    run = tmp_path / "run"
    search = start("search", "digits", "--out", run, "--trials", "12", *MLP)
    err = restart(database, search, run, 6)
    assert re.search(r"the storage does not answer \(.*\); trying again for 1\d\d s", err)
    check(automl, run, 12)


@pytest.mark.slow
def test_db_restart_of_30_seconds_loses_and_doubles_no_trial(automl, database, start, tmp_path):
    run = tmp_path / "run"
    search = start("search", "digits", "--out", run, "--trials", "12", *MLP)
    restart(database, search, run, 30)
    found = check(automl, run, 12)
    assert found["totals"]["fold_epochs"] < 12 * 2 * 4  # nobody took the others for dead and began again


@pytest.mark.slow
def test_cold_start_budget_eight_workers_on_a_fresh_database_all_start_and_ask_for_exactly_ten_trials(
    automl, database, tmp_path
):
    run = tmp_path / "run"
    answer = automl("search", "digits", "--out", run, "--trials", "10", "--workers", "8", "--threads", "8", *LINEAR)
    assert answer.code == 0, answer.err
    check(automl, run, 10)
    assert len(list((run / "logs").iterdir())) == 8
    assert "ended with" not in answer.err
