"""A study behind Optuna's gRPC proxy, with a real server in front of a database."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from watching import board, wait_for, workers_of

pytest.importorskip("grpc", reason="grpcio is missing")

SMALL = ["--space", "smoke", "--architecture", "mlp", "--folds", 2, "--epochs", 2, "--ladder", "1x1,2x2"]
SMALL += ["--finalists", 1, "--repeats", 1, "--workers", 2, "--threads", 2, "--quiet"]
SERVE = """import sys
from optuna.storages import RDBStorage, run_grpc_proxy_server
run_grpc_proxy_server(RDBStorage(sys.argv[1]), host="127.0.0.1", port=int(sys.argv[2]))"""


class Proxy:
    """A server that can be stopped and started again; `url` is what `--storage` is given."""

    def __init__(self, folder: Path):
        self.database = f"sqlite:///{folder / 'study.db'}"
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"grpc://127.0.0.1:{self.port}"
        self.start()

    def start(self) -> None:
        command = [sys.executable, "-W", "ignore", "-c", SERVE, self.database, str(self.port)]
        self.server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def stop(self) -> None:
        self.server.kill()
        self.server.wait()


@pytest.fixture
def proxy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    served = Proxy(tmp_path)
    monkeypatch.setenv("AUTOML_STORAGE", served.url)  # who looks at a run is asked for it
    yield served
    served.stop()


@pytest.mark.slow
def test_second_client_of_the_proxy_looks_beside_a_search_and_nothing_is_lost(automl, start, proxy, tmp_path):
    run = tmp_path / "run"
    search = start("search", "digits", "--out", run, "--trials", 6, "--storage", proxy.url, *SMALL)
    wait_for(lambda: len(list(run.glob("checkpoints/*"))) >= 1, search)
    seen = []
    while search.poll() is None:
        seen.append(automl("leaderboard", run, "--json"))
    _, err = search.communicate()
    assert search.returncode == 0, err
    assert seen
    assert {answer.code for answer in seen} == {0}, seen[-1].err
    assert sorted(trial["number"] for trial in board(automl, run)["trials"]) == list(range(6))


@pytest.mark.slow
def test_kill_worker_behind_a_grpc_proxy_its_trial_is_taken_over(automl, start, proxy, tmp_path):
    run = tmp_path / "run"
    search = start("search", "digits", "--out", run, "--trials", 6, "--storage", proxy.url, *SMALL)
    wait_for(lambda: len(list(run.glob("checkpoints/*"))) >= 2, search)
    victim = workers_of(search.pid)[0]
    os.kill(victim, signal.SIGKILL)
    _, err = search.communicate(timeout=300)
    assert search.returncode == 0, err
    assert "signal 9" in err
    found = board(automl, run)
    assert sorted(trial["number"] for trial in found["trials"]) == list(range(6))
    assert {trial["state"] for trial in found["trials"]} == {"COMPLETE", "PRUNED"}
    assert (run / "model" / "model.json").exists()


@pytest.mark.slow
def test_a_proxy_that_goes_away_ends_the_search_with_3_and_resume_goes_on(automl, start, proxy, tmp_path):
    run = tmp_path / "run"
    search = start("search", "digits", "--out", run, "--trials", 5, "--storage", proxy.url, *SMALL)
    wait_for(lambda: list(run.glob("checkpoints/*")), search)
    proxy.stop()
    _, err = search.communicate(timeout=120)
    assert search.returncode == 3, err
    assert "the storage's proxy failed" in err
    assert "Traceback" not in err
    assert automl("leaderboard", run).code == 3
    proxy.start()
    answer = automl("resume", run, "--quiet")
    assert answer.code == 0, answer.err
    assert sorted(trial["number"] for trial in board(automl, run)["trials"]) == list(range(5))


@pytest.mark.parametrize(
    "url", ["grpc://", "grpc://host", "grpc://host:word", "grpc://me:s3cret@host:1", "grpc://h:1/x"]
)
def test_another_form_of_address_is_refused_before_anything_is_written(automl, tmp_path, url):
    answer = automl("search", "digits", "--out", tmp_path / "run", "--storage", url, *SMALL)
    assert answer.code == 2
    assert "grpc://HOST:PORT" in answer.err
    assert "s3cret" not in answer.err
    assert not (tmp_path / "run").exists()
