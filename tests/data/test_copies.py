"""Copies stay together, rows that few values make equal do not, and both are said."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier

from automl.data.copies import first_equal
from automl.data.dataset import Dataset
from automl.data.sources.arrays import from_arrays
from automl.data.sources.tables import load_csv
from automl.data.splits import make_splits


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64, np.int64])
@pytest.mark.parametrize("width", [1, 2, 3, 8, 9])
def test_the_first_equal_row_is_the_one_that_comparing_all_finds(dtype: type, width: int) -> None:
    x = np.random.default_rng(width).integers(0, 3, (200, width)).astype(dtype)
    expected = [next(j for j in range(200) if (x[j] == row).all()) for row in x]
    assert first_equal(x).tolist() == expected


def test_rows_with_equal_sums_that_differ_are_not_equal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("automl.data.copies._sums", lambda rows: np.zeros(len(rows), np.uint64))
    assert first_equal(np.array([[1], [2], [3], [2], [1], [3]])).tolist() == [0, 1, 2, 1, 0, 2]


def test_minus_zero_is_zero() -> None:
    assert first_equal(np.array([[0.0], [-0.0]])).tolist() == [0, 0]


def coins(copies: int) -> Dataset:
    """100 rows, so many times each; the labels are coin tosses, so that nothing can be learnt about new rows."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(100, 3)), rng.integers(0, 2, 100)
    order = rng.permutation(100 * copies)
    return from_arrays(np.tile(x, (copies, 1))[order], np.tile(y, copies)[order])


def test_copies_on_one_side_of_each_split_leave_nothing_to_be_learnt_of_coins() -> None:
    dataset = coins(6)
    assert dataset.copies == 500
    assert dataset.notes[0].startswith("500 of 600 rows are copies of another one in all features; copies stay in one")
    splits = make_splits(dataset, folds=5, seed=0)
    scores = []
    for fold in range(5):
        train, validation = splits.train(fold), splits.validation(fold)
        nearest = KNeighborsClassifier(1).fit(dataset.x[train], dataset.y[train])
        scores.append(nearest.score(dataset.x[validation], dataset.y[validation]))
    # 80 coins: the standard error of the mean is 0.056. With copies on both sides it would be 1.
    assert abs(np.mean(scores) - 0.5) < 3 * 0.056
    for row in range(600):
        assert len(np.unique(splits.fold[(dataset.x == dataset.x[row]).all(axis=1)])) == 1


def test_rows_that_few_values_make_equal_are_observations_of_their_own() -> None:
    rng = np.random.default_rng(0)
    x = rng.integers(0, 5, (100_000, 3))
    dataset = from_arrays(x, rng.integers(0, 2, 100_000))
    assert dataset.copies == 0
    assert dataset.notes[0].startswith("99,875 of 100,000 rows are equal to an earlier one in all features, as few or")
    splits = make_splits(dataset, folds=5, seed=0)
    assert np.bincount(splits.fold + 1).tolist() == [20_000, 16_000, 16_000, 16_000, 16_000, 16_000]


def test_a_category_counts_as_one_feature_and_not_as_many(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    colours, shops = rng.integers(0, 5, 2_000), rng.integers(0, 6, 2_000)
    rows = [f"c{a},s{b},{'xy'[t]}" for a, b, t in zip(colours, shops, rng.integers(0, 2, 2_000), strict=True)]
    (tmp_path / "t.csv").write_text("colour,shop,y\n" + "\n".join(rows) + "\n")
    assert load_csv(tmp_path / "t.csv", target="y").copies == 0


def test_rare_ones_among_zeros_make_rows_equal_by_chance() -> None:
    rng = np.random.default_rng(0)
    dataset = from_arrays((rng.random((5_000, 20)) < 0.02).astype(float), rng.integers(0, 2, 5_000))
    assert dataset.copies == 0


def test_a_few_copies_in_a_table_of_numbers_are_found() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(1_000, 4)).round(2), rng.normal(size=1_000)
    x[900:], y[930:] = x[:100], y[30:100]
    dataset = from_arrays(x, y)
    assert dataset.twins[900:].tolist() == list(range(100))
    assert dataset.notes == (
        "100 of 1,000 rows are copies of another one in all features; copies stay in one fold.",
        "30 copies have another answer than the first of their kind.",
    )


def test_equal_rows_whose_answers_differ_like_any_others_were_not_copied() -> None:
    rng = np.random.default_rng(0)
    x = np.repeat(rng.normal(size=(300, 4)), 3, axis=0)
    x, y = np.concatenate([x, x[:20]]), rng.normal(size=920)
    y[900:] = y[:20]
    dataset = from_arrays(x, y)
    assert np.flatnonzero(dataset.twins != np.arange(920)).tolist() == list(range(900, 920))
    assert dataset.notes[0].startswith(
        "600 of 920 rows are equal to an earlier one in all features, but mostly have other"
    )
    assert dataset.notes[1].startswith("20 of 920 rows are copies")
    assert from_arrays(x, rng.integers(0, 2, 920)).copies == 0


def test_one_common_row_among_copies_does_not_fill_a_fold() -> None:
    rng = np.random.default_rng(0)
    x = np.concatenate([np.zeros((300, 4)), np.repeat(rng.normal(size=(350, 4)), 2, axis=0)])
    dataset = from_arrays(x, np.concatenate([rng.integers(0, 2, 300), np.repeat(rng.integers(0, 2, 350), 2)]))
    assert dataset.copies == 350
    assert any(note.startswith("299 of 1,000 rows are equal") for note in dataset.notes)
    splits = make_splits(dataset, folds=5, seed=0)
    assert np.ptp(np.bincount(splits.fold[splits.training_part])) <= 16


def test_rows_of_a_given_test_set_that_were_trained_on_are_counted() -> None:
    x = np.random.default_rng(0).normal(size=(20, 3))
    dataset = from_arrays(x, np.arange(20) % 2, x_test=np.concatenate([x[:4], x[:4] + 1]), y_test=np.arange(8) % 2)
    assert dataset.notes[-1] == "4 rows of the given test set are also in the training set: its score flatters."
