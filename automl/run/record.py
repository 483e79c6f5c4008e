"""The record of a new run, and whether a run may be gone on with."""

from __future__ import annotations

import hashlib
import logging
import platform
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from automl.data.understood import summarise
from automl.errors import RunError, SpaceError
from automl.hooks.host import PluginHost
from automl.hooks.loading import Found
from automl.hooks.recorded import find_recorded, refusal
from automl.open_file import read_file
from automl.run.context import SearchContext
from automl.run.run_record import DataFacts, PluginFile, RunRecord
from automl.settings import CHANGEABLE, Settings, make_settings
from automl.training.device import PRECISIONS
from automl.training.guessing import guess_means

log = logging.getLogger("automl.plugins")


def versions() -> dict[str, str]:
    """The versions that decide about the numbers of a run."""
    import numpy
    import optuna

    import automl

    return {
        "automl": automl.__version__,
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "optuna": optuna.__version__,
        "numpy": numpy.__version__,
    }


def plugin_files(host: PluginHost, plugin: str | None = None) -> list[PluginFile]:
    """The plugins that came from a file, each with the SHA-256 of its text; or only those of the name `plugin`."""
    files = [
        (found.name, Path(found.source)) for found in host.plugins if not found.version and plugin in (None, found.name)
    ]
    return [
        PluginFile(name=name, file=str(path), sha256=hashlib.sha256(read_file(path)).hexdigest())
        for name, path in files
        if path.is_file()
    ]


def recorded_plugins(
    record: RunRecord, subject: str | Path, inside: Path | None = None, named: Sequence[str | Path] = ()
) -> list[Found]:
    """The plugin files of a run, for `prepare`; those that the command has `named` stand in for theirs.

    subject: what is said to name them. inside: the run's folder. Raises `RunError` for a file that might be anybody's.
    """
    found, refused = find_recorded([plugin.model_dump() for plugin in record.plugins], named, inside)
    if refused:
        raise RunError(refusal(subject, refused))
    return found


def make_record(context: SearchContext, study: str, storage: str | None, *, kept: str | None = None) -> RunRecord:
    """The record of a new run. `storage` is the redacted URL, or None for the journal; `kept` as in `DataFacts`."""
    dataset = context.dataset
    about = summarise(dataset, len(context.splits.test))
    return RunRecord(
        id=secrets.token_hex(8),
        settings=context.settings.model_copy(update={"storage": storage}),
        study=study,
        objective=context.objective.name,
        metric=context.objective.beside,
        data=DataFacts(**about, fingerprint=dataset.fingerprint, kept=kept),
        guessing=guess_means(dataset, context.splits),
        ladder=tuple(str(rung) for rung in context.ladder),
        device=str(context.device),
        precision=str(context.precision).removeprefix("torch."),
        versions=versions(),
        plugins=tuple(plugin_files(context.host)),
        space_fingerprint=context.space.fingerprint(),
        space=context.space.to_json(),
    )


def check_unchanged(context: SearchContext, record: RunRecord) -> None:
    """Whether data and search space are those that the run was begun with. Raises `RunError` with the difference.

    A plugin's file that was edited since is only said, for a comment may be all that is new.
    """
    present = plugin_files(context.host)
    for was in record.plugins:
        files = [plugin for plugin in present if plugin.name == was.name]
        if files and was.sha256 not in {plugin.sha256 for plugin in files}:
            log.warning(
                "the plugin %s was edited since this run was begun (SHA-256 %s... then, %s... now): what is trained "
                "from now on may not be comparable with what was trained before",
                files[0].file, was.sha256[:12], files[0].sha256[:12],
            )  # fmt: skip
    data = record.data
    if data.fingerprint != context.dataset.fingerprint:
        then, now = data.samples, len(context.dataset)
        detail = f"{then} samples then, {now} now" if then != now else "the same number of samples, but other values"
        name = context.settings.data or data.name
        raise RunError(
            f"the data '{name}' have changed since this run was begun ({detail}); "
            "scores on other data cannot be compared: bring the old data back or begin a new run"
        )
    if record.space_fingerprint != context.space.fingerprint():
        try:
            lines = record.read_space().difference(context.space)
        except SpaceError as error:
            raise RunError(str(error)) from error
        raise RunError(
            "the search space has changed since this run was begun; bring it back or begin a new run:\n  "
            + "\n  ".join(lines)
        )


def begun_with(context: SearchContext, record: RunRecord) -> SearchContext:
    """The context whose space begins with the configs that the run began with.

    With `--first-from` some are of earlier runs, which may have gone on since, or be gone.
    """
    if not context.settings.first_from:
        return context
    return replace(context, space=replace(context.space, first=record.read_space().first))


def check_ray_address(record: RunRecord, changes: Mapping[str, Any]) -> None:
    """Raises `RunError` where a run is to go on on a Ray cluster that only the run names: it may be anybody's."""
    address = record.settings.ray_address
    if address and not changes.get("ray_address") and changes.get("launcher") != "local":
        raise RunError(
            f"the run says that its workers are actors of the Ray cluster {address}, which is not joined because a run "
            f"names it: if it is yours, give --ray-address {address}, else --launcher local"
        )


def settings_of(record: RunRecord, changes: Mapping[str, Any]) -> Settings:
    """The settings of a run with what may be changed when it is resumed. A timeout counts anew and is not inherited.

    Raises `RunError` for a change that would change the search.
    """
    old = record.settings.model_dump(mode="json", exclude={"timeout", "storage"})
    # The executor decides about the ladder, which must be the same when the run goes on on another device.
    old["ladder"] = ",".join(record.ladder)
    # So must the precision: scores of two cannot be compared.
    old["precision"] = next(name for name, dtype in PRECISIONS.items() if dtype == getattr(torch, record.precision))
    for name, value in changes.items():
        if value is not None and name not in CHANGEABLE and old.get(name) != value:
            raise RunError(f"{name} was {old.get(name)!r} when this run was begun; it cannot become {value!r} now")
    given = {name: value for name, value in changes.items() if value is not None}
    for one, other in (("device", "devices"), ("devices", "device")):
        if one in given:  # it goes before what the run was begun with, whichever that was
            old.pop(other, None)
    old.pop("ray_address", None)  # somebody else's cluster, maybe
    return make_settings(**{**old, **given})
