"""Data given from Python: arrays, tensors, torch data sets and DataFrames, and how a run keeps them.

What has a name (a file, a folder, `digits`) stands in `sources.py`.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from automl.data.atomic import write_atomic
from automl.data.dataset import Dataset, Task
from automl.data.sources.arrays import from_mapping
from automl.data.sources.images import Reading
from automl.data.sources.table_data import from_table
from automl.data.sources.targets import Target, split_names
from automl.data.tables.csv_files import Table, table_of, write_csv
from automl.errors import DataError

Array = NDArray[Any]

MAX_KEPT = 1 << 30
"""Bytes up to which a run keeps the data that it was given, so that it can be resumed from its folder alone."""

_KINDS = (
    "(x, y); a mapping with 'x' and 'y'; a torch Dataset, or (training, test) of them; a pandas DataFrame with "
    "target=; or the name of a file, folder or data set"
)


@dataclass(frozen=True)
class Given:
    """A data set that came from Python. Of a DataFrame also its text, `table`, and the columns to predict, `target`."""

    dataset: Dataset
    table: Table | None = None
    target: tuple[str, ...] = ()

    def keep(self, folder: Path) -> Path | None:
        """Writes the data to `folder` as a file that reads back as the same data set; returns it.

        None for data above `MAX_KEPT`. Raises OSError.
        """
        if (self.table is None or self.dataset.kind == "table") and self.dataset.x.nbytes > MAX_KEPT:
            return None
        folder.mkdir(exist_ok=True)
        if self.table is not None:
            return write_csv(self.table, folder / f"{self.dataset.name}.csv")
        path = folder / f"{self.dataset.name}.npz"
        write_atomic(path, lambda file: np.savez(file, **_as_npz(self.dataset)))
        return path


def take(
    data: Any,
    *,
    target: Target = None,
    groups: str | None = None,
    images: str | None = None,
    categorical: Sequence[str] = (),
    time: str | None = None,
    task: Task | None = None,
    reading: Reading | None = None,
    name: str | None = None,
    source: str | None = None,
) -> Given:
    """The data set that a Python object holds.

    Args:
        data: `(x, y)` as arrays or tensors; a mapping with the arrays of an .npz (`x`, `y`, and where wanted `groups`,
            `classes`, `x_test` and `y_test`); a map-style torch `Dataset`, read once from its first sample to its last,
            or `(training, test)` of them; a pandas DataFrame with `target`, or `(DataFrame, y)`.
        target: the DataFrame's column to predict, or several, of numbers or of yes and no.
        groups: the mapping's array of groups, or the DataFrame's column of them.
        images, reading: of a DataFrame that lists images, where its paths begin, and how the files are read.
        categorical: the DataFrame's columns that are categories although they are numbers.
        task: as in `from_arrays` and `load_csv`.
        name: of the data set; by default what kind of data they are. source: what messages call the data.

    Raises `DataError` that names the array, column or sample.
    """
    targets = (target,) if isinstance(target, str) else tuple(target or ())
    if isinstance(data, tuple | list) and len(data) == 2 and is_frame(data[0]):
        data, targets = _with_answers(data[0], data[1], targets)
    if is_frame(data):
        table = table_of(data)
        made = from_table(
            table,
            name=name or "table",
            target=targets,
            groups=groups,
            images=images,
            task=task,
            reading=reading or Reading(),
            categorical=categorical,
            time=time,
        )
        return Given(made, table, targets)
    refused = {"target": targets or None, "images": images, "image_size": reading and reading.image_size}
    for option, value in (refused | {"categorical": next(iter(categorical), None), "time": time}).items():
        if value is not None:
            raise DataError(f"{option}= is for a table (a DataFrame, or a .csv); these data are arrays")
    kind, arrays = _arrays(data)
    name = name or kind
    return Given(from_mapping(arrays, groups=groups, task=task, name=name, source=source or name))


def is_frame(data: Any) -> bool:
    """Whether it is a pandas DataFrame. pandas is not imported for that."""
    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(data, pandas.DataFrame)


def _with_answers(frame: Any, y: Any, targets: Sequence[str]) -> tuple[Any, tuple[str, ...]]:
    """The DataFrame with `y` as a further column, or several, and their names."""
    answers = _array("y", y)
    if answers.ndim not in (1, 2) or len(answers) != len(frame) or not answers.size:
        raise DataError(f"y is {answers.dtype} {answers.shape}; it must hold one answer for each of {len(frame)} rows")
    columns = answers.reshape(len(frame), -1).T
    given = targets if len(targets) == len(columns) else split_names(targets, ())
    names = tuple(given) or answer_names(y, len(columns))
    if len(names) != len(columns):
        raise DataError(f"y is {answers.dtype} {answers.shape}, and target= names {len(names)} columns")
    for name in names:
        if name in frame.columns:
            raise DataError(f"DataFrame: there is a column '{name}' already; give y another name, or leave it out")
    return frame.assign(**dict(zip(names, columns, strict=True))), names


def answer_names(y: Any, count: int) -> tuple[str, ...]:
    """The names of the `count` columns of answers: those that `y` of pandas has, else `target`, or `target_0`, ..."""
    if is_frame(y):
        return tuple(str(name).strip() for name in y.columns)
    if count == 1 and (name := str(getattr(y, "name", None) or "").strip()):
        return (name,)
    return ("target",) if count == 1 else tuple(f"target_{number}" for number in range(count))


def _arrays(data: Any) -> tuple[str, dict[str, Array]]:
    """A name for the data, and their arrays as an .npz would hold them."""
    if isinstance(data, Mapping):
        return "arrays", {str(name): _array(str(name), value) for name, value in data.items() if value is not None}
    if _is_torch_dataset(data):
        return _name(data), _materialise(data)
    if isinstance(data, tuple | list) and len(data) == 2:
        if all(_is_torch_dataset(part) for part in data):
            test = _materialise(data[1])
            return _name(data[0]), _materialise(data[0]) | {"x_test": test["x"], "y_test": test["y"]}
        return "arrays", {"x": _array("x", data[0]), "y": _array("y", data[1])}
    what = f"a {type(data).__name__}" + (f" of {len(data)}" if isinstance(data, tuple | list) else "")
    raise DataError(f"the data are {what}; they may be {_KINDS}")


def _array(name: str, value: Any) -> Array:
    """`value` as a numpy array, tensors of any device included."""
    if hasattr(value, "detach"):
        value = value.detach().cpu()
    try:
        array = np.asarray(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise DataError(f"array '{name}' cannot be read as an array: {error}") from error
    if array.dtype.kind == "O" and array.ndim == 1 and all(isinstance(each, str) for each in array):
        array = array.astype(str)  # a pandas Series of texts
    return array


def _is_torch_dataset(data: Any) -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(data, torch.utils.data.Dataset)


def _name(dataset: Any) -> str:
    return "".join(c for c in type(dataset).__name__.lower() if c.isalnum()) or "dataset"


def _materialise(dataset: Any) -> dict[str, Array]:
    """Every sample of a map-style torch data set, in its order."""
    what = type(dataset).__name__
    if not hasattr(dataset, "__len__") or not hasattr(type(dataset), "__getitem__"):
        raise DataError(f"{what}: an iterable data set has no length; give one with __len__ and __getitem__, or arrays")
    xs: list[Array] = []
    ys: list[Array] = []
    for number in range(len(dataset)):
        try:
            item = dataset[number]
        except Exception as error:  # the user's own code
            raise DataError(f"{what}: sample {number} cannot be read: {type(error).__name__}: {error}") from error
        if not isinstance(item, tuple | list) or len(item) != 2:
            raise DataError(f"{what}: sample {number} is a {type(item).__name__}; it must be a pair (x, y)")
        xs.append(_array(f"x of sample {number}", item[0]))
        ys.append(_array(f"y of sample {number}", item[1]))
        if xs[-1].shape != xs[0].shape:
            raise DataError(
                f"{what}: sample {number} has the shape {xs[-1].shape}, sample 0 {xs[0].shape}; "
                "bring them to one size, e.g. with a Resize in the transform"
            )
    if not xs:
        raise DataError(f"{what}: the data set is empty")
    arrays = {"x": np.stack(xs), "y": np.stack(ys)}
    classes = getattr(dataset, "classes", None)
    if isinstance(classes, list | tuple) and arrays["y"].dtype.kind in "iu":
        arrays["classes"] = np.array([str(name) for name in classes])
    return arrays


def _as_npz(dataset: Dataset) -> dict[str, Any]:
    """The arrays of an .npz that `load_npz` makes the same data set of."""
    # Channels last: the order in which four axes are always read.
    x = np.asarray(dataset.x).transpose(0, 2, 3, 1) if dataset.kind == "image" else np.asarray(dataset.x)
    arrays: dict[str, Any] = {"x": x, "y": dataset.y}
    train = np.ones(len(dataset), dtype=bool) if dataset.test is None else ~dataset.test
    if dataset.test is not None:
        arrays = {"x": x[train], "y": dataset.y[train], "x_test": x[~train], "y_test": dataset.y[~train]}
    if dataset.groups is not None:
        arrays["groups"] = dataset.groups[train]
    if names := dataset.classes or (dataset.task == "multilabel" and dataset.understood.targets):
        arrays["classes"] = np.array(names)
    return arrays
