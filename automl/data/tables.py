"""A table, read from a csv or a DataFrame, as a `Dataset`: one column the target, the others the network's inputs.

What each column is taken for stands in `columns`. Numbers are standardised later, fold by fold, where the training part
is known.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from automl.data.column_kinds import FEW, remarks, understand
from automl.data.columns import Column, Declared, Unreadable
from automl.data.conversion import Columns, merged
from automl.data.csv_files import Table, read_csv
from automl.data.dataset import Dataset, Task, complete
from automl.data.file_names import refuse_file_names
from automl.data.keys import number_keys
from automl.data.own_splits import own_splits, split_columns
from automl.data.texts import Texts
from automl.data.understood import ColumnUse, Understood, answers_read
from automl.errors import DataError, did_you_mean

MAX_INTEGER_CLASSES = 20
"""An integer target with at most this many distinct values, each twice on average, is taken as classes."""


def load_csv(path: Path, *, target: str | None, groups: str | None = None, task: Task | None = None) -> Dataset:
    """The csv at `path` with the column `target` to predict; the column `groups` is used for splitting only.

    `task` overrides the rule: text, booleans, and integers with few distinct values (`MAX_INTEGER_CLASSES`) are
    classes, other numbers a regression. Raises `DataError` that names the column and the row.
    """
    return table_dataset(read_csv(path), name=path.stem, target=target, groups=groups, task=task)


def table_dataset(
    table: Table,
    *,
    name: str,
    target: str | None,
    groups: str | None = None,
    task: Task | None = None,
    categorical: Sequence[str] = (),
    time: str | None = None,
) -> Dataset:
    """The data set `name` that a table holds; `categorical` are columns that are categories although their cells are
    numbers, `time` is one of dates or numbers whose order decides the splits. Columns called `split` and `fold` say how
    the rows are split, see `own_splits`. The rest as in `load_csv`.
    """
    path, names = table.path, table.names
    if target is None:
        raise DataError(f"{path}: which column is to be predicted? Pass --target with one of: {', '.join(names[:20])}")
    for option, column in (
        ("target", target),
        ("groups", groups),
        ("time", time),
        *(("categorical", column) for column in categorical),
    ):
        if column is not None and column not in names:
            raise DataError(f"{path}: there is no {option} column '{column}'{did_you_mean(column, names)}")
    if target == groups:
        raise DataError(f"{path}: column '{target}' cannot be both the target and the groups")
    if time is not None and (groups is not None or time == target):
        both = "groups, which may be of several times" if groups is not None else "the target"
        raise DataError(f"{path}: --time orders the rows, and does not go with {both}")
    split, fold = split_columns(table, (target, groups, time, *categorical))
    if time is not None and (split or fold):
        raise DataError(
            f"{path}: --time orders the rows, and does not go with column '{split or fold}', which says how they are "
            "split; leave one of the two out"
        )
    features = [column for column in names if column not in (target, groups, split, fold)]
    if not features:
        raise DataError(f"{path}: there is no column beside the target '{target}' to predict it from")
    refuse_file_names(path, {column: table.texts(column) for column in features}, target)
    if groups is not None:
        refuse_missing(table, groups)
    answer, y, classes, answers = read_target(table, target, task)
    own = own_splits(table, split, fold)
    columns = tuple(_understood(table, column, column in categorical) for column in features)
    conversion = Columns(columns=columns, target=answer, groups=groups, splits=tuple(filter(None, (split, fold))))
    if all(column.kind == "left out" for column in columns):
        out = ", ".join(f"{column.name} ({column.reason})" for column in columns[:20])
        raise DataError(f"{path}: there is no column to predict '{target}' from; left out: {out}")
    x, _ = conversion.matrix(table)
    notes = [*table.notes, *own.notes, *(note for column in columns for note in remarks(column, table[column.name]))]
    notes += merged(x, [feature.name for feature in conversion.features])
    notes += remarks(answer, table[target]) if answer.kind == "number" else []
    return complete(
        Dataset(
            name=name,
            kind="table",
            task="classification" if classes else "regression",
            x=x,
            y=y,
            classes=classes,
            groups=None if groups is None else number_keys(table.texts(groups))[1],
            test=own.test,
            folds=own.folds,
            times=None if time is None else _times(table, time),
            conversion=conversion,
            notes=tuple(notes),
            understood=Understood(
                "rows",
                columns=tuple(map(_use, columns)),
                target=target,
                answers=answers,
                test_from=own.test_from,
                joined=own.joined,
                folds_from=own.folds_from,
            ),
        )
    )


def answers_of(table: Table, column: Column) -> NDArray[np.float64]:
    """The numbers [n, 1] of a regression's target, read as in training. Raises `DataError` with the row."""
    try:
        values, _ = column.values(table[column.name])
    except Unreadable as error:
        raise DataError(f"{table.place(column.name, error.row)}: {error.problem}") from None
    refuse_missing(table, column.name, among_numbers=True)
    return values[:, None]


def _times(table: Table, name: str) -> NDArray[np.float64]:
    """The column as numbers [n] that rise with time. Raises `DataError` with the row of one that is missing."""
    column = _understood(table, name, False)
    if column.kind not in ("date", "number"):
        why = column.reason or f"a {column.kind}"
        raise DataError(f"{table.path}: --time {name} must be a column of dates or numbers, and is {why}")
    refuse_missing(table, name, among_numbers=True)
    return column.values(table[name])[0]


def _understood(table: Table, name: str, categorical: bool) -> Column:
    try:
        return understand(name, table[name], table.decimal_comma, categorical)
    except Unreadable as error:
        raise DataError(f"{table.place(name, error.row)}: {error.problem}") from None


def refuse_missing(table: Table, name: str, among_numbers: bool = False) -> None:
    """Raises `DataError` with the row of the first cell of a column that is empty."""
    texts = table.texts(name)
    rows = texts.rows_of(texts.empty(among_numbers)).tolist()
    if rows:
        others = f" (and in {len(rows) - 1} other rows)" if len(rows) > 1 else ""
        raise DataError(f"{table.place(name, rows[0])}: the value is missing{others}; fill it, or drop the row")


def _use(column: Column) -> ColumnUse:
    count = len(column.categories)
    detail = f"{count:,} values" if column.kind == "category" else column.reason
    return ColumnUse(column.name, column.kind, detail)


Answers = tuple[Column, NDArray[Any], tuple[str, ...], str]
"""The target's column, the answers, the class names (none for a regression), and how they were read."""


def read_target(table: Table, name: str, task: Task | None) -> Answers:
    """The answers in the column `name`, by the rule of `load_csv`. Raises `DataError` with the row."""
    refuse_missing(table, name)
    column, asked = _number_column(table, name, task), task is not None
    if column is None:
        classes, labels = number_keys(table.texts(name))
        read = answers_read(np.array(classes), "classification", asked=asked)
        return Column(name=name, kind="category", categories=classes), labels, classes, read
    refuse_missing(table, name, among_numbers=True)
    try:
        values, _ = column.values(table[name])
    except Unreadable as error:
        raise DataError(f"{table.place(name, error.row)}: {error.problem}; fill or drop the row") from None
    distinct, y = np.unique(values, return_inverse=True)
    whole = bool((distinct == np.round(distinct)).all())
    few = len(distinct) <= MAX_INTEGER_CLASSES and 2 * len(distinct) <= len(values)
    chosen = task or ("classification" if whole and few else "regression")
    read = answers_read(values, chosen, asked=asked)
    if chosen == "regression":
        return column, values[:, None], (), read
    classes = tuple(f"{value:.15g}" for value in distinct)  # '1' and '1.0' are the same class, and 10 comes after 9
    return Column(name=name, kind="category", categories=classes), y.astype(np.int64), classes, read


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
