"""What each worker of a machine gets of it: how many workers there are, and which device and threads are whose."""

from __future__ import annotations

import joblib
import torch

from automl.errors import SettingsError
from automl.run.context import SearchContext

WORTH_WORKERS = 1_000_000  # numbers in the data: 1,300 images of 28 x 28, 325 of 32 x 32 in colour
MAX_WORKERS = 8  # of `auto`: each takes hundreds of megabytes


def count_workers(context: SearchContext, storage: str | None) -> int:
    """How many processes `--workers` asks for, at most one for each trial.

    `storage` is where the study is; None: the run's journal.

    `auto` is one for each of several devices. On one it is one for each CPU thread where that pays, else one: two small
    networks are trained 1.7 times faster side by side, on a thread each, than one after the other on two threads. But
    workers take seconds to start, in which a small data set is learnt, and only a single one searches the same way each
    time. A GPU is filled by fused folds.

    Raises `SettingsError` for several on SQLite, which locks up when several write, and for fewer than the devices that
    were named one by one. Of those of `--devices auto` some may stay idle.
    """
    settings = context.settings
    named = 1 if settings.devices == ("auto",) else len(context.devices)
    single_writer = storage is not None and storage.startswith("sqlite")
    asked = named if settings.workers == "auto" else settings.workers
    if single_writer and asked > 1:
        option = f"--devices {','.join(settings.devices)}" if settings.workers == "auto" else f"--workers {asked}"
        raise SettingsError(
            f"{option}: SQLite takes one writer at a time; leave --storage out (a journal in the run's folder) or use "
            "PostgreSQL"
        )
    if asked < named:
        raise SettingsError(
            f"--workers {asked}: each of the {named} devices of --devices takes a worker of its own; leave --workers "
            "out, or name fewer devices"
        )
    if settings.workers != "auto":
        return min(settings.workers, max(settings.trials, named))
    return 1 if single_writer else min(_automatic(context), settings.trials)


def _automatic(context: SearchContext) -> int:
    if len(context.devices) > 1:
        return len(context.devices)
    if context.device.type != "cpu" or context.dataset.x.size < WORTH_WORKERS:
        return 1
    return min(context.settings.threads or joblib.cpu_count(), MAX_WORKERS)


def device_of(place: int, context: SearchContext) -> torch.device:
    """The device of the worker at `place`, from 0; who replaces it has the same place."""
    return context.devices[place % len(context.devices)]


def threads_of(context: SearchContext, workers: int) -> int:
    """How many CPU threads each of so many workers has."""
    return max(1, (context.settings.threads or joblib.cpu_count()) // workers)
