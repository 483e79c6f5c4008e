"""What each worker gets of a Ray cluster, and what is refused before anything is started."""

from __future__ import annotations

import importlib.util
import socket
import time

import pytest

from automl.errors import MachineFailed, RunError, SettingsError
from automl.run.folder import RunFolder
from automl.run.prepare import prepare
from automl.run.run_record import DataFacts, RunRecord
from automl.scheduling.deadline import Budget
from automl.settings import Settings, make_settings
from automl.workers.launcher import Ending
from automl.workers.ray_actor import RayOrder, find_run
from automl.workers.ray_cluster import Node, Share, connected, share_out
from automl.workers.ray_launcher import PLACING, TELL, RayLauncher, RayWorker, ray_launcher

TWO = [Node(8, 0), Node(4, 0)]
GPUS = [Node(16, 4), Node(16, 4), Node(64, 0)]
URL = "postgresql+psycopg://me@127.0.0.1:1/db"


def test_cpus_are_shared_out_as_far_as_all_workers_find_a_place():
    assert share_out(TWO, 3, None, None) == (3, Share(4, 0.0))
    assert share_out(TWO, 2, None, None) == (2, Share(4, 0.0))
    assert share_out(TWO, 12, None, None) == (12, Share(1, 0.0))


def test_without_a_number_there_is_a_worker_for_each_node_or_each_gpu():
    assert share_out(TWO, None, None, None)[0] == 2
    assert share_out([*TWO, Node(0, 0)], None, None, None)[0] == 2
    assert share_out(GPUS, None, None, None) == (8, Share(4, 1.0))
    assert share_out(GPUS, None, None, False) == (3, Share(21, 0.0))


def test_more_workers_than_gpus_share_them_and_their_cpus():
    assert share_out(GPUS, 16, None, None) == (16, Share(2, 0.5))
    count, share = share_out(GPUS, 20, None, None)
    assert (count, share.cpus, round(1 / share.gpus)) == (20, 1, 3)


def test_threads_are_of_all_workers_together():
    assert share_out(TWO, 4, 8, None) == (4, Share(2, 0.0))
    assert share_out(TWO, 4, 2, None) == (4, Share(1, 0.0))


@pytest.mark.parametrize(
    ("nodes", "wanted", "message"),
    [
        (TWO, (13, None, None), r"--workers 13: the Ray cluster has 12 CPUs and 0 GPUs on 2 node\(s\), too few"),
        (TWO, (2, 16, None), r"too few for 8 CPU\(s\) each"),
        (TWO, (2, None, True), "--device cuda: the Ray cluster has 12 CPUs and 0 GPUs"),
        ([Node(1, 4), Node(64, 0)], (2, None, None), r"too few for 1 CPU\(s\) and 1 GPU each"),
        ([], (None, None, None), "0 CPUs and 0 GPUs on 0"),
    ],
)
def test_what_a_cluster_has_not_is_told_with_what_it_has(nodes, wanted, message):
    with pytest.raises(SettingsError, match=message):
        share_out(nodes, *wanted)


def refused(images, storage=URL, **given) -> str:
    context = prepare(make_settings(space="smoke", folds=2, epochs=2, launcher="ray", **given), images)
    with pytest.raises(SettingsError) as caught, ray_launcher(context, storage):
        pass
    return str(caught.value)


@pytest.mark.parametrize("storage", [None, "sqlite:///study.db"])
def test_only_a_database_server_reaches_all_nodes(images, storage):
    assert "--launcher ray: workers on many machines share a study in a database server" in refused(images, storage)


def test_ray_hands_out_the_devices(images):
    assert refused(images, devices="cpu,cpu").startswith("--devices cpu,cpu: Ray hands out the GPUs")


def test_without_ray_its_installation_is_named(images, monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "ray" else found(name))
    assert refused(images) == "--launcher ray needs the package ray: pip install 'automl[ray]'"


def test_an_address_where_nobody_answers_is_told_at_once():
    pytest.importorskip("ray")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        closed = f"127.0.0.1:{free.getsockname()[1]}"
    begun = time.monotonic()
    with pytest.raises(SettingsError, match=f"--ray-address {closed}: nobody answers there"), connected(closed):
        pass
    for wrong in ("ray://127.0.0.1:10001", "somewhere", "local"):
        with pytest.raises(SettingsError, match=f"--ray-address {wrong}: must be HOST:PORT"), connected(wrong):
            pass
    assert time.monotonic() - begun < 10


def test_an_address_is_for_ray_alone():
    with pytest.raises(SettingsError, match="--ray-address here:6379: is for --launcher ray only"):
        make_settings(ray_address="here:6379")


class Placeless(RayWorker):
    """A worker that the cluster has no room for."""

    def __init__(self) -> None:
        self.withdrawn = False

    def kill(self) -> None:
        pass

    def placed(self) -> bool:
        return False


def test_workers_without_a_place_are_told_of_and_given_up(images, monkeypatch, caplog):
    now = [0.0]
    monkeypatch.setattr("automl.workers.ray_launcher.time.monotonic", lambda: now[0])
    launcher = RayLauncher(prepare(make_settings(space="smoke", folds=2, epochs=2), images), URL, 2, Share(1, 0.0))
    launcher.budget = Budget.of(1)
    running = [Placeless(), Placeless()]
    for now[0] in (1.0, TELL + 2, TELL + 3):
        launcher.look(running)
    assert caplog.text.count("2 of 2 workers wait for a place in the Ray cluster") == 1
    now[0] = PLACING + 2
    with pytest.raises(MachineFailed, match="no worker has found a place in the Ray cluster for 121 s"):
        launcher.look(running)


def test_who_has_no_place_when_the_race_is_over_needs_none_any_more(images):
    launcher = RayLauncher(prepare(make_settings(space="smoke", folds=2, epochs=2), images), URL, 2, Share(1, 0.0))
    late = Placeless()
    launcher.look([late])
    assert late.ending() == Ending()


def test_the_runs_folder_is_known_by_its_id(tmp_path, images):
    folder = RunFolder(tmp_path / "run")
    order = RayOrder(0, "w", URL, "s", str(folder.path), "abc", "cpu", 1, 30.0)
    assert find_run(order) is None
    folder.create(RunRecord(id="other", settings=Settings(), space={}, data=DataFacts()))
    assert find_run(order) is None
    folder.write_record(RunRecord(id="abc", settings=Settings(), space={}, data=DataFacts()))
    found = find_run(order)
    assert found is not None
    assert found.path == folder.path
    with pytest.raises(RunError):
        RunFolder(tmp_path / "nowhere").read_record()
