"""What a search stands on: for a new one, and again for one that was begun before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from automl.data.sources.given import Given, take
from automl.data.splits import load_splits
from automl.errors import RunError
from automl.results.run import Run
from automl.run.context import SearchContext
from automl.run.folder import RunFolder
from automl.run.prepare import devices_of, prepare, reading_options
from automl.run.record import begun_with, check_unchanged, recorded_plugins, settings_of
from automl.run.run_record import RunRecord
from automl.settings import Settings, make_settings
from automl.warm_start import begin_with_best


def new_context(data: Any, space: Any, settings: Mapping[str, Any]) -> tuple[SearchContext, Given | None]:
    """What a new search stands on, and its data where they came from Python."""
    if isinstance(data, str | Path):
        context = prepare(make_settings(data=data, space=space, **settings))
        return begin_with_best(context, context.settings.first_from), None
    chosen = make_settings(data="", space=space, **settings)
    given = _take(data, chosen)
    context = prepare(chosen.model_copy(update={"target": given.target}), given.dataset)
    return begin_with_best(context, context.settings.first_from), given


def _take(data: Any, settings: Settings) -> Given:
    return take(data, **reading_options(settings, devices_of(settings)[0]))


def keep(given: Given, folder: RunFolder) -> None:
    """Keeps the data in the run's folder, and notes in `run.yaml` where: nowhere, if they are too large."""
    record = folder.read_record()
    path = given.keep(folder.data)
    kept = str(path.relative_to(folder.path)) if path else ""
    settings = record.settings.model_copy(update={"data": str(path or "")})
    folder.write_record(record.but(settings=settings, data=record.data.model_copy(update={"kept": kept})))


def resumed_context(
    folder: RunFolder,
    record: RunRecord,
    changes: Mapping[str, Any],
    data: Any,
    plugins: Sequence[str | Path] = (),
) -> SearchContext:
    """What an earlier search stood on, checked to be the same; `data` are those that it was given and has not kept.

    Raises `RunError` when they are needed, or are others, and for plugin files of the run that might be anybody's and
    are not among the `plugins`.
    """
    recorded = recorded_plugins(record, folder.given, folder.path, plugins)
    settings = settings_of(record, changes).model_copy(update={"plugins": tuple(map(str, plugins)), "plugins_dirs": ()})
    kept = record.data.kept  # None: the data have a name
    if kept and (folder.path / kept).is_file():  # also when the folder was moved
        settings = settings.model_copy(update={"data": str(folder.path / kept)})
    if data is None and kept == "":
        raise RunError(
            f"{folder.path}: the run was begun on data from Python and has not kept them, as they were too large; "
            "give them again, in Python: automl.resume(RUN, data=...)"
        )
    context = prepare(settings, None if data is None else _take(data, settings).dataset, recorded=recorded)
    context = begun_with(context, record)
    check_unchanged(context, record)
    return context


def context_of(found: Run, device: str | None, data: Any, plugins: Sequence[str | Path] = ()) -> SearchContext:
    """The ingredients of a run on its splits; raises as `resumed_context` does."""
    context = resumed_context(found.folder, found.record, {"device": device}, data, plugins)
    if context.settings.threads:
        torch.set_num_threads(context.settings.threads)
    return replace(context, splits=load_splits(found.folder.splits))
