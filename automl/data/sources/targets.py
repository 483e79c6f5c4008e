"""The columns of a table that are predicted: which they are, and their cells as answers."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from automl.data.dataset import Task
from automl.data.keys import number_keys
from automl.data.tables.columns import Column, Declared, Unreadable
from automl.data.tables.csv_files import Table
from automl.data.tables.kinds import FEW, understand
from automl.data.tables.labels import as_label, read_labels, refuse_mixed, varies
from automl.data.tables.numbers import plain_number
from automl.data.tables.texts import Texts
from automl.data.understood import answers_read
from automl.errors import DataError

MAX_INTEGER_CLASSES = 20
"""An integer target with at most this many distinct values, each twice on average, is taken as classes."""

Target = str | Sequence[str] | None
"""What a user names: a column, or several, each by itself or with commas between; None or nothing: no column."""


class Answers(NamedTuple):
    """The targets' columns, the task, the answers and classes as in `Dataset`, and how they were read."""

    columns: tuple[Column, ...]
    task: Task
    y: NDArray[Any]
    classes: tuple[str, ...]
    read: str


def split_names(target: Target, columns: Sequence[str]) -> tuple[str, ...]:
    """The names that `target` holds, of a table with these columns; names of none of them are among these.

    A column whose own name has a comma goes before several columns.

    >>> split_names("a,b", ["a", "b"]), split_names("a,b", ["a,b", "c"])
    (('a', 'b'), ('a,b',))
    """
    given = () if target is None else (target,) if isinstance(target, str) else target
    names: list[str] = []
    for name in given:
        names += [name] if name in columns else [part.strip() for part in name.split(",")]
    return tuple(names)


def read_targets(table: Table, names: Sequence[str], task: Task | None) -> Answers:
    """The answers in these columns. One is classes or numbers, by the rule of `load_csv`; several are labels where each
    is yes or no, else numbers.

    Raises `DataError` that names the column, and the row of a cell that is none.
    """
    for name, count in Counter(names).items():
        if count > 1:
            raise DataError(f"{table.path}: column '{name}' is named {count} times as a target; name it once")
    if len(names) == 1:
        return _read_one(table, names[0], task)
    if task == "classification":
        raise DataError(
            f"{table.path}: a classification has one target, not {len(names)} ({', '.join(names[:20])}); predict each "
            f"in a search of its own: --target {names[0]}; where each is yes or no leave --task out"
        )
    if task != "regression" and (labels := _labels(table, names, task)):
        held = answers_of(table, labels).astype(np.int64)
        asked = task is not None or any(label.categories != ("0", "1") for label in labels)
        return Answers(labels, "multilabel", held, (), answers_read(held, "multilabel", asked=asked, names=names))
    columns = tuple(_one_of_several(table, name, task) for name in names)
    y = answers_of(table, columns)
    if task is None:
        for column, values in zip(columns, y.T, strict=True):
            _refuse_two_values(table, column.name, np.unique(values))
    return Answers(columns, "regression", y, (), answers_read(y, "regression", asked=task is not None, names=names))


def answers_of(table: Table, columns: Sequence[Column]) -> NDArray[np.float64]:
    """The numbers [n, targets] of a regression, or labels as 0 and 1, read as in training. Raises `DataError` with the
    row.
    """
    y = []
    for column in columns:
        try:
            values, _ = column.values(table[column.name])
        except Unreadable as error:
            raise DataError(f"{table.place(column.name, error.row)}: {error.problem}; fill or drop the row") from None
        refuse_missing(table, column.name, among_numbers=True)
        y.append(values)
    return np.column_stack(y)


def refuse_missing(table: Table, name: str, among_numbers: bool = False) -> None:
    """Raises `DataError` with the row of the first cell of a column that is empty."""
    texts = table.texts(name)
    rows = texts.rows_of(texts.empty(among_numbers)).tolist()
    if rows:
        others = f" (and in {len(rows) - 1} other rows)" if len(rows) > 1 else ""
        raise DataError(f"{table.place(name, rows[0])}: the value is missing{others}; fill it, or drop the row")


def _labels(table: Table, names: Sequence[str], task: Task | None) -> tuple[Column, ...]:
    """The columns as labels; none where the targets are numbers. Raises `DataError` where they are both."""
    for name in names:
        refuse_missing(table, name)
    if task == "multilabel":
        return read_labels(table, names)
    found = {name: as_label(table, name) for name in names}
    labels = tuple(label for label in found.values() if label is not None)
    if len(labels) == len(names):
        return labels
    if sure := [label for label in labels if varies(label, table)]:
        refuse_mixed(table, sure, [name for name in names if found[name] is None])
    return ()


def _read_one(table: Table, name: str, task: Task | None) -> Answers:
    if task == "multilabel":
        raise DataError(
            f"{table.path}: a multi-label classification has several targets, each yes or no, and '{name}' is one; "
            "leave --task out, or name the others"
        )
    refuse_missing(table, name)
    column, asked = _number_column(table, name, task), task is not None
    if column is None:
        classes, labels = number_keys(table.texts(name))
        read = answers_read(np.array(classes), "classification", asked=asked)
        column = Column(name=name, kind="category", categories=classes)
        return Answers((column,), "classification", labels, classes, read)
    values = answers_of(table, [column])[:, 0]
    distinct, labels = np.unique(values, return_inverse=True)
    whole = bool((distinct == np.round(distinct)).all())
    few = len(distinct) <= MAX_INTEGER_CLASSES and 2 * len(distinct) <= len(values)
    chosen = task or ("classification" if whole and few else "regression")
    read = answers_read(values, chosen, asked=asked)
    if chosen == "regression":
        return Answers((column,), "regression", values[:, None], (), read)
    classes = tuple(f"{value:.15g}" for value in distinct)  # '1' and '1.0' are the same class, and 10 comes after 9
    column = Column(name=name, kind="category", categories=classes)
    return Answers((column,), "classification", labels.astype(np.int64), classes, read)


def _one_of_several(table: Table, name: str, task: Task | None) -> Column:
    """How the numbers of one of several targets are read. Raises `DataError` for a column of anything else."""
    refuse_missing(table, name)
    column = _number_column(table, name, task)
    if column is None:
        texts = table.texts(name)
        row = next((row for row, text in enumerate(texts) if np.isnan(plain_number(text))), 0)
        raise DataError(
            f"{table.place(name, row)}: {texts[row]!r} is not read as a number, and of several targets each must be "
            f"one, or each yes or no; predict this column in a search of its own: --target {name}"
        )
    return column


def _refuse_two_values(table: Table, name: str, distinct: NDArray[np.float64]) -> None:
    """Raises `DataError` for what is rather yes or no than a number."""
    if len(distinct) == 2 and (distinct == np.round(distinct)).all():
        raise DataError(
            f"{table.path}: target '{name}' is always {distinct[0]:g} or {distinct[1]:g}, as yes and no are, and "
            f"several targets are predicted as numbers; predict classes in a search of their own, --target {name}, "
            "write 0 and 1 where every target is yes or no, or say that these are numbers: --task regression"
        )


def _number_column(table: Table, name: str, task: Task | None) -> Column | None:
    """How the target's numbers are read; None where it has classes that are no numbers."""
    cells = table[name]
    if isinstance(cells, Declared):
        if cells.kind == "number" or task == "regression":
            return Column(name=name, kind="number" if cells.kind in ("number", "category") else cells.kind)
        return None
    if task != "regression" and any(re.fullmatch(r"\s*0[0-9]+\s*", text) for text in cells.distinct):
        return None  # 001 is no number
    try:
        column = understand(name, cells, table.decimal_comma)
    except Unreadable as error:
        if task == "classification":
            return None
        raise DataError(f"{table.place(name, error.row)}: {error.problem}") from None
    if column.kind == "number":
        if column.missing and len(cells.distinct) <= FEW and task != "regression":
            return None  # a handful of classes, one of which is no number
        return column.model_copy(update={"missing": False, "binary": False})
    return Column(name=name, kind="number") if task == "regression" else _constant_number(name, cells)


def _constant_number(name: str, cells: Texts) -> Column | None:
    """Of a target that never varies: a number, if it is one, so that the message can say so."""
    column = Column(name=name, kind="number")
    return column if len(cells.distinct) == 1 and not np.isnan(column.parse(cells)).any() else None
