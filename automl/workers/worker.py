"""One worker: a process of its own that takes its share of a search. Begun by `workers.bootstrap`."""

from __future__ import annotations

import os
import secrets
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import optuna
import torch

from automl.data.shared import attach
from automl.data.splits import load_splits
from automl.errors import AutomlError, Interrupted, MachineFailed, NoTrialSucceeded, Stop
from automl.hooks.loading import find_files
from automl.racing.race import Race
from automl.run.context import SearchContext
from automl.run.folder import RunFolder
from automl.run.logs import set_up_logging
from automl.run.prepare import prepare
from automl.run.record import begun_with, settings_of
from automl.scheduling.callbacks import Callback, ignore
from automl.scheduling.deadline import Budget
from automl.scheduling.leases import BEATS_PER_GRACE
from automl.scheduling.samplers import make_sampler, standings_of
from automl.scheduling.worker_loop import WorkerLoop
from automl.study.storage.database import PATIENCE
from automl.study.storage.internals import storage_of
from automl.study.storage.opening import load_study, open_storage, storage_errors
from automl.workers.shared_leases import SharedLeases

LAST_WORDS = 5.0  # seconds for an orderly end, when the storage is away


@dataclass(frozen=True)
class Order:
    """What a worker is told: who it is, the storage (None: the run's journal), the budget, its device and threads.

    `number` is one that no worker of this session had before. `started` is when the search began, in seconds of the
    machine's monotonic clock; `data` the folder of the shared data; `plugins` the plugin files of the search.
    """

    number: int
    name: str
    storage: str | None
    data: str
    trials: int
    timeout: float | None
    started: float
    device: str
    threads: int
    grace: float
    plugins: list[str]


def fresh_name(number: int) -> str:
    """A name that no other worker has or ever had."""
    return f"{os.uname().nodename}-{number}-{secrets.token_hex(4)}"


def work(folder: RunFolder, order: Order, interrupted: Callable[[], bool]) -> None:
    """Takes part in the search in `folder` until its budget is used up. Raises as `WorkerLoop.run` does."""
    record = folder.read_record()
    settings = settings_of(record, {"trials": order.trials, "threads": order.threads, "device": order.device})
    settings = settings.model_copy(update={"plugins": (), "plugins_dirs": ()})
    plugins, splits = find_files(order.plugins, ()), load_splits(folder.splits)
    context = begun_with(prepare(settings, attach(Path(order.data)), splits=splits, recorded=plugins), record)
    torch.set_num_threads(order.threads)
    storage = open_storage(order.storage, folder.journal, interrupted, PATIENCE)
    study = load_study(storage, record.study, optuna.samplers.RandomSampler())
    leases = SharedLeases(storage_of(study), record.study, order.name, order.grace)
    budget = Budget.of(order.trials, order.timeout, interrupted, started=order.started)
    take_part(context, study, folder, budget, leases, order.number)


def take_part(
    context: SearchContext,
    study: optuna.Study,
    folder: RunFolder,
    budget: Budget,
    leases: SharedLeases,
    number: int,
    callback: Callback = ignore,
    beaten: Callable[[], None] = lambda: None,
) -> None:
    """One worker's share of the search over `study`; raises as `WorkerLoop.run` does.

    `number` is this worker's alone, for its sampler's seed; `beaten` is called after each move of its counter, in
    another thread.
    """
    settings, race = context.settings, Race(context.ladder, finalists=context.settings.finalists)
    trials = len(study.get_trials(deepcopy=False))
    study.sampler = make_sampler(settings.sampler, settings.seed, number, trials, context.space, standings_of(race))
    with storage_errors():
        leases.enter()
    over = threading.Event()
    beating = threading.Thread(target=_beat, args=(leases, over, beaten), daemon=True)
    beating.start()
    in_good_order = False
    try:
        WorkerLoop(context, study, folder, budget, race, callback, leases).run()
        in_good_order = True
    except (Stop, NoTrialSucceeded, MachineFailed):
        in_good_order = True
        raise
    finally:
        # Before the process ends: in the midst of a beat it would leave the journal's lock behind, for half a minute.
        over.set()
        beating.join(LAST_WORDS)
        if in_good_order:
            _leave(leases)


def _beat(leases: SharedLeases, over: threading.Event, beaten: Callable[[], None]) -> None:
    while not over.wait(leases.grace / BEATS_PER_GRACE):
        try:
            leases.beat()
            beaten()
        except Exception:  # the storage is gone for a moment; the search itself will tell when it stays away
            continue


def _leave(leases: SharedLeases) -> None:
    """Gives back what the worker held."""
    try:
        leases.leave()
    except Exception:  # the storage is gone: the others will see that the counter stands still
        return


def main(order: Order, folder: str, stop: threading.Event, problem: Connection) -> int:
    """Runs the worker until the search is over or `stop` is set, which SIGTERM does too.

    Returns 0 when the search is over, else the exit code of the error (DESIGN section 6), which `problem` is told.
    """
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the whole group; who started this one decides
    np.random.seed()  # a plugin may draw from it: forks would all draw the same
    set_up_logging()
    print(
        f"automl: worker {order.number} on {order.device}, {order.threads} CPU thread(s)", file=sys.stderr, flush=True
    )
    try:
        work(RunFolder(folder), order, stop.is_set)
    except Interrupted:
        return 128 + signal.SIGTERM
    except AutomlError as error:
        problem.send((type(error).__name__, str(error)))
        return error.exit_code if isinstance(error, MachineFailed) else max(error.exit_code, 1)
    return 0
