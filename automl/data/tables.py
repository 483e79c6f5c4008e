"""A csv file as a `Dataset`: numbers as they are, text columns one-hot, one column the target.

Numbers are standardised later, fold by fold, where the training part is known. A column is numeric when all its values
are finite numbers, else categorical. Missing values are refused: only the user knows whether to fill or to drop.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from automl.data.atomic import write_atomic
from automl.data.dataset import Column, Dataset, Task, complete
from automl.data.keys import number_keys
from automl.data.understood import ColumnUse, Understood, answers_read
from automl.errors import DataError, did_you_mean

MAX_CATEGORIES = 1000
"""A text column with more distinct values is an identifier or free text, not a category."""

MAX_INTEGER_CLASSES = 20
"""An integer target with at most this many distinct values, each twice on average, is taken as classes."""

_MISSING = ("", "nan")
_ALSO_MISSING = ("na", "n/a", "null", "none", "?", "-", "inf", "-inf", "+inf", "infinity", "-infinity")


@dataclass(frozen=True)
class Table:
    """The text of a csv: `cells` by column, and the line of the file on which each row ends."""

    path: Path
    cells: dict[str, list[str]]
    lines: list[int]

    def place(self, column: str, row: int) -> str:
        """Where a cell stands, for messages; rows count from 1 without the header."""
        return f"{self.path}: column '{column}', row {row + 1} (line {self.lines[row]})"


def load_csv(path: Path, *, target: str | None, groups: str | None = None, task: Task | None = None) -> Dataset:
    """The csv at `path` with the column `target` to predict; the column `groups` is used for splitting only.

    `task` overrides the rule: text, booleans, and integers with few distinct values (`MAX_INTEGER_CLASSES`) are
    classes, other numbers a regression. Raises `DataError` that names the column and the row.
    """
    return table_dataset(read_csv(path), name=path.stem, target=target, groups=groups, task=task)


def table_dataset(
    table: Table, *, name: str, target: str | None, groups: str | None = None, task: Task | None = None
) -> Dataset:
    """The data set `name` that a table holds; the rest as in `load_csv`."""
    path, names = table.path, list(table.cells)
    if target is None:
        raise DataError(f"{path}: which column is to be predicted? Pass --target with one of: {', '.join(names[:20])}")
    for option, column in (("target", target), ("groups", groups)):
        if column is not None and column not in table.cells:
            raise DataError(f"{path}: there is no {option} column '{column}'{did_you_mean(column, names)}")
    if target == groups:
        raise DataError(f"{path}: column '{target}' cannot be both the target and the groups")
    features = [column for column in names if column not in (target, groups)]
    if not features:
        raise DataError(f"{path}: there is no column beside the target '{target}' to predict it from")
    for column in names:
        _refuse_missing(table, column)
    columns = tuple(part for column in features for part in _columns(table, column))
    y, classes, answers = _target(table, target, task)
    return complete(
        Dataset(
            name=name,
            kind="table",
            task="classification" if classes else "regression",
            x=encode(table, columns),
            y=y,
            classes=classes,
            groups=None if groups is None else number_keys(table.cells[groups])[1],
            columns=columns,
            understood=Understood("rows", columns=_uses(columns), target=target, answers=answers),
        )
    )


def encode(table: Table, columns: Sequence[Column]) -> NDArray[np.float32]:
    """The matrix [rows, columns] of `table`; further columns of the csv are ignored.

    A category that was not there in training gives zeros in all columns of its feature. Raises `DataError` for a
    missing column, a missing value, or text where a number is needed.
    """
    matrix = np.zeros((len(table.lines), len(columns)), dtype=np.float32)
    places: dict[str, dict[str, int]] = {}
    for place, column in enumerate(columns):
        if column.name not in table.cells:
            raise DataError(f"{table.path}: there is no column '{column.name}'{did_you_mean(column.name, table.cells)}")
        if column.category is None:
            matrix[:, place] = _numbers(table, column.name)
        else:
            places.setdefault(column.name, {})[column.category] = place
    for name, place_of in places.items():
        _refuse_missing(table, name)
        at = np.array([place_of.get(value.strip(), -1) for value in table.cells[name]], dtype=np.int64)
        known = np.flatnonzero(at >= 0)
        matrix[known, at[known]] = 1.0
    return matrix


def read_csv(path: Path) -> Table:
    """Reads a csv with a header: UTF-8, separated by commas (or semicolons or tabs, when the header has no comma).

    Raises `DataError`: unreadable, empty, no rows, an empty or duplicate name in the header, a ragged row.
    """
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            head = file.readline()
            separator = next((mark for mark in ",;\t" if mark in head), ",")
            file.seek(0)
            rows = csv.reader(file, delimiter=separator, strict=True)
            return _read_rows(path, rows)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path}: not UTF-8 text ({error.reason}, byte 0x{error.object[error.start]:02x}); save it as UTF-8"
        ) from error


def write_csv(table: Table, path: Path) -> Path:
    """Writes a table as a csv that `read_csv` reads back with the same cells; returns the path. Raises OSError."""
    text = io.StringIO(newline="")
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(table.cells)
    rows.writerows(zip(*table.cells.values(), strict=True))
    write_atomic(path, lambda file: file.write(text.getvalue().encode("utf-8")))
    return path


def _read_rows(path: Path, rows: Any) -> Table:
    try:
        header = [name.strip() for name in next(rows, [])]
        if not any(header):
            raise DataError(f"{path}: the file is empty; it needs a header and rows")
        for place, name in enumerate(header):
            if not name:
                raise DataError(f"{path}: column {place + 1} has no name in the header")
            if name in header[:place]:
                raise DataError(f"{path}: the header has column '{name}' twice; rename one")
        columns: list[list[str]] = [[] for _ in header]
        lines: list[int] = []
        for row in rows:
            if not row:  # an empty line
                continue
            if len(row) != len(header):
                raise DataError(f"{path}: line {rows.line_num} has {len(row)} values, but the header {len(header)}")
            lines.append(rows.line_num)
            for column, value in zip(columns, row, strict=True):
                column.append(value)
    except csv.Error as error:
        raise DataError(f"{path}: line {rows.line_num}: {error}") from error
    if not lines:
        raise DataError(f"{path}: there is a header but no rows")
    return Table(path, dict(zip(header, columns, strict=True)), lines)


def _number(text: str) -> float:
    """The finite number that `text` is, else NaN. Python's `1_000` is text here."""
    try:
        value = math.nan if "_" in text else float(text)
    except ValueError:
        return math.nan
    return value if math.isfinite(value) else math.nan


def _numbers(table: Table, name: str) -> NDArray[np.float64]:
    values = np.array([_number(text) for text in table.cells[name]], dtype=np.float64)
    with np.errstate(over="ignore"):
        usable = np.isfinite(values.astype(np.float32))
    if not usable.all():
        row = int(np.flatnonzero(~usable)[0])
        text = table.cells[name][row].strip()
        if text.lower() in _MISSING:
            raise _missing(table, name, row)
        problem = "is not a finite number" if math.isnan(values[row]) else "is too large for 32 bits"
        raise DataError(f"{table.place(name, row)}: {text!r} {problem}; fill or drop the row")
    return values


def _refuse_missing(table: Table, name: str) -> None:
    for row, text in enumerate(table.cells[name]):
        if text.strip().lower() in _MISSING:
            raise _missing(table, name, row)


def _missing(table: Table, name: str, row: int) -> DataError:
    return DataError(f"{table.place(name, row)}: the value is missing; fill it, or drop the row or the column")


def _is_numeric(table: Table, name: str) -> bool:
    """Whether all values are numbers. A column of numbers and marks for 'missing' is an error, not a category."""
    texts = [text for text in table.cells[name] if math.isnan(_number(text))]
    if texts and len(texts) < len(table.lines) and all(text.strip().lower() in _ALSO_MISSING for text in texts):
        _numbers(table, name)  # raises, naming the row
    return not texts


def _columns(table: Table, name: str) -> list[Column]:
    if _is_numeric(table, name):
        _numbers(table, name)
        return [Column(name, None)]
    categories = sorted({text.strip() for text in table.cells[name]})
    if len(categories) > MAX_CATEGORIES:
        raise DataError(
            f"{table.path}: column '{name}' has {len(categories)} distinct texts, more than the {MAX_CATEGORIES} "
            "allowed for a category; it looks like an identifier or free text: drop it"
        )
    return [Column(name, category) for category in categories]


def _uses(columns: Sequence[Column]) -> tuple[ColumnUse, ...]:
    """How each column of the table is used, in its order."""
    values: dict[str, int] = {}
    for column in columns:
        values[column.name] = values.get(column.name, 0) + (column.category is not None)
    return tuple(
        ColumnUse(name, "category", f"{count:,} value{'s' if count > 1 else ''}")
        if count
        else ColumnUse(name, "number")
        for name, count in values.items()
    )


def _target(table: Table, name: str, task: Task | None) -> tuple[NDArray[Any], tuple[str, ...], str]:
    """The answers, the class names (none for a regression), and how they were read."""
    texts = table.cells[name]
    numeric = _is_numeric(table, name)
    values = _numbers(table, name) if numeric or task == "regression" else None
    asked = task is not None
    if task is None and values is not None:
        distinct = np.unique(values)
        whole = bool((distinct == np.round(distinct)).all())
        few = len(distinct) <= MAX_INTEGER_CLASSES and 2 * len(distinct) <= len(values)
        task = "classification" if whole and few else "regression"
    if task == "regression" and values is not None:
        return values.astype(np.float32)[:, None], (), answers_read(values, task, asked=asked)
    if values is not None:  # '1' and '1.0' are the same class, and 10 comes after 9
        distinct, y = np.unique(values, return_inverse=True)
        read = answers_read(values, "classification", asked=asked)
        return y.astype(np.int64), tuple(f"{value:.15g}" for value in distinct), read
    classes, labels = number_keys(texts)
    return labels, classes, answers_read(np.array(classes), "classification", asked=asked)
