"""The fork server: workers are forks of one process, and the search sees how each ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from watching import is_alive, wait_for

from automl.study.workers.fork_server import Forked, ForkServer

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="workers are forked on Linux only")

# What a worker does is written in the line that it reads.
SERVER = """
import os, socket, sys, time
from contextlib import suppress
from automl.study.workers.fork_server import serve

def work():
    line = os.read(0, 1000).decode()
    with suppress(BrokenPipeError):  # who started it has died
        os.write(1, f"{os.getpid()} of {os.getppid()}: {line}".encode())
    return eval(line, {"time": time})

serve(socket.socket(fileno=int(sys.argv[-1])), work)
"""
COMMAND = [sys.executable, "-c", SERVER]


@pytest.fixture
def server() -> Iterator[ForkServer]:
    server = ForkServer(COMMAND, os.environ)
    yield server
    server.close()


class Worker:
    """A forked worker with its pipes."""

    def __init__(self, server: ForkServer, line: str, log: Path):
        stdin, self.to = os.pipe()
        self.output, stdout = os.pipe()
        with log.open("ab") as file:
            self.process: Forked = server.fork(stdin, stdout, file.fileno())
        os.close(stdin)
        os.close(stdout)
        os.write(self.to, line.encode())

    def said(self) -> str:
        with open(self.output) as file:
            return file.read()


def started(worker: Worker) -> int:
    while worker.process.pid is None:
        assert worker.process.poll() is None
        worker.process.server.listen(1.0)
    return worker.process.pid


def test_each_worker_reads_and_writes_files_of_its_own(server, tmp_path) -> None:
    workers = [Worker(server, line, tmp_path / "log") for line in ("0", "3")]

    assert [worker.process.wait(30) for worker in workers] == [0, 3]
    said = [worker.said() for worker in workers]
    assert [line.partition(": ")[2] for line in said] == ["0", "3"]
    assert [line.partition(":")[0] for line in said] == [
        f"{worker.process.pid} of {server.process.pid}" for worker in workers
    ]


def test_a_worker_that_raises_says_so_in_its_log(server, tmp_path) -> None:
    worker = Worker(server, "1 / 0", tmp_path / "log")

    assert worker.process.wait(30) == 1
    assert "ZeroDivisionError" in (tmp_path / "log").read_text()


def test_a_killed_worker_ends_with_its_signal_and_the_others_go_on(server, tmp_path) -> None:
    victim, other = (Worker(server, "time.sleep(100)", tmp_path / "log") for _ in range(2))
    started(victim)
    process = started(other)

    victim.process.kill()

    assert victim.process.wait(30) == -signal.SIGKILL
    assert other.process.poll() is None
    assert is_alive(process)


def test_sigterm_stops_a_worker_and_leaves_the_server_and_the_others_alone(server, tmp_path) -> None:
    asked, other = (Worker(server, "time.sleep(100)", tmp_path / "log") for _ in range(2))
    started(other)
    os.kill(server.process.pid, signal.SIGTERM)

    asked.process.terminate()

    assert asked.process.wait(30) == -signal.SIGTERM
    assert other.process.poll() is None


def test_a_worker_is_killed_also_while_its_server_is_stopped(server, tmp_path) -> None:
    worker = Worker(server, "time.sleep(100)", tmp_path / "log")
    process = started(worker)
    os.kill(server.process.pid, signal.SIGSTOP)

    worker.process.kill()

    assert worker.process.wait(30) == -signal.SIGKILL
    assert wait_for(lambda: not is_alive(process))


def test_waiting_for_a_worker_ends_when_the_time_is_up(server, tmp_path) -> None:
    worker = Worker(server, "time.sleep(100)", tmp_path / "log")

    with pytest.raises(subprocess.TimeoutExpired):
        worker.process.wait(0.2)


def test_a_worker_dies_with_its_server_and_the_next_one_has_a_new_server(server, tmp_path) -> None:
    worker = Worker(server, "time.sleep(100)", tmp_path / "log")
    process = started(worker)
    os.kill(server.process.pid, signal.SIGKILL)

    assert worker.process.wait(30) == -signal.SIGKILL
    assert wait_for(lambda: not is_alive(process))
    assert Worker(server, "4", tmp_path / "log").process.wait(30) == 4


def test_a_server_that_cannot_start_says_why_in_the_log_of_the_worker(tmp_path) -> None:
    server = ForkServer([sys.executable, "-c", "raise ImportError('no torch')"], os.environ)

    worker = Worker(server, "0", tmp_path / "log")

    assert worker.process.wait(30) == 1
    assert "no torch" in (tmp_path / "log").read_text()


def test_a_worker_that_was_not_forked_yet_stops_at_once(tmp_path) -> None:
    server = ForkServer([sys.executable, "-c", "import time; time.sleep(100)"], os.environ)
    worker = Worker(server, "0", tmp_path / "log")

    worker.process.terminate()

    assert worker.process.wait(30) == -signal.SIGKILL


SEARCH = f"""
import os, sys
from pathlib import Path
sys.path[:0] = {[str(Path(__file__).parent), str(Path(__file__).parents[2])]!r}
from test_fork_server import COMMAND, Worker, started
from automl.study.workers.fork_server import ForkServer

server = ForkServer(COMMAND, os.environ)
worker = Worker(server, "time.sleep(1) or open('words', 'w').write('farewell')", Path("log"))
print(started(worker), server.process.pid, flush=True)
os.kill(os.getpid(), 9)
"""


def test_a_worker_may_say_its_last_words_when_the_search_has_died(tmp_path) -> None:
    done = subprocess.run([sys.executable, "-c", SEARCH], cwd=tmp_path, capture_output=True, text=True, timeout=60)

    processes = [int(number) for number in done.stdout.split()]
    assert len(processes) == 2, done.stderr
    assert wait_for(lambda: not any(is_alive(process) for process in processes))
    assert (tmp_path / "words").read_text() == "farewell"
