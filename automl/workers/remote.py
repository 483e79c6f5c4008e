"""A worker that joins a search from anywhere: what it finds in the study, what it checks, and its share of the race.

The search leaves its record (`run.yaml`, without passwords) in the study. A worker needs that, the data, the plugins
and, to go on with other workers' trials from their checkpoints, the run's folder as its machine sees it.
"""

from __future__ import annotations

import json
import logging
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import optuna
import torch
from pydantic import BaseModel, ConfigDict, ValidationError

from automl.errors import Interrupted, RunError, SettingsError
from automl.run.context import SearchContext
from automl.run.folder import RunFolder
from automl.run.prepare import load_host, prepare
from automl.run.record import check_unchanged, plugin_files, recorded_plugins, settings_of, versions
from automl.run.run_record import RunRecord
from automl.scheduling.callbacks import MakeCallback, ignore
from automl.scheduling.deadline import Budget
from automl.scheduling.leases import GRACE, RUN
from automl.settings import Settings, make_settings
from automl.spaces.parameters import Parameter
from automl.spaces.space import Catalogue, Space
from automl.study.storage.database import PATIENCE
from automl.study.storage.internals import set_system_attribute, storage_of, system_attributes
from automl.study.storage.opening import is_server, load_study, open_storage, redact, storage_errors
from automl.study.trial_record import read_trials
from automl.training.seeds import derive_seed
from automl.workers.shared_leases import SharedLeases
from automl.workers.worker import fresh_name, take_part

log = logging.getLogger("automl.worker")

RECORD = "automl:record"
"""The study's system attribute with what a worker must know of the search."""


class Published(BaseModel):
    """What a search leaves in its study: its record, the splits' fingerprint, the end of its time (seconds of the clock
    on the wall; None: it has none) and its length in seconds.
    """

    model_config = ConfigDict(frozen=True)

    record: RunRecord
    splits: str
    deadline: float | None
    timeout: float | None


def publish(study: optuna.Study, context: SearchContext, record: RunRecord, budget: Budget) -> None:
    """Leaves in the study what a worker must know of the search."""
    # Plugins edited since the run was begun, perhaps.
    known = record.but(final=None, seconds=None, plugins=tuple(plugin_files(context.host)))
    deadline = None if budget.timeout is None else time.time() + budget.timeout - budget.elapsed
    about = Published(record=known, splits=context.splits.fingerprint(), deadline=deadline, timeout=budget.timeout)
    with storage_errors():
        set_system_attribute(study, RECORD, about.model_dump(mode="json", by_alias=True))


def join(
    storage_url: str,
    name: str,
    *,
    data: str | None = None,
    run: str | Path | None = None,
    threads: int | None = None,
    device: str | None = None,
    plugins: Sequence[str] = (),
    interrupted: Callable[[], bool] = lambda: False,
    watch: MakeCallback | None = None,
    worker: str | None = None,
    grace: float = GRACE,
) -> bool:
    """Takes part in the search `name` until the race is over; False when it was over already.

    Args:
        storage_url: where the study is: a database server.
        name: the study's.
        data: the data, where they are not where the search has them.
        run: the run's folder as this machine sees it. None: checkpoints go to a folder of this worker's own, it goes on
            with its own trials alone, and what others had to leave it begins again.
        threads: CPU threads of this worker.
        device: as `--device`.
        plugins: plugin files, instead of those that the search names; of these none is imported that others could have
            written.
        interrupted: asked before each batch; True gives the climb back and raises `Interrupted`.
        watch: makes who is told what this worker does.
        worker: its name, where who started it supervises it; None: it came by itself.
        grace: seconds after which a worker that shows no life loses its climb.

    Raises:
        BadInput: there is no such study, or data, plugins or versions are not those of the search.
        NoTrialSucceeded: this worker's trials fail one after the other for the same cause.
        MachineFailed: the disk failed, or the storage does not answer.
    """
    if not is_server(storage_url):
        raise SettingsError(
            f"--storage {redact(storage_url)}: must be a database server, e.g. postgresql+psycopg://..."
        )
    storage = open_storage(storage_url, Path(), interrupted, PATIENCE)
    with ExitStack() as stack:
        with storage_errors():
            study = load_study(storage, name, optuna.samplers.RandomSampler())
            published = _find_record(study)
        record = published.record
        folder = _own_folder(stack) if run is None else _shared_folder(run, record)
        context = _worker_context(published, folder if run is not None else None, data, threads, device, plugins)
        if context.settings.threads:
            torch.set_num_threads(context.settings.threads)
        own = worker or fresh_name(0)
        home = RUN if run is not None else own
        leases = SharedLeases(storage_of(study), name, own, grace, home=home, joined=worker is None)
        ended = _Ended(leases)
        budget = _budget(published, lambda: interrupted() or ended.seen)
        with storage_errors():
            if leases.closing:
                return False
            earlier = read_trials(study, context.objective)
        callback = watch(context, budget, earlier) if watch else ignore
        number = derive_seed(0, own) % 2**31
        try:
            take_part(context, study, folder, budget, leases, number, callback, ended.look)
        except Interrupted:
            if interrupted():
                raise
    return True


class _Ended:
    """Whether the search has asked the workers on other machines to stop; looked after now and then."""

    def __init__(self, leases: SharedLeases):
        self.leases = leases
        self.seen = False

    def look(self) -> None:
        self.seen = self.leases.closing


def _find_record(study: optuna.Study) -> Published:
    known = system_attributes(study).get(RECORD)
    try:
        published = Published.model_validate(known)
    except ValidationError:
        raise RunError(
            f"the study '{study.study_name}' says nothing of a search that workers can join; it must have been begun "
            "with `automl search --storage URL`"
        ) from None
    theirs, ours = published.record.versions, versions()
    if theirs.get("automl") != ours["automl"]:
        raise RunError(f"the search runs automl {theirs.get('automl')}, and this is {ours['automl']}: install that one")
    different = [f"{key} {value} (here {ours.get(key)})" for key, value in theirs.items() if ours.get(key) != value]
    if different:
        log.warning("the search runs %s: scores may differ a little", ", ".join(different))
    return published


def _own_folder(stack: ExitStack) -> RunFolder:
    folder = RunFolder(stack.enter_context(tempfile.TemporaryDirectory(prefix="automl-worker-")))
    for path in (folder.checkpoints, folder.artifacts):
        path.mkdir()
    return folder


def _shared_folder(run: str | Path, record: RunRecord) -> RunFolder:
    folder = RunFolder(run)
    if folder.read_record().id != record.id:
        raise RunError(f"--run {run}: this is the folder of another run than the study '{record.study}'")
    return folder


def _worker_context(
    published: Published,
    folder: RunFolder | None,
    data: str | None,
    threads: int | None,
    device: str | None,
    plugins: Sequence[str],
) -> SearchContext:
    """What the search stands on, on this machine. Raises `BadInput` with the difference where it is something else."""
    record = published.record
    ours = make_settings(device=device, threads=threads)  # what is wrong with them is told by their options' names
    theirs = settings_of(record, {"device": ours.device})
    settings = theirs.model_copy(
        update={"threads": ours.threads, "data": _find_data(record, theirs, folder, data)}
        | {"plugins": tuple(plugins), "plugins_dirs": ()}
    )
    subject = f"the study '{record.study}'"
    recorded = [] if plugins else recorded_plugins(record, subject, folder.path if folder else None)
    space = record.read_space(subject)
    check_declared(space, load_host(settings, recorded).catalogue())
    context = prepare(settings, space=space, recorded=recorded)
    check_unchanged(context, record)
    if context.splits.fingerprint() != published.splits:
        raise RunError(
            "the seed deals out other folds here than where the search was begun: install the versions of its "
            f"packages ({json.dumps(record.versions)})"
        )
    return context


def _find_data(record: RunRecord, settings: Settings, folder: RunFolder | None, data: str | None) -> str:
    if data is not None:
        return data
    kept = record.data.kept  # None: the data have a name
    if kept and folder is not None and (folder.path / kept).is_file():
        return str(folder.path / kept)
    path = Path(settings.data)
    if kept is not None or (path.is_absolute() and not path.exists()):
        where = settings.data or "the memory of the process that began it"
        raise RunError(f"the data of the search are in {where}, and not on this machine: say where with --data")
    return settings.data


def check_declared(space: Space, catalogue: Catalogue) -> None:
    """Whether the plugins here declare what the search's did. Raises `RunError` with the difference."""
    lines = []
    for kind in ("architectures", "optimizers", "schedules", "augmentations"):
        for name, group in getattr(space, kind).items():
            declared: Mapping[str, Parameter] | None = getattr(catalogue, kind).get(name)
            if declared is None:
                lines.append(f"{name}: no plugin here has it; give its file with --plugin")
                continue
            lines += [f"{name}.{key}: (absent) here" for key in group if key not in declared]
            lines += [f"{name}.{key}: only here" for key in declared if key not in group]
    if lines:
        raise RunError("the plugins here are not those of the search:\n  " + "\n  ".join(lines))


def _budget(published: Published, interrupted: Callable[[], bool]) -> Budget:
    """The search's budget; its deadline by the clock on the wall, the only one that machines share."""
    trials, deadline, timeout = published.record.settings.trials, published.deadline, published.timeout
    if deadline is None or timeout is None:
        return Budget.of(trials, None, interrupted)
    return Budget.of(trials, timeout, interrupted, started=time.monotonic() - (timeout - (deadline - time.time())))
