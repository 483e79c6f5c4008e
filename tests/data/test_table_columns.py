"""The columns of a table as people know them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from automl.data import table_columns as module
from automl.data.sources.arrays import from_arrays
from automl.data.sources.tables import table_dataset
from automl.data.table_columns import summarise_columns, table_columns
from automl.data.tables.csv_files import table_of


@pytest.fixture
def dataset():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "id": [f"row {i} of many" for i in range(100)],
            "size": [*np.arange(90.0), *[np.nan] * 10],
            "colour": ["red"] * 60 + ["blue"] * 30 + [None] * 10,
            "sold": [True, False] * 50,
            "when": pd.date_range("2024-01-01", periods=100, freq="D"),
            "price": rng.normal(size=100),
        }
    )
    return table_dataset(table_of(frame), name="made", target="price")


def test_a_date_is_one_column_of_several_features(dataset):
    columns = {column.name: column for column in table_columns(dataset)}
    assert list(columns) == ["size", "colour", "sold", "when"]
    assert len(columns["when"].places) > 2
    places = [place for column in columns.values() for place in column.places]
    assert places == list(range(dataset.x.shape[1]))


def test_each_column_is_summarised_by_what_it_was_taken_for(dataset):
    found, rows = summarise_columns(dataset, np.arange(100), 20)
    by_name = {summary.name: summary for summary in found}
    assert rows == 100
    assert by_name["size"].missing == pytest.approx(0.1)
    assert (by_name["size"].distinct, by_name["size"].quantiles) == (90, (0, 22.25, 44.5, 66.75, 89))
    assert by_name["colour"].frequent == (("red", pytest.approx(2 / 3)), ("blue", pytest.approx(1 / 3)))
    assert by_name["colour"].missing == pytest.approx(0.1)
    assert [name for name, _ in by_name["sold"].frequent] == ["false", "true"]
    first = np.datetime64("2024-01-01").astype("datetime64[s]").astype(int)
    assert by_name["when"].quantiles[0] == first
    assert found[-1].name == "id"
    assert "identifier" in found[-1].reason


def test_only_the_rows_that_are_asked_for_count(dataset):
    found, _ = summarise_columns(dataset, np.arange(10), 20)
    assert found[0].quantiles[-1] == 9


def test_columns_without_names_are_called_by_their_place_and_a_large_table_is_sampled(monkeypatch):
    monkeypatch.setattr(module, "MOST_CELLS", 6000)
    x = np.random.default_rng(0).normal(size=(3000, 3))
    found, rows = summarise_columns(from_arrays(x, x[:, 0], name="made"), np.arange(3000), 2)
    assert [summary.name for summary in found] == ["x0", "x1"]
    assert rows == 3000
    monkeypatch.setattr(module, "MOST_CELLS", 4000)
    assert summarise_columns(from_arrays(x, x[:, 0], name="made"), np.arange(3000), 2)[1] == 2000
