"""Arrays as a `Dataset`: from an .npz file, a plugin, or Python. Checked here, trusted everywhere else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from automl.data.conversion import Numbers, Pixels, check_finite, merged, numbers_of, pixels_of
from automl.data.dataset import Dataset, Kind, Task, complete
from automl.data.keys import normal_key, number_keys
from automl.data.understood import Understood, answers_read, extent
from automl.errors import DataError, did_you_mean
from automl.open_file import memory, open_file

Array = NDArray[Any]


def load_npz(path: Path, *, groups: str | None = None, task: Task | None = None) -> Dataset:
    """The .npz at `path` with `x` and `y`, optionally `x_test` and `y_test`, `classes`, and `groups`.

    `groups` names the array that holds a group per sample; an array called `groups` is used without being named.
    Pickled (object) arrays are refused. Raises `DataError` that names the array.
    """
    return from_mapping(read_npz(path), groups=groups, task=task, name=path.stem, source=str(path))


def from_mapping(
    arrays: Mapping[str, Array], *, groups: str | None = None, task: Task | None = None, name: str, source: str
) -> Dataset:
    """The data set that arrays with the names of an .npz make; the rest as in `load_npz` and `from_arrays`."""
    for needed in ("x", "y"):
        if needed not in arrays:
            raise DataError(f"{source}: there is no array '{needed}'{did_you_mean(needed, arrays)}")
    if groups is not None and groups not in arrays:
        raise DataError(f"{source}: there is no array '{groups}' of groups{did_you_mean(groups, arrays)}")
    if ("x_test" in arrays) != ("y_test" in arrays):
        missing = "y_test" if "x_test" in arrays else "x_test"
        raise DataError(f"{source}: there is no array '{missing}'; a test set needs both x_test and y_test")
    return from_arrays(
        arrays["x"],
        arrays["y"],
        x_test=arrays.get("x_test"),
        y_test=arrays.get("y_test"),
        groups=arrays.get(groups or "groups"),
        classes=None if "classes" not in arrays else [str(name) for name in arrays["classes"].ravel().tolist()],
        task=task,
        name=name,
        source=source,
    )


def from_arrays(
    x: ArrayLike,
    y: ArrayLike,
    *,
    x_test: ArrayLike | None = None,
    y_test: ArrayLike | None = None,
    groups: ArrayLike | None = None,
    classes: Sequence[str] | None = None,
    task: Task | None = None,
    name: str = "arrays",
    source: str | None = None,
) -> Dataset:
    """A data set from arrays in memory.

    x: images uint8 [n, h, w], [n, h, w, c] or [n, c, h, w] with 1, 3 or 4 channels (other numbers where the
    conversion is exact), or a table [n, features] of numbers. y: [n] integers, booleans or text for classification
    (with `classes`, integers index it), floats [n] or [n, outputs] for regression, integers 0 and 1 or booleans [n,
    labels] for multilabel (with `classes`, the labels' names); `task` overrides.
    x_test, y_test: a test set of its own. groups: [n] for the samples of `x`. source: what messages call the data.
    Raises `DataError` that names the array and the row.
    """
    source = source or name
    x, y = np.asarray(x), np.asarray(y)
    test: NDArray[np.bool_] | None = None
    ids = None if groups is None else _group_ids(source, np.asarray(groups), len(x))
    _check_lengths(source, "x", x, "y", y)
    if x_test is not None and y_test is not None:
        x_test, y_test = np.asarray(x_test), np.asarray(y_test)
        _check_lengths(source, "x_test", x_test, "y_test", y_test)
        _check_alike(source, "x", x, x_test)
        _check_alike(source, "y", y, y_test)
        test = np.repeat([False, True], [len(x), len(x_test)])
        x, y = np.concatenate([x, x_test]), np.concatenate([y, y_test])
        if ids is not None:  # each given test sample is a group of its own
            ids = np.concatenate([ids, ids.max() + 1 + np.arange(len(x_test))])
    elif x_test is not None or y_test is not None:
        raise DataError(f"{source}: a test set needs both x_test and y_test")
    samples, conversion = samples_of(source, x)
    kind: Kind = "table" if isinstance(conversion, Numbers) else "image"
    chosen = task or ("regression" if y.dtype.kind == "f" else "multilabel" if _are_labels(y) else "classification")
    answers: Array
    names: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    if chosen == "classification":
        answers, names = _classes(source, y, classes)
    elif chosen == "multilabel":
        answers, targets = _labels(source, y, classes)
    else:
        answers = _targets(source, y)
    notes = tuple(merged(samples)) if kind == "table" else ()
    # Nobody takes the numbers of image classes for measurements.
    read = ""
    if (kind, chosen) != ("image", "classification"):
        read = answers_read(y, chosen, asked=task is not None, names=targets)
    understood = Understood(
        samples="images" if kind == "image" else "rows",
        details=_details(samples),
        targets=targets,
        answers=read,
        test_from="x_test" if test is not None else "",
    )
    return complete(
        Dataset(name, kind, chosen, samples, answers, names, test, ids, conversion, notes, understood=understood)
    )


def _details(samples: Array) -> tuple[str, ...]:
    """What one sample is, in words."""
    if samples.ndim == 2:
        return (f"{samples.shape[1]:,} number{'s' if samples.shape[1] > 1 else ''} each",)
    channels = samples.shape[1]
    return extent(samples.shape[2:]), {1: "grey", 3: "in colour"}.get(channels, f"{channels} channels")


def read_npz(path: Path) -> dict[str, Array]:
    """Every array of the .npz at `path`. Raises `DataError`: unreadable, damaged, pickled objects."""
    try:
        with open_file(path) as file:
            stored = np.load(file, allow_pickle=False)
            if not isinstance(stored, np.lib.npyio.NpzFile):
                raise DataError(
                    f"{path}: this is a single array, not an .npz with 'x' and 'y'; save it with numpy.savez"
                )
            with stored:
                return _read_arrays(path, stored)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from error
    except DataError:
        raise
    except Exception as error:  # again, damaged bytes
        raise DataError(f"{path}: this is not an .npz file; save it with numpy.savez") from error


def _read_arrays(path: Path, stored: np.lib.npyio.NpzFile) -> dict[str, Array]:
    arrays = {}
    _check_memory(path, stored)
    for name in stored.files:
        try:
            arrays[name] = stored[name]
            if not isinstance(arrays[name], np.ndarray):  # numpy hands out a foreign member as bytes
                raise ValueError("it is not in numpy's format")
            if arrays[name].dtype.kind == "U" and not _is_text(arrays[name]):
                raise ValueError("it holds text that is no Unicode")
        except Exception as error:  # damaged bytes surface as almost anything in zip, zlib and numpy
            reason = "it holds Python objects (pickle), which is never loaded" if "pickle" in str(error) else error
            raise DataError(f"{path}: array '{name}' cannot be read: {reason}; save it as numbers or text") from error
    return arrays


def _check_memory(path: Path, stored: np.lib.npyio.NpzFile) -> None:
    """Raises `DataError` where the arrays would not fit: a few megabytes can be packed zeros of a terabyte."""
    needed = sum(member.file_size for member in stored.zip.infolist()) if stored.zip is not None else 0
    if needed > memory() / 2:
        there = f"{memory() / 2**30:.1f} GiB of memory"
        raise DataError(f"{path}: its arrays would take {needed / 2**30:.1f} GiB, and this machine has {there}")


def _is_text(array: Array) -> bool:
    """Whether every letter is one: numpy keeps any 32 bits, and Python's str does not take them."""
    if not array.size or not array.dtype.itemsize:
        return True
    letters = np.frombuffer(array.astype(array.dtype.newbyteorder("=")).tobytes(), dtype=np.uint32)
    return bool(((letters < 0xD800) | ((letters > 0xDFFF) & (letters <= 0x10FFFF))).all())


def _check_lengths(source: str, x_name: str, x: Array, y_name: str, y: Array) -> None:
    for name, array in ((x_name, x), (y_name, y)):
        if array.ndim == 0 or array.dtype.kind == "O":
            raise DataError(
                f"{source}: array '{name}' is {array.dtype} {array.shape}; it must be numbers, one row a sample"
            )
        if len(array) == 0:
            raise DataError(f"{source}: array '{name}' is empty")
    if len(x) != len(y):
        raise DataError(f"{source}: '{x_name}' has {len(x)} samples, but '{y_name}' has {len(y)}; they must match")


def _check_alike(source: str, name: str, a: Array, b: Array) -> None:
    if a.shape[1:] != b.shape[1:] or (a.dtype != b.dtype and (a.dtype.kind != b.dtype.kind or name == "x")):
        raise DataError(
            f"{source}: '{name}' is {a.dtype} with shape {a.shape[1:]} a sample, but '{name}_test' is {b.dtype} "
            f"with {b.shape[1:]}; they must match"
        )


def _group_ids(source: str, groups: Array, count: int) -> NDArray[np.int64]:
    if groups.shape != (count,) or groups.dtype.kind not in "iubUS":
        raise DataError(
            f"{source}: the groups are {groups.dtype} {groups.shape}; "
            f"they must be integers or text, one for each of the {count} samples"
        )
    if groups.dtype.kind in "US":
        return number_keys(_texts(groups))[1]
    return np.unique(groups, return_inverse=True)[1].astype(np.int64)


def _texts(array: Array) -> list[str]:
    decoded = np.char.decode(array, "utf-8", "backslashreplace") if array.dtype.kind == "S" else array
    return [str(text) for text in decoded.tolist()]


def samples_of(source: str, x: Array) -> tuple[Array, Pixels | Numbers]:
    """`x` as images uint8 [n, c, h, w] or a table [n, features], and the conversion that makes them.

    Raises `DataError` with `source` in it.
    """
    if x.dtype.kind not in "biuf" or (x.ndim not in (2, 3, 4)) or 0 in x.shape:
        raise DataError(
            f"{source}: array 'x' is {x.dtype} {x.shape}; it must be images uint8 [n, h, w] or [n, h, w, c], "
            "or a table of numbers [n, features]"
        )
    if x.ndim != 2:
        return pixels_of(source, x)
    table = numbers_of(source, "x", x, missing=True)
    return table, Numbers(missing=tuple(np.flatnonzero(np.isnan(table).any(0)).tolist()))


def _targets(source: str, y: Array) -> NDArray[np.float64]:
    if y.dtype.kind not in "biuf" or y.ndim > 2 or 0 in y.shape:
        raise DataError(f"{source}: array 'y' is {y.dtype} {y.shape}; a regression needs numbers [n] or [n, outputs]")
    return numbers_of(source, "y", y.reshape(len(y), -1)).astype(np.float64)


def _are_labels(y: Array) -> bool:
    """Whether `y` is 0 and 1 for several labels, of which some samples have none or several: else it is one-hot."""
    if y.ndim != 2 or y.shape[1] < 2 or y.dtype.kind not in "biu":
        return False
    return bool(((y == 0) | (y == 1)).all() and (y.sum(axis=1) != 1).any())


def _labels(source: str, y: Array, names: Sequence[str] | None) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Labels [n, labels] as 0 and 1, and their names where they have any."""
    if y.ndim != 2 or y.shape[1] < 2 or y.dtype.kind not in "biuf" or not ((y == 0) | (y == 1)).all():
        raise DataError(
            f"{source}: array 'y' is {y.dtype} {y.shape}; a multi-label classification needs 0 and 1 [n, labels], of "
            "two labels at least"
        )
    if names is not None and len(set(names)) != y.shape[1]:
        raise DataError(f"{source}: 'classes' has {len(set(names))} names for {y.shape[1]} labels")
    return y.astype(np.int64), tuple(names or ())


def _classes(source: str, y: Array, given: Sequence[str] | None) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Labels 0..classes-1, and the class names."""
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim != 1 or y.dtype.kind not in "biufUS":
        raise DataError(
            f"{source}: array 'y' is {y.dtype} {y.shape}; classification needs one integer or text a sample "
            "(for one-hot labels give y.argmax(axis=1), for 0 and 1 of which any number may be 1 task 'multilabel', "
            "for several numbers task 'regression')"
        )
    if y.dtype.kind == "f":
        check_finite(source, "y", y)
        if (y != np.round(y)).any():
            row = int(np.flatnonzero(y != np.round(y))[0])
            raise DataError(
                f"{source}: array 'y', row {row}: {y[row]:g} is no class; give integers, or task 'regression'"
            )
        y = y.astype(np.int64)
    if y.dtype.kind in "US":
        keys, labels = number_keys(_texts(y))
        return labels, keys
    if given is not None:
        first: dict[str, str] = {}
        for name in given:
            key = normal_key(name)
            if key in first:
                raise DataError(
                    f"{source}: the class names {first[key]!r} and {name!r} are one key, for blanks around it and the "
                    "way its letters are composed do not count; give each class a name of its own"
                )
            first[key] = name
        outside = np.flatnonzero((y < 0) | (y >= len(given)))
        if len(outside):
            row = int(outside[0])
            raise DataError(
                f"{source}: array 'y', row {row}: label {y[row]}, but there are class names for 0..{len(given) - 1}"
            )
        return y.astype(np.int64), tuple(first)
    distinct, labels = np.unique(y, return_inverse=True)
    return labels.astype(np.int64), tuple(str(value) for value in distinct.tolist())
