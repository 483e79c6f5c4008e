"""What `multiprocessing`'s fork server imports, by name, before it forks the first worker. Imported nowhere else.

A worker that imports PyTorch by itself takes seconds, and hundreds of megabytes that are the same in all of them. Forks
have both at once. The server is made fit for it: it is in nobody's process group, and does not outlive the search by
more than the last words of its workers, not even when one of them hangs in native code.
"""

from __future__ import annotations

import ctypes
import gc
import os
import signal
from contextlib import suppress
from importlib import import_module

LAST_WORDS = 8  # seconds that workers have to end, when the search has died
IMPORTED_LATER = ("torch._dynamo", "torchvision")  # by torch's first optimizer, and by plugins

_PR_SET_PDEATHSIG = 1  # prctl(2): the signal that the system sends this process when its parent dies

_server, _search = os.getpid(), os.getppid()
_prctl = ctypes.CDLL(None).prctl
_is_worker = False


def _search_died(*_: object) -> None:
    if os.getpid() == _server and os.getppid() != _search:  # else it is the thread that started it which has ended
        signal.alarm(LAST_WORDS)  # its end is the end of the server, and that the end of the workers


def _forked() -> None:
    global _is_worker
    if not _is_worker:  # else the worker has forked
        _is_worker = True
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != _server:  # it has died before the line above
            os._exit(1)


def _terminated(*_: object) -> None:
    if os.getpid() != _server:  # a worker that has not got to its own handler yet
        os._exit(128 + signal.SIGTERM)


os.setsid()  # a Ctrl-C of the terminal is for the search alone
signal.signal(signal.SIGTERM, _terminated)  # as is a SIGTERM for all of a job
signal.signal(signal.SIGUSR1, _search_died)
_prctl(_PR_SET_PDEATHSIG, signal.SIGUSR1)
_nowhere = os.open(os.devnull, os.O_RDWR)
for _standard in range(3):  # who reads the search's output is not kept waiting by the server; workers have logs
    os.dup2(_nowhere, _standard)
os.close(_nowhere)
for _module in ("automl.workers.worker", *IMPORTED_LATER):
    with suppress(Exception):  # the worker that needs it tells
        import_module(_module)
os.register_at_fork(after_in_child=_forked)
gc.freeze()  # a collection would write to every object, and so copy the memory that forks share
