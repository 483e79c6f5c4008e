"""A table, from a file or a DataFrame, as data: the images that it lists, or its rows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from automl.data.dataset import Dataset, Task
from automl.data.sources.image_lists import find_image_list
from automl.data.sources.images import Reading
from automl.data.sources.listed_images import load_image_list
from automl.data.sources.tables import table_dataset
from automl.data.sources.targets import Target
from automl.data.tables.csv_files import Table
from automl.errors import DataError


def from_table(
    table: Table,
    *,
    name: str,
    target: Target,
    groups: str | None,
    images: str | None,
    task: Task | None,
    reading: Reading,
    categorical: Sequence[str] = (),
    time: str | None = None,
) -> Dataset:
    """A table as the data set `name`: the images that it lists, or its rows. The rest as in `load`."""
    folder = None if images is None else images_folder(images)
    listed = find_image_list(table, folder, target)
    if listed is not None:
        return load_image_list(listed, name=name, target=target, groups=groups, task=task, reading=reading)
    if reading.image_size is not None:
        raise DataError(f"{table.path}: the option image_size is for image files only")
    return table_dataset(table, name=name, target=target, groups=groups, task=task, categorical=categorical, time=time)


def images_folder(images: str) -> Path:
    """The folder that `--images` names. Raises `DataError`."""
    folder = Path(images).expanduser()
    if not folder.is_dir():
        raise DataError(f"--images {images}: there is no such folder")
    return folder
