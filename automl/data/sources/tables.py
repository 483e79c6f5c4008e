"""A table, read from a csv or a DataFrame, as a `Dataset`: some columns the targets, the others the network's inputs.

What each column is taken for stands in `columns`. Numbers are standardised later, fold by fold, where the training part
is known.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from automl.data.conversion import Columns, merged
from automl.data.dataset import Dataset, Task, complete
from automl.data.images.file_names import refuse_file_names
from automl.data.keys import number_keys
from automl.data.sources.own_splits import own_splits, split_columns
from automl.data.sources.targets import Target, read_targets, refuse_missing, split_names
from automl.data.tables.columns import Column, Unreadable
from automl.data.tables.csv_files import Table, read_csv
from automl.data.tables.kinds import as_input, remarks, understand
from automl.data.understood import ColumnUse, Understood
from automl.errors import DataError, did_you_mean


def load_csv(path: Path, *, target: Target, groups: str | None = None, task: Task | None = None) -> Dataset:
    """The csv at `path` with the column `target` to predict; the column `groups` is used for splitting only.

    `task` overrides the rule: text, booleans, and integers with few distinct values (`targets.MAX_INTEGER_CLASSES`) are
    classes, other numbers a regression; several targets are labels where each is yes or no, else a regression. Raises
    `DataError` that names the column and the row.
    """
    return table_dataset(read_csv(path), name=path.stem, target=target, groups=groups, task=task)


def table_dataset(
    table: Table,
    *,
    name: str,
    target: Target,
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
    targets = split_names(target, names)
    if not targets:
        raise DataError(f"{path}: which column is to be predicted? Pass --target with one of: {', '.join(names[:20])}")
    for option, column in (
        *(("target", column) for column in targets),
        ("groups", groups),
        ("time", time),
        *(("categorical", column) for column in categorical),
    ):
        if column is not None and column not in names:
            raise DataError(f"{path}: there is no {option} column '{column}'{did_you_mean(column, names)}")
    if groups in targets:
        raise DataError(f"{path}: column '{groups}' cannot be both the target and the groups")
    if time is not None and (groups is not None or time in targets):
        both = "groups, which may be of several times" if groups is not None else "the target"
        raise DataError(f"{path}: --time orders the rows, and does not go with {both}")
    split, fold = split_columns(table, (*targets, groups, time, *categorical))
    if time is not None and (split or fold):
        raise DataError(
            f"{path}: --time orders the rows, and does not go with column '{split or fold}', which says how they are "
            "split; leave one of the two out"
        )
    features = [column for column in names if column not in (*targets, groups, split, fold)]
    if not features:
        raise DataError(f"{path}: there is no column beside the target {_quoted(targets)} to predict from")
    refuse_file_names(path, {column: table.texts(column) for column in features}, ", ".join(targets))
    if groups is not None:
        refuse_missing(table, groups)
    answers = read_targets(table, targets, task)
    own = own_splits(table, split, fold)
    columns = tuple(as_input(_understood(table, name, name in categorical), table[name]) for name in features)
    conversion = Columns(
        columns=columns, targets=answers.columns, groups=groups, splits=tuple(filter(None, (split, fold)))
    )
    if all(column.kind == "left out" for column in columns):
        out = ", ".join(f"{column.name} ({column.reason})" for column in columns[:20])
        raise DataError(f"{path}: there is no column to predict {_quoted(targets)} from; left out: {out}")
    x, _ = conversion.matrix(table)
    notes = [*table.notes, *own.notes, *(note for column in columns for note in remarks(column, table[column.name]))]
    notes += merged(x, [feature.name for feature in conversion.features])
    notes += [note for each in answers.columns if each.kind == "number" for note in remarks(each, table[each.name])]
    return complete(
        Dataset(
            name=name,
            kind="table",
            task=answers.task,
            x=x,
            y=answers.y,
            classes=answers.classes,
            groups=None if groups is None else number_keys(table.texts(groups))[1],
            test=own.test,
            folds=own.folds,
            times=None if time is None else _times(table, time),
            conversion=conversion,
            notes=tuple(notes),
            understood=Understood(
                "rows",
                columns=tuple(map(_use, columns)),
                targets=targets,
                answers=answers.read,
                test_from=own.test_from,
                joined=own.joined,
                folds_from=own.folds_from,
            ),
        )
    )


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


def _quoted(names: Sequence[str]) -> str:
    return ", ".join(f"'{name}'" for name in names[:20])


def _use(column: Column) -> ColumnUse:
    count = len(column.categories)
    detail = f"{count:,} values" if column.kind == "category" else column.reason
    return ColumnUse(column.name, column.kind, detail, column.missing)
