"""How a worker process of this machine begins, by `multiprocessing`: with a log, and an eye on who started it."""

from __future__ import annotations

import faulthandler
import os
import sys
import threading
import time
import traceback
from collections.abc import Mapping
from multiprocessing import parent_process
from multiprocessing.connection import Connection, wait
from typing import TYPE_CHECKING

from automl.open_file import open_to_append

if TYPE_CHECKING:
    from automl.workers.worker import Order

LAST_WORDS = 5.0  # seconds for an orderly end when the search is dead


def run_worker(order: Order, folder: str, log: str, environment: Mapping[str, str], problem: Connection) -> None:
    """The whole life of a worker; does not return.

    Args:
        order: what it is told.
        folder: the run's.
        log: the file for its output.
        environment: its environment variables.
        problem: takes what went wrong, an error's class and message; nothing when the process dies.
    """
    code = 1
    try:
        with open_to_append(log) as output:
            os.dup2(output.fileno(), 1)
            os.dup2(output.fileno(), 2)
        faulthandler.enable()  # a crash in native code leaves its place in the log
        os.environ.clear()
        os.environ.update(environment)
        os.setsid()  # a Ctrl-C of the terminal is for the search alone
        stop = threading.Event()
        threading.Thread(target=_watch_search, args=(stop,), daemon=True).start()
        from automl.workers.worker import main  # imports PyTorch, for seconds: the search may die meanwhile

        code = main(order, folder, stop, problem)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)  # at once: threads of torch and of the storage have nothing left to do


def _watch_search(stop: threading.Event) -> None:
    wait([parent_process().sentinel])  # type: ignore[union-attr]
    stop.set()
    time.sleep(LAST_WORDS)
    os._exit(1)
