"""The fork server of a machine's workers: one process imports PyTorch, and each worker is a fork of it.

A worker that imports by itself takes seconds, and hundreds of megabytes that are the same in all of them. Forks have
them at once and share the memory. The search tells the server over a socket to fork; the server tells it each worker's
process, and how it ended. A worker dies with its server, so nobody is left whom the search could not see.

Only on Linux, and not for CUDA: neither Apple's libraries nor CUDA bear a fork.
"""

from __future__ import annotations

import ctypes
import gc
import itertools
import os
import signal
import socket
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from multiprocessing.connection import wait

LOOK_EVERY = 0.1  # seconds
FORKING = 1.0  # seconds that a fork takes at most, once the server's imports are done
DYING = 5.0  # seconds until the end of a killed worker is known at most
LAST_WORDS = 8.0  # seconds that workers have to end, when the search has died
_PR_SET_PDEATHSIG = 1  # prctl(2)


class Forked:
    """A forked worker, with the methods of `subprocess.Popen` that are needed. `pid` is None until the server told."""

    def __init__(self, server: ForkServer):
        self.server = server
        self.pid: int | None = None
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """The exit code, negative for a signal; None while it runs, or waits for the server's imports."""
        if self.returncode is None:
            self.server.listen()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Waits for its end and returns the exit code. Raises `subprocess.TimeoutExpired` after `timeout` seconds."""
        end = None if timeout is None else time.monotonic() + timeout
        while (code := self.poll()) is None:
            left = None if end is None else end - time.monotonic()
            if left is not None and left <= 0:
                raise subprocess.TimeoutExpired("worker", timeout or 0.0)
            self.server.listen(left)
        return code

    def terminate(self) -> None:
        """Asks it to stop."""
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """Ends it at once; with the server, when that does not tell of its end."""
        self._signal(signal.SIGKILL)
        try:
            self.wait(DYING)
        except subprocess.TimeoutExpired:
            self.server.close()

    def _signal(self, number: int) -> None:
        if self.poll() is None and self.pid is None and self.server.has_forked():
            self.server.listen(FORKING)
        if self.returncode is not None:
            return
        if self.pid is None:  # the server still imports
            self.server.close()
        else:
            with suppress(ProcessLookupError):  # it has just ended
                os.kill(self.pid, number)


class ForkServer:
    """The search's side. The server is started with the first worker, and anew when it has died.

    Args:
        command: what starts a process that ends in `serve`; the number of the socket's file is added.
        environment: its environment, and so the workers'.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]):
        self.command = list(command)
        self.environment = dict(environment)
        self.process: subprocess.Popen[bytes] | None = None
        self.link: socket.socket | None = None
        self.workers: dict[int, Forked] = {}
        self._numbers = itertools.count()

    def fork(self, stdin: int, stdout: int, stderr: int) -> Forked:
        """A new worker with these files; does not wait for it. What the server itself has to say goes to `stderr`."""
        self.listen()
        link = self.link or self._start(stderr)
        number, worker = next(self._numbers), Forked(self)
        self.workers[number] = worker
        try:
            socket.send_fds(link, [str(number).encode()], [stdin, stdout, stderr])
        except OSError:
            self.close()  # it has died in this moment, which is told as the worker's end
        return worker

    def listen(self, seconds: float | None = 0.0) -> None:
        """Takes in what the server has told, and waits so long at most for it to say something (None: any time)."""
        while self.link is not None and wait([self.link], seconds):
            try:
                message = self.link.recv(64)
            except OSError:
                message = b""
            if not message:
                self.close()
                return
            number, pid, *code = map(int, message.split())
            self.workers[number].pid = pid
            if code:
                self.workers.pop(number).returncode = code[0]
            seconds = 0.0

    def has_forked(self) -> bool:
        """Whether a worker of it runs, so that its imports are done."""
        return any(worker.pid is not None for worker in self.workers.values())

    def close(self) -> None:
        """Ends the server, and with it what it has forked."""
        if self.process is None or self.link is None:
            return
        self.process.kill()
        code = self.process.wait()
        self.link.close()
        self.link = None
        for worker in self.workers.values():
            worker.returncode = code or 1
        self.workers.clear()

    def _start(self, stderr: int) -> socket.socket:
        self.link, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self.process = subprocess.Popen(
                [*self.command, str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=stderr,
                env=self.environment,
                pass_fds=[theirs.fileno()],
                start_new_session=True,  # a Ctrl-C of the terminal is for the search alone
            )
        return self.link


def serve(link: socket.socket, work: Callable[[], int]) -> None:
    """The server's side: forks a process that does `work` whenever it is told to, until the search has died.

    `work` returns the exit code. No other thread may run here: a fork has only the one that called it.
    """
    gc.freeze()  # a collection would write to every object, and so copy their memory
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # ignored, as the search may have had it, nobody could be waited for
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # that of a whole group is for the search, which stops the workers
    running: dict[int, int] = {}
    alive, end = True, float("inf")
    while alive or (running and time.monotonic() < end):
        if alive and wait([link], LOOK_EVERY):
            message, files = _read(link)
            if message:
                process = _fork(link, files, work)
                running[process] = int(message)
                _tell(link, f"{running[process]} {process}")
            else:
                alive, end = False, time.monotonic() + LAST_WORDS
        elif not alive:
            time.sleep(LOOK_EVERY)
        for process in list(running):
            ended, status = os.waitpid(process, os.WNOHANG)
            if ended:
                _tell(link, f"{running.pop(process)} {process} {os.waitstatus_to_exitcode(status)}")


def _read(link: socket.socket) -> tuple[bytes, list[int]]:
    """What the search wants, with its files; nothing when it has died."""
    try:
        message, files, _, _ = socket.recv_fds(link, 64, 3)
    except ConnectionError:
        return b"", []
    return message, files


def _tell(link: socket.socket, message: str) -> None:
    with suppress(OSError):  # the search has died, which the next look finds
        link.send(message.encode())


def _fork(link: socket.socket, files: Sequence[int], work: Callable[[], int]) -> int:
    """The new process's number; in that process, does not return."""
    server = os.getpid()
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})  # one for the fork waits until that no more ignores it
    if process := os.fork():
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
        for file in files:
            os.close(file)
        return process
    code = 1
    try:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
        link.close()
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() == server:  # else it has died before the line above
            os.setsid()
            for number, file in enumerate(files):
                os.dup2(file, number)
                os.close(file)
            code = work()
    except BaseException:
        traceback.print_exc()
    finally:
        with suppress(Exception):
            sys.stdout.flush()
        os._exit(code)  # at once: threads of torch and of the storage have nothing left to do
