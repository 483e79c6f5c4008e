from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.model_selection import TimeSeriesSplit

from automl.data.sources.tables import table_dataset
from automl.data.splits import load_splits, make_splits, save_splits
from automl.data.tables.csv_files import read_csv
from automl.data.time_order import forward_folds
from automl.errors import DataError


def weather(folder: Path, rows: int = 60) -> Path:
    order = np.random.default_rng(0).permutation(rows)
    days = (np.datetime64("2024-01-01") + order).astype(str)
    lines = [f"{day},{number % 7},{number * 1.5}" for day, number in zip(days, order, strict=True)]
    (folder / "w.csv").write_text("day,wind,rain\n" + "\n".join(lines) + "\n")
    return folder / "w.csv"


def test_every_fold_is_trained_on_what_came_before_it_and_the_latest_rows_are_the_test_set(tmp_path: Path) -> None:
    dataset = table_dataset(read_csv(weather(tmp_path)), name="w", target="rain", time="day")
    splits = make_splits(dataset, folds=4, test_fraction=0.2, seed=0)
    times = dataset.times
    assert times is not None
    assert splits.folds == 4
    assert len(splits.test) == 12
    assert times[splits.test].min() > times[splits.training_part].max()
    for fold in range(4):
        assert times[splits.train(fold)].max() < times[splits.validation(fold)].min()
    save_splits(splits, tmp_path / "s.npz")
    assert np.array_equal(load_splits(tmp_path / "s.npz").train(2), splits.train(2))


def test_the_folds_are_those_of_scikit_learns_time_series_split() -> None:
    fold = forward_folds("x", np.arange(50.0), 4, 0.0)
    for number, (train, validation) in enumerate(TimeSeriesSplit(4).split(np.arange(50))):
        assert np.array_equal(np.flatnonzero(fold == number), validation)
        assert train.max() < validation.min()


def test_rows_of_one_time_stay_together_and_too_few_times_are_refused() -> None:
    fold = forward_folds("x", np.repeat(np.arange(10.0), 5), 3, 0.2)
    assert all(len(np.unique(part)) == 1 for part in fold.reshape(10, 5))
    with pytest.raises(DataError, match="3 different times are too few, or too uneven, for 3 folds"):
        forward_folds("x", np.repeat(np.arange(3.0), 5), 3, 0.2)


def test_a_time_that_is_none_or_is_missing_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("town,when,y\n" + "".join(f"{'ab'[n % 2]},{n or ''},{n * 1.5}\n" for n in range(30)))
    with pytest.raises(DataError, match="--time town must be a column of dates or numbers, and is a category"):
        table_dataset(read_csv(path), name="t", target="y", time="town")
    with pytest.raises(DataError, match=r"column 'when', row 1 \(line 2\): the value is missing"):
        table_dataset(read_csv(path), name="t", target="y", time="when")
