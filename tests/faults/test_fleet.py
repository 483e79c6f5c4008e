"""Workers of other machines take part in a search, through a real PostgreSQL server."""

from __future__ import annotations

import signal
from pathlib import Path

import optuna
import pytest
from postgresql import Server
from watching import board, wait_for

from automl.study.storage.opening import open_storage
from automl.workers.shared_leases import SharedLeases

# It takes its time until a worker has joined, so that there is something to do for one that comes late.
SLOW = '''import time
from pathlib import Path
from torch import nn
from automl import Float, architecture, hookimpl

@architecture(dropout=Float(0.0, 0.5))
def slow(input_shape, num_outputs, *, dropout):
    """A linear model that is built slowly."""
    if not Path({joined!r}).exists():
        time.sleep(1.0)
    return nn.Sequential(nn.Flatten(), nn.Dropout(dropout), nn.Linear(64, num_outputs))

@hookimpl
def automl_architectures():
    return [slow]
'''
TRIALS = 24


@pytest.fixture
def fleet(postgresql: Server, start, tmp_path, empty_folder, monkeypatch):
    """`fleet()` begins a search in the folder `run` and lets `automl worker` join it; returns both processes."""
    monkeypatch.setenv("AUTOML_STORAGE", postgresql.url)
    monkeypatch.setenv("AUTOML_GRACE", "12")
    has_joined = tmp_path / "joined"
    (tmp_path / "slow.py").write_text(SLOW.format(joined=str(has_joined)))
    (empty_folder / "space.yaml").write_text("architectures: {slow: {}}\n")
    small = ["--folds", "2", "--epochs", "2", "--finalists", "1", "--repeats", "1", "--sampler", "random"]
    alone = ["--workers", "1", "--threads", "1", "--trials", TRIALS, "--space", "space.yaml"]

    def begin(*arguments):
        run = tmp_path / "run"
        search = start("search", "digits", "--out", run, "--plugin", tmp_path / "slow.py", *small, *alone)
        wait_for(lambda: (run / "logs").exists() or search.poll() is not None)
        worker = start("worker", "--study", "run", "--threads", "1", *arguments)
        storage = open_storage(postgresql.url, Path())
        study = optuna.load_study(storage=storage, study_name="run")
        leases = SharedLeases(study._storage, "run", "watching")

        def joined() -> set[str]:
            """The trials that the worker has begun or gone on with."""
            leases.sync()
            guests = {worker for worker, about in leases._workers.items() if about["joined"]}
            return {thing for thing, lease in leases.held.items() if lease.worker in guests and "trial" in thing}

        wait_for(lambda: len(joined()) >= 2 or worker.poll() is not None)
        has_joined.touch()
        return search, worker, joined

    return begin


def check(automl, run: Path) -> dict:
    found = board(automl, run)
    assert sorted(trial["number"] for trial in found["trials"]) == list(range(TRIALS))
    assert {trial["state"] for trial in found["trials"]} <= {"COMPLETE", "PRUNED"}
    assert all(trial["fold_epochs"] for trial in found["trials"])
    return found


@pytest.mark.slow
def test_a_worker_without_the_runs_folder_does_its_share_and_the_search_concludes(automl, fleet, tmp_path):
    search, worker, joined = fleet()
    _, err = search.communicate(timeout=300)
    assert search.returncode == 0, err
    out, err = worker.communicate(timeout=30)
    assert worker.returncode == 0, err
    assert f"of {TRIALS} trials were begun" in out
    assert "the search is over" in out
    assert len(joined()) >= 2
    run = tmp_path / "run"
    check(automl, run)
    assert len(list((run / "artifacts").glob("*-curves.npz"))) == TRIALS
    assert (run / "report.html").exists()
    assert (run / "model" / "model.json").exists()


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_kill_worker_that_had_joined_and_nothing_is_lost(automl, fleet, tmp_path, how):
    search, worker, _ = fleet()
    worker.send_signal(how)
    _, err = worker.communicate(timeout=30)
    if how == signal.SIGINT:
        assert worker.returncode == 130
        assert "others go on with what this worker had" in err
    _, err = search.communicate(timeout=300)
    assert search.returncode == 0, err
    check(automl, tmp_path / "run")
