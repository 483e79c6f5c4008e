"""Everything that a search stands on, checked before anything is started or written."""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from automl.data.dataset import Dataset
from automl.data.images.sizes import affordable_pixels
from automl.data.resident import refuse_too_large
from automl.data.sources.images import Reading
from automl.data.sources.load import load
from automl.data.splits import Splits, make_splits
from automl.errors import SettingsError, SpaceError, did_you_mean
from automl.hooks.host import PluginHost, load_plugins
from automl.hooks.loading import Found
from automl.racing.ladder import Ladder, make_ladder, parse_ladder
from automl.racing.objective import Objective
from automl.run.applicable import keep_applicable
from automl.run.context import SearchContext
from automl.run.image_epochs import affordable_epochs
from automl.run.table_sizes import for_table, suit_batches
from automl.run.tried_domains import check_domains
from automl.run.weights import keep_fitting, weights_override, without_lacking
from automl.settings import Settings, is_written_out
from automl.spaces.batches import fit_batches, fit_epochs, largest_batch
from automl.spaces.library import find_space, list_spaces
from automl.spaces.merge import merge
from automl.spaces.space import Space
from automl.spaces.yaml_file import parse, read
from automl.training.device import choose_device, choose_devices, choose_precision

log = logging.getLogger("automl.plugins")

# From which on `images-gpu` is worth its large batches: with fewer images an epoch would have few steps.
MANY_IMAGES, LEAST_SIDE = 4_000, 16

IMAGES, PHOTOS = "images", "photos"  # their spaces
PHOTO = 65  # pixels of the shorter side, from which on images are photos and not thumbnails


def load_host(settings: Settings, recorded: Sequence[Found] = ()) -> PluginHost:
    """The plugins that the settings name, the installed and the `recorded` ones.

    A broken one is only logged, for others may do; but a file that was asked for by its name must load. Raises
    `PluginError` or `BadInput` for that one.
    """
    host = load_plugins(files=settings.plugins, folders=settings.plugins_dirs, recorded=recorded)
    asked = {Path(file).expanduser().resolve() for file in settings.plugins}
    for broken in host.broken:
        if Path(broken.source).resolve() in asked:
            raise broken.error()
        log.warning("%s", broken)
    return host


def devices_of(settings: Settings) -> tuple[torch.device, ...]:
    """What the settings ask to train on. Raises `SettingsError`."""
    return choose_devices(settings.devices) if settings.devices else (choose_device(settings.device),)


def reading_of(settings: Settings, device: torch.device) -> Reading:
    """How image files are read for a search on `device`: no larger than it has the time for."""
    affordable = affordable_pixels(device.type, settings.timeout)
    return Reading(settings.image_size, settings.skip_bad, settings.follow_links, affordable)


def reading_options(settings: Settings, device: torch.device) -> dict[str, Any]:
    """What the settings say of how data are read, as keywords of `load` and of `take`."""
    return {
        "target": settings.target,
        "groups": settings.groups,
        "images": settings.images,
        "categorical": settings.categorical,
        "time": settings.time,
        "task": settings.task,
        "reading": reading_of(settings, device),
    }


def load_dataset(settings: Settings, host: PluginHost, device: torch.device) -> Dataset:
    """The data that the settings name, for a search on `device`. Raises `DataError`."""
    return load(
        settings.data,
        **reading_options(settings, device),
        plugin_datasets={name: source.make for name, source in host.datasets.items()},
    )


def default_space(dataset: Dataset, device: torch.device) -> str:
    """The built-in space for these data on this device."""
    if dataset.kind == "table":
        return "tabular"
    if min(dataset.input_shape[1:]) >= PHOTO:
        return PHOTOS
    many = len(dataset) >= MANY_IMAGES and min(dataset.input_shape[1:]) >= LEAST_SIDE
    return "images-gpu" if device.type == "cuda" and many else IMAGES


def merge_space(settings: Settings, host: PluginHost, default: str = IMAGES) -> Space:
    """The search space of the settings; without one, the built-in space `default`.

    With `weights`, which only `transfer` takes, that is the built-in space `transfer`. Raises `SpaceError`.
    """
    name = settings.space or ("transfer" if settings.weights else default)
    document = parse(name, "space") if is_written_out(name) else read(find_space(name))
    overrides = (*settings.overrides, *weights_override(settings))
    try:
        space = merge(
            document,
            host.catalogue(),
            architectures=settings.architectures,
            added=settings.added,
            overrides=overrides,
        )
        check_domains(space, host, document, overrides)
        return space
    except SpaceError as error:
        if settings.weights and error.place.startswith("--set transfer.weights="):
            raise SpaceError(f"--weights {settings.weights}", error.problem) from None
        if host.broken and error.problem.startswith("unknown"):
            theirs = "".join(f"\n  {broken}" for broken in host.broken)
            raise SpaceError(error.place, f"{error.problem}\nit may belong to a broken plugin:{theirs}") from None
        raise


def check_listeners(settings: Settings, host: PluginHost) -> None:
    """Raises `SettingsError` for a listener that no plugin has, or whose package is not installed."""
    for name in settings.log_to:
        if name not in host.log_targets:
            known = f"only to {', '.join(sorted(host.log_targets))}{did_you_mean(name, host.log_targets)}"
            raise SettingsError(f"--log-to {name}: no plugin logs there, {known}")
        package = host.log_targets[name]
        if package and importlib.util.find_spec(package) is None:
            raise SettingsError(f"--log-to {name} needs the package {package}: pip install {package}")


def _ladder(settings: Settings) -> Ladder:
    if settings.ladder:
        return parse_ladder(settings.ladder, settings.epochs, settings.folds)
    return make_ladder(settings.epochs, settings.folds)


def _decided(settings: Settings, dataset: Dataset) -> Settings:
    """The settings with what the data decided, so that it is the same when the run is resumed, also elsewhere."""
    understood = dataset.understood
    decided: dict[str, Any] = {}
    if understood.image_size is not None:
        decided["image_size"] = understood.image_size
    if understood.images:
        decided["images"] = understood.images
    if dataset.folds is not None:
        decided["folds"] = int(dataset.folds.max()) + 1
    return settings.model_copy(update=decided)


def _fitted_to_images(
    settings: Settings, space: Space, dataset: Dataset, splits: Splits, name: str, device: torch.device
) -> tuple[Settings, Space, Dataset]:
    """Batches that leave an epoch some steps, and epochs that leave a training some and fit into the time, where the
    user has set neither.

    What became of it is a note of the data set. `name`: the space's.
    """
    samples = min(len(splits.train(fold)) for fold in range(splits.folds))
    few, notes = [], list(dataset.notes)
    if not settings.space or any(settings.space == name for name, _, _ in list_spaces()):
        fitted = fit_batches(space, samples)
        if fitted != space and not any(each.startswith("train.batch_size") for each in settings.overrides):
            space = fitted
            largest = largest_batch(space.training["batch_size"])
            few.append(f"batches of {largest} samples at most, so that an epoch has {samples // largest} steps")
    if "epochs" not in settings.model_fields_set and not settings.ladder:
        usual = settings.epochs
        affordable = affordable_epochs(settings, name, samples, dataset.input_shape, device)
        chosen = fit_epochs(space, samples, affordable)
        if chosen != usual:
            settings = settings.model_copy(update={"epochs": chosen})
        if chosen > usual:
            few.append(f"{chosen} epochs")
        elif chosen < usual:
            notes.append(f"{chosen} epochs, so that a network can be trained on all folds in time.")
    if few:
        notes.append(f"The training samples are few ({samples:,} in a fold): {'; '.join(few)}.")
    notes = list(dict.fromkeys(notes))
    return settings, space, dataset if len(notes) == len(dataset.notes) else replace(dataset, notes=tuple(notes))


def prepare(
    settings: Settings,
    dataset: Dataset | None = None,
    space: Space | None = None,
    splits: Splits | None = None,
    recorded: Sequence[Found] = (),
) -> SearchContext:
    """Loads and checks all of it. `dataset` is given when the data are not named by the settings (arrays), `space` when
    it was merged before, on another machine, `splits` when the run has them already, `recorded` are its plugins.

    Raises `BadInput` in one of its kinds; nothing has been started or written then.
    """
    host = load_host(settings, recorded)
    check_listeners(settings, host)
    settings = settings.with_absolute_paths({"digits", *host.datasets, *(name for name, _, _ in list_spaces())})
    devices = devices_of(settings)
    device = devices[0]
    _ladder(settings)
    if space is None and (settings.space or settings.weights):
        merge_space(settings, host)  # a wrong space is told before the data are read, which may take long
    dataset = dataset or load_dataset(settings, host, device)
    settings = for_table(_decided(settings, dataset), dataset)
    for each in devices:
        refuse_too_large(dataset, each)
    Objective.of(dataset.task, settings.metric)
    default = None if space or settings.space or settings.weights else default_space(dataset, device)
    space = space or merge_space(settings, host, default or IMAGES)
    space = keep_fitting(without_lacking(space, host, dataset), host, dataset)
    space = suit_batches(space, settings, dataset)
    space = keep_applicable(space, dataset)
    splits = splits or make_splits(
        dataset, folds=settings.folds, test_fraction=settings.test_fraction, seed=settings.seed
    )
    if dataset.kind == "image":
        name = settings.space or default or ""
        settings, space, dataset = _fitted_to_images(settings, space, dataset, splits, name, device)
    ladder = _ladder(settings)  # again, for folds and epochs may be those of the data
    return SearchContext(
        settings=settings,
        host=host,
        dataset=dataset,
        splits=splits,
        space=space,
        ladder=ladder,
        device=device,
        precision=choose_precision(settings.precision, device),
        devices=devices,
        default_space=default,
    )
