"""What DATA may be, and how each kind is loaded."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import numpy as np

from automl.data.dataset import Dataset, Task
from automl.data.images.folders import find_images, list_folder
from automl.data.sides import side_in
from automl.data.sources.arrays import from_arrays, load_npz
from automl.data.sources.given import take
from automl.data.sources.image_lists import ImageList, find_image_list
from automl.data.sources.images import Reading, load_folder
from automl.data.sources.listed_images import load_image_list
from automl.data.sources.missing import missing_data
from automl.data.sources.table_data import from_table, images_folder
from automl.data.sources.targets import Target
from automl.data.tables.files import read_table
from automl.data.tables.names import is_table, table_name
from automl.errors import BadInput, DataError

_KINDS = (
    "digits, a folder of images, an .npz, a table or a list of images (.csv, .tsv, packed or not, .xlsx, .parquet, "
    ".feather), torchvision:NAME, or the name of a plugin's data set"
)


def load(
    data: str,
    *,
    target: Target = None,
    groups: str | None = None,
    images: str | None = None,
    categorical: Sequence[str] = (),
    time: str | None = None,
    task: str | None = None,
    reading: Reading | None = None,
    plugin_datasets: Mapping[str, Callable[[str], Any]] | None = None,
) -> Dataset:
    """Loads DATA: `digits`, a folder of images, an .npz, a .csv, `torchvision:NAME`, or a plugin's data set by name.

    target: the table's column to predict, or several, of numbers or of yes and no. groups: a table's column, an .npz's
    array, or for a folder of images a csv file with the columns file,group. images: the folder in which the paths of a
    list of images begin. categorical: a table's columns that are categories although their cells are numbers. time: the
    one whose order decides the splits. task: 'classification', 'regression' or 'multilabel', where the rule of the
    source decides otherwise. reading: how image files are read. plugin_datasets: by name, functions that make the data
    of their parameters: the text behind `NAME:`, "" for none.
    Raises `DataError` with the culprit and the remedy, also for an option that this kind of DATA does not have.
    """
    plugins = plugin_datasets or {}
    wanted = _task(task)
    path = Path(data).expanduser()
    reading = reading or Reading()
    options: dict[str, object] = {"target": target or None, "groups": groups, "images": images}
    options |= {"image_size": reading.image_size, "categorical": next(iter(categorical), None), "time": time}
    name, _, parameters = data.partition(":")
    if name in plugins:
        made = _made_by_plugin(name, plugins[name], parameters)
        source = f"data set '{name}'"
        return take(
            made,
            target=target,
            groups=groups,
            images=images,
            task=wanted,
            reading=reading,
            name=name,
            source=source,
            categorical=categorical,
            time=time,
        ).dataset
    if data == "digits":
        _refuse(data, options)
        return _digits(wanted)
    if data.startswith("torchvision:"):
        from automl.data.sources.torchvision_sets import load_torchvision

        _refuse(data, options)
        return load_torchvision(data.removeprefix("torchvision:"), wanted)
    if path.is_dir():
        listed = find_list_in(path, images, target, reading.follow_links)
        if listed is not None:
            name = path.resolve().name
            return load_image_list(listed, name=name, target=target, groups=groups, task=wanted, reading=reading)
        _refuse(data, {key: options[key] for key in ("target", "images", "categorical", "time")})
        if wanted not in (None, "classification"):
            raise DataError(
                f"{data}: a folder of images is a classification; for a {wanted} task on images give a csv with a "
                "column of paths and those of the answers"
            )
        return load_folder(path, groups=None if groups is None else Path(groups).expanduser(), reading=reading)
    if path.is_file() and path.suffix.lower() == ".npz":
        _refuse(data, {key: value for key, value in options.items() if key != "groups"})
        return load_npz(path, groups=groups, task=wanted)
    if path.is_file() and is_table(path):
        return from_table(
            read_table(path),
            name=table_name(path),
            target=target,
            groups=groups,
            images=images,
            task=wanted,
            reading=reading,
            categorical=categorical,
            time=time,
        )
    if path.exists():
        raise DataError(f"{data}: cannot tell what this is; DATA is {_KINDS}")
    raise missing_data(data, plugins)


def find_list_in(
    folder: Path, images: str | None = None, target: Target = None, follow_links: bool = False
) -> ImageList | None:
    """The list of labelled images in a folder that holds one, and no images that are sorted by class.

    Of several tables the only one for training is taken (`train.csv`). Raises `DataError` where there are more.
    """
    tables = [folder / name for name in list_folder(folder) if is_table(name)]
    # A submission is an example of what to hand in, with labels that are none.
    tables = [path for path in tables if "submission" not in path.stem.casefold()]
    if not tables or (images is None and _is_sorted(folder, follow_links)):
        return None
    found: list[ImageList] = []
    for path in tables:
        listed = find_image_list(read_table(path), None if images is None else images_folder(images), target)
        if listed is not None and listed.others():
            found.append(listed)
    alike = [listed for listed in found if side_in(listed.table.path.stem) == "train"]
    if len(found) > 1 and len(alike) != 1:
        names = ", ".join(listed.table.path.name for listed in found[:5])
        raise DataError(f"{folder}: {names} list images with labels; give one of them")
    return next(iter(alike or found), None)


def _is_sorted(folder: Path, follow_links: bool) -> bool:
    try:
        return len(find_images(folder, follow_links).classes) > 1
    except DataError:
        return False


def _task(task: str | None) -> Task | None:
    for known in get_args(Task):
        if task == known:
            return known  # type: ignore[no-any-return]
    if task is None:
        return None
    raise DataError(f"task is 'classification', 'regression' or 'multilabel', not {task!r}")


def _refuse(data: str, options: Mapping[str, object]) -> None:
    homes = {
        "target": "a table",
        "groups": "a table, an .npz or a folder of images",
        "images": "a table that lists images",
        "categorical": "a table",
        "time": "a table",
        "image_size": "image files",
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
