"""What a table itself says of how its rows are split: columns called `split` (train, val, test), `fold` or `group`."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from automl.data.keys import normal_key
from automl.data.sides import Side, side_in
from automl.data.tables.csv_files import Table
from automl.data.tables.numbers import is_empty
from automl.errors import DataError

SPLIT, FOLD, GROUP = ("split", "subset", "partition"), ("fold", "folds", "kfold"), ("group", "groups")

MOST_FOLDS = 20
"""A column of more values is not taken for one's own folds by its name alone."""

AT_RANDOM = (
    "The test set is cut from all of the given folds at random; where they keep apart what belongs together, name that "
    "in a column 'group' too, or set rows apart for testing in a column 'split'."
)
"""What is said of given folds without a given test set."""


@dataclass(frozen=True)
class OwnSplits:
    """The splits that a table brings: `test` bool [n], where the rows for testing come from, and what joined those for
    training; `folds` int64 [n], see `Dataset`, and where they come from.
    """

    test: NDArray[np.bool_] | None = None
    test_from: str = ""
    joined: tuple[str, ...] = ()
    folds: NDArray[np.int64] | None = None
    folds_from: str = ""

    @property
    def notes(self) -> list[str]:
        """What is to be said of them."""
        return [AT_RANDOM] if self.folds is not None and self.test is None else []


def column_of(table: Table, names: Sequence[str], apart: Collection[str | None] = ()) -> str | None:
    """The column that is called by one of the `names`, in any case, and is not set `apart` for something else."""
    return next((name for name in table.names if name.casefold() in names and name not in apart), None)


def split_columns(table: Table, apart: Collection[str | None]) -> tuple[str | None, str | None]:
    """The columns of a table of any kind that say which rows are for testing, and in which fold each is.

    As other things are called so too, a `split` must hold sides in most of its cells, among them those for training,
    and folds must be a few, of several rows each.
    """
    split, fold = column_of(table, SPLIT, apart), column_of(table, FOLD, apart)
    if split is not None:
        sides = [side_in(text) for text in table.texts(split)]
        if "train" not in sides or 2 * sides.count(None) > len(sides):
            split = None
    if fold is not None:
        distinct = {normal_key(text) for text in table.texts(fold)}
        if not 2 <= len(distinct) <= min(MOST_FOLDS + 1, len(table.lines) / 2):  # one may be the test set's: empty
            fold = None
    return split, fold


def own_splits(table: Table, split: str | None, fold: str | None) -> OwnSplits:
    """The splits in the columns of these names. With rows for testing those for validation are trained on, without
    them these are the test set. Raises `DataError` with the row.
    """
    test, test_from, joined = _test_set(table, split)
    folds = None if fold is None else _folds(table, fold, test)
    given = test if test.any() else None
    return OwnSplits(given, test_from, joined, folds, "" if fold is None else f"column '{fold}'")


def _test_set(table: Table, name: str | None) -> tuple[NDArray[np.bool_], str, tuple[str, ...]]:
    if name is None:
        return np.zeros(len(table.lines), dtype=bool), "", ()
    sides = _sides(table, name)
    tested = "test" if "test" in sides else "val"
    joined = (f"{name} val",) if tested == "test" and "val" in sides else ()
    return np.array([side == tested for side in sides]), f"{name} {tested}" if tested in sides else "", joined


def _sides(table: Table, name: str) -> list[Side]:
    """Of each row whether it is for training, validation or testing."""
    texts = table.texts(name)
    known = {text: side_in(text) for text in dict.fromkeys(texts)}
    for row, text in enumerate(texts):
        if known[text] is None:
            raise DataError(f"{table.place(name, row)}: {text!r}; it may be train, val or test")
    return [side for text in texts if (side := known[text]) is not None]


def _folds(table: Table, name: str, in_test: NDArray[np.bool_]) -> NDArray[np.int64]:
    """int64 [n]: the folds numbered from 0 in their order, -1 in the test set."""
    texts = [normal_key(text) for text in table.texts(name)]
    training = np.flatnonzero(~in_test).tolist()
    for row in training:
        if is_empty(texts[row]):
            raise DataError(f"{table.place(name, row)}: the fold is missing; each row for training needs one")
    distinct = sorted({texts[row] for row in training}, key=lambda text: (len(text), text))  # 10 comes after 9
    if len(distinct) < 2:
        raise DataError(f"{table.path}: column '{name}' has {len(distinct)} fold; there must be two at least")
    number = {text: index for index, text in enumerate(distinct)}
    return np.array([-1 if out else number[text] for text, out in zip(texts, in_test, strict=True)], dtype=np.int64)
