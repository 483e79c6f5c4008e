"""Workers as processes of this machine: each its own output and end; none outlives the search, or its fork server."""

from __future__ import annotations

import json
import multiprocessing.forkserver
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from watching import is_alive, wait_for

from automl.run.folder import RunFolder
from automl.workers.local import Process, choose_process_context
from automl.workers.worker import Order

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="workers are forked on Linux only")

CPU = [torch.device("cpu")]
ORDER = Order(0, "w", None, "", 1, None, 0.0, "cpu", 1, 60.0, [])


class Sleeper(Order):
    """An order that is read for ever, or with another effect."""

    effect = "time.sleep(100)"

    def __getattribute__(self, name: str) -> object:
        if name == "threads":
            eval(type(self).effect, {"time": time})
        return object.__getattribute__(self, name)


class Faulty(Sleeper):
    effect = "1 / 0"


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Process]]:
    """`start(order)` starts a worker in a folder without a run, so that it ends with an error unless it sleeps."""
    started = []

    def begin(order: Order = ORDER) -> Process:
        environment = {**os.environ, "ONLY_FOR": "workers"}
        started.append(Process(choose_process_context(CPU), RunFolder(tmp_path), order, 0, environment))
        return started[-1]

    yield begin
    for process in started:
        process.process.kill()


def fork_server() -> int:
    found = multiprocessing.forkserver._forkserver._forkserver_pid
    assert found is not None
    return found


def sleeper(number: int = 0, kind: type[Sleeper] = Sleeper) -> Sleeper:
    return kind(number, "w", None, "", 1, None, 0.0, "cpu", 1, 60.0, [])


def ended(process: Process) -> object:
    return wait_for(process.ending)


def test_an_error_of_a_worker_is_told_with_its_class_and_message(start, tmp_path) -> None:
    ending = ended(start())

    assert (ending.how, ending.error) == ("exit code 2", "RunError")
    assert "no run is here" in ending.message
    assert "worker 0 on cpu, 1 CPU thread(s)" in (tmp_path / "logs" / "worker-0.log").read_text()


def test_what_a_worker_did_not_expect_stands_in_its_log(start, tmp_path) -> None:
    ending = ended(start(sleeper(kind=Faulty)))

    assert (ending.how, ending.error) == ("exit code 1", "")
    assert "ZeroDivisionError" in (tmp_path / "logs" / "worker-0.log").read_text()


def test_workers_are_forks_of_one_server_with_an_environment_and_a_log_of_their_own(start, tmp_path) -> None:
    processes = [start(sleeper(number)) for number in range(2)]

    for number, process in enumerate(processes):
        stat = Path(f"/proc/{process.process.pid}/stat").read_text()
        assert int(stat.rpartition(")")[2].split()[1]) == fork_server()
        log = tmp_path / "logs" / f"worker-{number}.log"
        wait_for(lambda: os.readlink(f"/proc/{process.process.pid}/fd/2") == str(log))  # noqa: B023
    assert all(process.ending() is None for process in processes)


def test_a_killed_worker_ends_with_its_signal_and_the_others_go_on(start) -> None:
    victim, other = start(sleeper(0)), start(sleeper(1))

    victim.kill()

    assert ended(victim).how == "signal 9"
    assert other.ending() is None
    assert is_alive(other.process.pid)


def test_sigterm_for_the_whole_job_is_the_searchs_and_one_for_a_worker_ends_it(start) -> None:
    asked, other = start(sleeper(0)), start(sleeper(1))

    os.kill(fork_server(), signal.SIGTERM)
    asked.stop()
    asked.wait(1.0)  # it does not look whether it is to stop

    assert asked.process.exitcode is not None
    assert other.ending() is None


def test_a_worker_dies_with_the_server_and_the_next_one_has_a_new_server(start) -> None:
    worker, server = start(sleeper()), fork_server()

    os.kill(server, signal.SIGKILL)

    assert ended(worker).how == "exit code 255"
    assert wait_for(lambda: not is_alive(worker.process.pid))
    assert ended(start()).error == "RunError"
    assert fork_server() != server


# A script without `if __name__ == "__main__"`, as people write them: a worker does not run it again.
SCRIPT = f"""
import json, os, signal, sys
sys.path[:0] = {[str(Path(__file__).parent), str(Path(__file__).parents[1])]!r}
from pathlib import Path
from test_local import CPU, RunFolder, Process, choose_process_context, fork_server, sleeper, wait_for
here = RunFolder(Path.cwd())
workers = [Process(choose_process_context(CPU), here, sleeper(number), 0, dict(os.environ)) for number in range(2)]
logging = Path(f"/proc/{{workers[1].process.pid}}/fd/2")
wait_for(lambda: logging.resolve() == Path(workers[1].log))  # before that it may not be told yet of the server's death
os.kill(workers[1].process.pid, signal.SIGSTOP)  # it hangs, whatever its threads would do
print(json.dumps([fork_server(), *(worker.process.pid for worker in workers)]), flush=True)
os.kill(os.getpid(), 9)
"""


@pytest.mark.slow
def test_neither_workers_nor_the_server_outlive_a_killed_search_not_even_one_that_hangs(tmp_path) -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], cwd=tmp_path, capture_output=True, text=True, timeout=120)

    processes = json.loads(done.stdout)
    assert len(processes) == 3, done.stderr
    assert wait_for(lambda: not any(is_alive(process) for process in processes), seconds=20)
