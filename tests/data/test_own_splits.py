from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from automl.data.dataset import Dataset
from automl.data.sources.tables import table_dataset
from automl.data.splits import deal_again, make_splits
from automl.data.tables.csv_files import read_csv, table_of
from automl.errors import DataError


def table(path: Path, columns: dict[str, list[object]], **options: str) -> Dataset:
    rows = len(next(iter(columns.values())))
    frame = pd.DataFrame({"size": range(rows), "price": [1.5 * row for row in range(rows)], **columns})
    frame.to_csv(path / "t.csv", index=False)
    return table_dataset(read_csv(path / "t.csv"), name="t", target="price", **options)


def test_a_tables_own_folds_and_test_rows_are_used_as_they_are_and_are_no_inputs(tmp_path: Path) -> None:
    fold = [3, 1, 2, 3, 1, 2, 3, 1, 2, "", "", ""]
    dataset = table(tmp_path, {"Fold": fold, "split": ["Training"] * 7 + ["validation"] * 2 + ["test"] * 3})
    assert [column.name for column in dataset.columns] == ["size"]
    splits = make_splits(dataset, folds=3, seed=7)
    assert splits.fold.tolist() == [2, 0, 1, 2, 0, 1, 2, 0, 1, -1, -1, -1]
    with pytest.raises(DataError, match="3 folds of their own, not 5; leave --folds out"):
        make_splits(dataset, folds=5, seed=7)
    with pytest.raises(DataError, match="its own folds"):
        deal_again(dataset, splits, seed=1)


def test_without_rows_for_testing_those_for_validation_are_the_test_set(tmp_path: Path) -> None:
    dataset = table(tmp_path, {"subset": ["train"] * 8 + ["val"] * 4})
    assert dataset.test is not None
    assert dataset.test.tolist() == [False] * 8 + [True] * 4
    assert dataset.understood.test_from == "subset val"


def test_a_frames_folds_may_be_categories(tmp_path: Path) -> None:
    frame = pd.DataFrame({"size": range(6), "kfold": pd.Categorical(list("aabbcc")), "price": [1.5, 2, 3, 4, 5, 6.5]})
    dataset = table_dataset(table_of(frame), name="t", target="price")
    assert dataset.folds is not None
    assert dataset.folds.tolist() == [0, 0, 1, 1, 2, 2]


@pytest.mark.parametrize(
    "columns",
    [
        {"fold": [1.5 * n for n in range(12)]},  # how often paper was folded, not a part of the rows
        {"fold": [1] * 12, "colour": ["red", "blue"] * 6},
        {"split": ["yes", "no"] * 6},
        {"split": ["test", "val"] * 6},
    ],
)
def test_a_column_that_is_only_called_so_is_an_ordinary_one(tmp_path: Path, columns: dict[str, list[object]]) -> None:
    dataset = table(tmp_path, columns)
    assert dataset.folds is None
    assert dataset.test is None
    assert {*columns} <= {column.name for column in dataset.columns}


def test_the_target_or_the_groups_may_be_called_so_too(tmp_path: Path) -> None:
    dataset = table(tmp_path, {"fold": list("aabbccddeeff")}, groups="fold")
    assert dataset.folds is None
    assert dataset.groups is not None
    frame = pd.DataFrame({"size": range(12), "split": ["train", "test"] * 6})
    assert table_dataset(table_of(frame), name="t", target="split").classes == ("test", "train")


def test_a_wrong_cell_and_a_missing_fold_are_refused_with_the_row(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"column 'split', row 12 \(line 13\): 'tain'; it may be train, val or test"):
        table(tmp_path, {"split": ["train"] * 11 + ["tain"]})
    with pytest.raises(DataError, match=r"column 'fold', row 2 \(line 3\): the fold is missing"):
        table(tmp_path, {"fold": [1, "", *[1, 2] * 5]})


def test_an_order_of_time_and_own_splits_exclude_each_other(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="--time orders the rows, and does not go with column 'fold'"):
        table(tmp_path, {"fold": [1, 2] * 6, "day": list(range(12))}, time="day")
