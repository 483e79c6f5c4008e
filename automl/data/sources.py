"""What DATA may be, and how each kind is loaded."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from automl.data.arrays import from_arrays, load_npz
from automl.data.dataset import Dataset, Task
from automl.data.given import take
from automl.data.images import load_folder
from automl.data.missing import missing_data
from automl.data.tables import load_csv
from automl.errors import BadInput, DataError

_KINDS = "digits, a folder of images, an .npz, a .csv, torchvision:NAME, or the name of a plugin's data set"


def load(
    data: str,
    *,
    target: str | None = None,
    groups: str | None = None,
    image_size: int | None = None,
    skip_bad: bool = False,
    follow_links: bool = False,
    task: str | None = None,
    affordable: float = math.inf,
    plugin_datasets: Mapping[str, Callable[[str], Any]] | None = None,
) -> Dataset:
    """Loads DATA: `digits`, a folder of images, an .npz, a .csv, `torchvision:NAME`, or a plugin's data set by name.

    target: the csv's column to predict. groups: a csv's column, an .npz's array, or for a folder of images a csv file
    with the columns file,group. image_size: side to which a folder's images are resized, by default chosen so that
    they have together no more than `affordable` pixels. skip_bad: leave out unusable
    image files. follow_links: allow links out of the folder. task: 'classification' or 'regression', where the rule of
    the source decides otherwise. plugin_datasets: by name, functions that make the data of their parameters: the text
    behind `NAME:`, "" for none.
    Raises `DataError` with the culprit and the remedy, also for an option that this kind of DATA does not have.
    """
    plugins = plugin_datasets or {}
    wanted = _task(task)
    path = Path(data).expanduser()
    options = {"target": target, "groups": groups, "image_size": image_size}
    name, _, parameters = data.partition(":")
    if name in plugins:
        _refuse(data, {"image_size": image_size})
        made = _made_by_plugin(name, plugins[name], parameters)
        return take(made, target=target, groups=groups, task=wanted, name=name, source=f"data set '{name}'").dataset
    if data == "digits":
        _refuse(data, options)
        return _digits(wanted)
    if data.startswith("torchvision:"):
        from automl.data.torchvision_sets import load_torchvision

        _refuse(data, options)
        return load_torchvision(data.removeprefix("torchvision:"), wanted)
    if path.is_dir():
        _refuse(data, {"target": target})
        if wanted == "regression":
            raise DataError(f"{data}: a folder of images is a classification; for a regression on images give an .npz")
        return load_folder(
            path,
            groups=None if groups is None else Path(groups).expanduser(),
            image_size=image_size,
            skip_bad=skip_bad,
            follow_links=follow_links,
            affordable=affordable,
        )
    if path.is_file() and path.suffix.lower() == ".npz":
        _refuse(data, {"target": target, "image_size": image_size})
        return load_npz(path, groups=groups, task=wanted)
    if path.is_file() and path.suffix.lower() == ".csv":
        _refuse(data, {"image_size": image_size})
        return load_csv(path, target=target, groups=groups, task=wanted)
    if path.exists():
        raise DataError(f"{data}: cannot tell what this is; DATA is {_KINDS}")
    raise missing_data(data, plugins)


def _task(task: str | None) -> Task | None:
    if task is None:
        return None
    if task == "classification":
        return "classification"
    if task == "regression":
        return "regression"
    raise DataError(f"task is 'classification' or 'regression', not {task!r}")


def _refuse(data: str, options: Mapping[str, object]) -> None:
    homes = {
        "target": "a .csv or a DataFrame",
        "groups": "a .csv, an .npz or a folder of images",
        "image_size": "a folder of images",
    }
    for name, value in options.items():
        if value is not None:
            raise DataError(f"{data}: the option {name} is for {homes[name]} only")


def _digits(task: Task | None) -> Dataset:
    """The 1797 handwritten digits of scikit-learn, 8 x 8 pixels."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    # 0..16 to 0..255, rounded: 17 grey levels stay 17.
    images = np.round(digits.images * (255 / 16)).astype(np.uint8)
    return from_arrays(images, digits.target, task=task, name="digits")


def _made_by_plugin(name: str, build: Callable[[str], Any], parameters: str) -> Any:
    try:
        made = build(parameters)
    except BadInput:
        raise
    # Whatever a plugin raises, the search must stop with its name, not with a traceback of ours.
    except (Exception, SystemExit) as error:
        raise DataError(f"the data set '{name}' could not be loaded: {type(error).__name__}: {error}") from error
    if isinstance(made, tuple) and len(made) == 3:
        return dict(zip(("x", "y", "classes"), made, strict=True))
    if isinstance(made, tuple) and len(made) != 2:
        raise DataError(f"the data set '{name}' must return (x, y) or (x, y, class_names), not {len(made)} values")
    return made
