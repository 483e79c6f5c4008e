"""What the command line calls and a notebook imports: `search`, `resume`, `load_model`."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna

from automl.conclude.conclude import fit_later
from automl.conclude.fitting import FINAL_KINDS
from automl.conclude.replay import Replay, replay_trial
from automl.data.atomic import remove_abandoned
from automl.data.sources.given import Given
from automl.data.splits import load_splits, save_splits
from automl.errors import BadInput, Interrupted, MachineFailed, SettingsError
from automl.hooks.process_state import leaves_the_process_alone
from automl.models.model import load_model, save_model
from automl.results.dashboard import serve
from automl.results.door import HOST, check_host
from automl.results.run import Run, open_run
from automl.run.context import SearchContext
from automl.run.folder import RunFolder, fresh_folder
from automl.run.record import check_ray_address, make_record
from automl.scheduling.callbacks import MakeCallback
from automl.scheduling.samplers import make_sampler
from automl.search_context import context_of, keep, new_context, resumed_context
from automl.session import go_on, hire
from automl.study.storage.looking import look_at_storage
from automl.study.storage.opening import (
    PASSWORD_VARIABLE,
    create_study,
    load_study,
    open_storage,
    redact,
    storage_errors,
    storage_url_of,
)
from automl.workers.launcher import Launcher
from automl.workers.remote import join

__all__ = [
    "MakeCallback",
    "Run",
    "fit",
    "load_model",
    "open_run",
    "replay",
    "resume",
    "search",
    "serve_dashboard",
    "worker",
]


@leaves_the_process_alone
def search(
    data: Any = "digits",
    space: str | Path | Mapping[str, Any] | None = None,
    *,
    out: str | Path | None = None,
    watch: MakeCallback | None = None,
    interrupted: Callable[[], bool] = lambda: False,
    report: bool = True,
    started: float | None = None,
    **settings: Any,
) -> Run:
    """Searches a network for `data` and fits the final model.

    Args:
        data: a folder of images, an .npz, a .csv (with `target=`), `digits`, `torchvision:NAME` or a plugin's data set;
            or the data themselves: `(x, y)`, a mapping with `x` and `y`, a torch Dataset, a DataFrame with `target=`
            (`automl.data.sources.given.take`). They are kept in the run's folder, unless they are larger than 1 GiB.
        space: the name or the file of a search space, or what such a file would hold, as a mapping.
        out: the run's folder; default `runs/NAME-N` in the current folder.
        watch: makes who is told about the progress; default nobody.
        interrupted: asked before each batch; True stops the search, which can be resumed.
        report: False leaves out the report and the pictures, a second's work; `Run.report()` makes it later.
        started: from when on the `timeout` counts, on the clock of `time.monotonic()`; default now.
        settings: the fields of `automl.settings.Settings`, e.g. `trials=50, folds=5, epochs=20, timeout="10m"`.

    Raises:
        BadInput: settings, plugins, search space or data are wrong; nothing was started or written.
        NoTrialSucceeded: no trial succeeded.
        Interrupted: `interrupted` said so; `resume` goes on with its `run`.
        MachineFailed: disk or storage failed; `resume` goes on with its `run`.
    """
    started = time.monotonic() if started is None else started
    if out is not None:
        RunFolder(out).check_free()  # before the data are read, which may take long
    context, given = new_context(data, space, settings)
    chosen = context.settings
    folder = RunFolder(out if out is not None else fresh_folder(context.dataset.name))
    storage_url = chosen.storage or os.environ.get(PASSWORD_VARIABLE)
    with _naming(folder), hire(context, storage_url) as launcher:
        return _begin(context, given, folder, storage_url, launcher, watch, interrupted, report, started)


def _begin(
    context: SearchContext,
    given: Given | None,
    folder: RunFolder,
    storage_url: str | None,
    launcher: Launcher,
    watch: MakeCallback | None,
    interrupted: Callable[[], bool],
    report: bool,
    started: float,
) -> Run:
    """Makes the run's folder and the study, and searches; raises as `search`."""
    chosen = context.settings
    study_name = chosen.study or folder.path.name
    # A grid that is too large, a missing package or a storage that does not answer must not leave a folder behind.
    make_sampler(chosen.sampler, chosen.seed, 0, 0, context.space, dict)
    if storage_url:
        storage = open_storage(storage_url, folder.journal, interrupted)
        create_study(storage, study_name, context.objective, optuna.samplers.RandomSampler())
    with storage_errors():
        kept = None if given is None else ""
        folder.create(make_record(context, study_name, redact(storage_url) if storage_url else None, kept=kept))
        if given is not None:
            keep(given, folder)
        save_splits(context.splits, folder.splits)
    with folder.lock():
        if not storage_url:
            with storage_errors():
                storage = open_storage(None, folder.journal)
                create_study(storage, study_name, context.objective, optuna.samplers.RandomSampler())
        return go_on(context, folder, storage, storage_url, launcher, watch, interrupted, started, report)


@contextmanager
def _naming(folder: RunFolder) -> Iterator[None]:
    """Tells who hears of a stop or of a failure which run can be resumed."""
    try:
        yield
    except (Interrupted, MachineFailed) as error:
        error.run = folder.path if folder.exists else None
        raise


@leaves_the_process_alone
def resume(
    run: str | Path,
    *,
    data: Any = None,
    plugins: Sequence[str | Path] = (),
    watch: MakeCallback | None = None,
    interrupted: Callable[[], bool] = lambda: False,
    started: float | None = None,
    **changes: Any,
) -> Run:
    """Goes on with a run that was interrupted, or with a larger budget (`trials=`, `timeout=`).

    `data` are the arrays that the run was begun with, needed only where they were too large for its folder; `started`
    is as in `search`. `plugins` are files: no plugin file that the run names is imported that was edited since, or that
    others could have written, unless it is named here, wherever it lies now. Other settings may be changed only where
    they do not change what is searched: `device`, `devices`, `workers`, `threads`, `trial_timeout`, `storage` (with its
    password). Raises `RunError` when the data, the search space or plugins have changed, and what `search` raises.
    """
    started = time.monotonic() if started is None else started
    folder = RunFolder(run)
    record = folder.read_record()
    check_ray_address(record, changes)
    folder.check_writable()
    context = resumed_context(folder, record, changes, data, plugins)
    with _naming(folder), folder.lock():
        with storage_errors():
            remove_abandoned(folder.path)
            if not folder.splits.exists():  # killed before they were written: the seed makes the same ones
                save_splits(context.splits, folder.splits)
        context = replace(context, splits=load_splits(folder.splits))
        changed = {name: getattr(context.settings, name) for name in ("trials", "trial_timeout")}
        record = folder.read_record()
        record = record.but(settings=record.settings.model_copy(update=changed))
        with storage_errors():
            folder.write_record(record)
        storage_url = storage_url_of(record, context.settings.storage)
        with hire(context, storage_url) as launcher:
            storage = open_storage(storage_url, folder.journal, interrupted)
            if not storage_url and record.seconds is None and not optuna.get_all_study_names(storage):
                # Killed between the folder and the study.
                create_study(storage, record.study, context.objective, optuna.samplers.RandomSampler())
            return go_on(context, folder, storage, storage_url, launcher, watch, interrupted, started)


@leaves_the_process_alone
def worker(
    storage: str | None,
    study: str,
    *,
    watch: MakeCallback | None = None,
    interrupted: Callable[[], bool] = lambda: False,
    **machine: Any,
) -> bool:
    """Joins the search `study` in `storage` (None: `$AUTOML_STORAGE`) until its race is over; False if it was already.

    `machine`: `data`, `run`, `threads`, `device` and `plugins`, as `automl.workers.remote.join` has them. Raises
    `BadInput` when they are not what the search began with, `NoTrialSucceeded` and `MachineFailed`.
    """
    url = storage or os.environ.get(PASSWORD_VARIABLE)
    if url is None:
        raise SettingsError(f"--storage: must be the URL of the search's storage, here or in ${PASSWORD_VARIABLE}")
    return join(url, study, watch=watch, interrupted=interrupted, **machine)


@leaves_the_process_alone
def replay(
    run: str | Path,
    trial: int,
    *,
    device: str | None = None,
    data: Any = None,
    plugins: Sequence[str | Path] = (),
) -> Replay:
    """Trains a trial again from its seeds and compares its curves with the recorded ones; the run stays as it is.

    `device`: another one than the run's; `data` and `plugins` as in `resume`. Raises `RunError` for an unknown trial,
    one without curves, and as `resume` does when data, search space or plugins have changed.
    """
    found = open_run(run)
    row = found.trial(trial)
    return replay_trial(context_of(found, device, data, plugins), found.folder, row, found.record)


@leaves_the_process_alone
def fit(
    run: str | Path,
    *,
    trial: int | None = None,
    final: str | None = None,
    out: str | Path | None = None,
    device: str | None = None,
    data: Any = None,
    plugins: Sequence[str | Path] = (),
) -> Path:
    """Fits a final model of a run that was searched before; returns its folder, for `load_model`.

    Args:
        run: the run's folder, which keeps its own model and test scores. The test set is not touched.
        trial: whose config; default that of the run's own model.
        final: `refit`, one network on the whole training part, or `ensemble`, the networks of its folds averaged;
            default as the run was set.
        out: where to; default `models/trial-N-FINAL` in the run's folder.
        device: another one than the run's.
        data: as in `resume`.
        plugins: as in `resume`.

    Raises:
        RunError: there is no such trial, it has no score, or data or search space have changed.
        BadInput: `final` is neither, or `out` is the run's own model.
    """
    found = open_run(run)
    kind = final or found.record.settings.final
    if kind not in FINAL_KINDS:
        raise SettingsError(f"--final {kind}: must be {' or '.join(FINAL_KINDS)}")
    if out is not None and Path(out).absolute() == found.folder.model:
        raise BadInput(f"--out {out}: this is the model that was tested; choose another folder")
    context = context_of(found, device, data, plugins)
    storage = look_at_storage(found.record, found.folder.journal)
    study = load_study(storage, found.record.study, optuna.samplers.RandomSampler())
    model = fit_later(context, study, found.folder, found.record, trial, kind)
    place = Path(out) if out is not None else found.path / "models" / f"trial-{model.description.trial}-{kind}"
    with storage_errors():
        return save_model(model, place)


def serve_dashboard(
    run: str | Path,
    *,
    port: int | None = None,
    ready: Callable[[str], None] = lambda url: None,
    host: str = HOST,
    no_login_i_know: bool = False,
    edit: bool = False,
) -> None:
    """Serves the Optuna dashboard of a run on 127.0.0.1 until Ctrl-C; the run may be going on.

    `port` None is the first free one from 8080; `ready` is called with the address once it answers. The address holds a
    token without which nobody is let in, unless `no_login_i_know`; nothing can be changed in it, and the run is only
    read, unless `edit`. Raises `RunError` when there is no run and `SettingsError` when the port is in use, or `host`
    can be reached by others without `no_login_i_know`.
    """
    check_host(host, no_login_i_know)
    folder = RunFolder(run)
    record = folder.read_record()
    journal = folder.journal
    storage = open_storage(storage_url_of(record), journal) if edit else look_at_storage(record, journal)
    study = load_study(storage, record.study, optuna.samplers.RandomSampler())
    serve(study, record, folder, port, ready, host, login=not no_login_i_know, edit=edit)
