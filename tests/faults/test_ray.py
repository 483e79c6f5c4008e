"""Workers as actors of a real Ray cluster of two nodes, with the study in a real PostgreSQL."""

from __future__ import annotations

import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from postgresql import PASSWORD, Server
from watching import board, wait_for

ray = pytest.importorskip("ray", reason="ray is missing")

SMALL = ["--space", "smoke", "--architecture", "mlp", "--folds", "2", "--epochs", "4", "--finalists", "1"]
SMALL += ["--repeats", "1", "--launcher", "ray", "--workers", "2"]


class Nodes:
    """A cluster of two nodes with a CPU each, on this machine, whose logs are in `folder`."""

    def __init__(self, folder: Path) -> None:
        from ray.cluster_utils import Cluster

        self.folder = folder
        head = {"num_cpus": 1, "object_store_memory": 80 * 2**20, "include_dashboard": False}
        self.cluster = Cluster(initialize_head=True, head_node_args=head)
        self.address = self.cluster.address
        self.second = self.add()

    def add(self) -> Any:
        return self.cluster.add_node(num_cpus=1, object_store_memory=80 * 2**20)

    def kill_second(self) -> None:
        self.cluster.remove_node(self.second, allow_graceful=False)

    def close(self) -> None:
        self.cluster.shutdown()


@pytest.fixture
def nodes(empty_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Nodes]:
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("RAY_worker_niceness", "0")  # 15 otherwise: beside other tests a worker would hardly move
    folder = Path(tempfile.mkdtemp(prefix="ray-"))  # not tmp_path, which is too long for a socket's name
    monkeypatch.setenv("RAY_TMPDIR", str(folder))  # the address goes there too, and /tmp/ray need not be there
    running = Nodes(folder)
    try:
        yield running
    finally:
        running.close()
        shutil.rmtree(folder, ignore_errors=True)


def begun(run: Path) -> int:
    """How many workers have begun, in all sessions."""
    return sum(log.read_text().count(" on cpu of ") for log in run.glob("logs/*"))


def check(automl, run: Path, nodes: Nodes, trials: int) -> None:
    found = board(automl, run)
    assert sorted(trial["number"] for trial in found["trials"]) == list(range(trials))
    assert {trial["state"] for trial in found["trials"]} <= {"COMPLETE", "PRUNED"}
    assert found["totals"]["complete"] >= 1
    for path in [*run.rglob("*"), *nodes.folder.rglob("*")]:
        if path.is_file():
            assert PASSWORD.encode() not in path.read_bytes(), path


@pytest.mark.slow
def test_kill_worker_with_its_ray_node_another_takes_its_place_and_no_trial_is_lost(
    automl, postgresql: Server, nodes: Nodes, start, monkeypatch, tmp_path
):
    run = tmp_path / "run"
    monkeypatch.setenv("AUTOML_STORAGE", postgresql.url)
    search = start("search", "digits", "--out", run, "--trials", "16", "--ray-address", nodes.address, *SMALL)
    wait_for(lambda: begun(run) >= 2, search)
    nodes.kill_second()
    nodes.add()  # where the lost worker's successor may begin, if the other one leaves it anything to do
    out, err = search.communicate(timeout=240)
    assert search.returncode == 0, err
    assert "ended with the loss of its process or node" in err
    assert "raylet" not in out + err
    check(automl, run, nodes, 16)


@pytest.mark.slow
def test_signals_stop_the_actors_of_ray_and_the_run_goes_on_with_others(
    automl, postgresql: Server, nodes: Nodes, start, monkeypatch, tmp_path
):
    run = tmp_path / "run"
    monkeypatch.setenv("AUTOML_STORAGE", postgresql.url)
    search = start("search", "digits", "--out", run, "--trials", "8", "--ray-address", nodes.address, *SMALL)
    wait_for(lambda: begun(run) >= 1 and list(run.glob("checkpoints/*")), search)
    search.send_signal(signal.SIGINT)
    _, err = search.communicate(timeout=60)
    assert search.returncode == 128 + signal.SIGINT, err
    assert "Traceback" not in err
    again = start("resume", run, "--ray-address", nodes.address)
    _, err = again.communicate(timeout=240)
    assert again.returncode == 0, err
    check(automl, run, nodes, 8)
