"""What the columns of a table are taken for, against pandas and against numbers written in other ways."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from automl.data.sources.tables import table_dataset
from automl.data.tables.columns import Column, Unreadable
from automl.data.tables.csv_files import read_csv, table_of, write_csv
from automl.data.tables.kinds import as_input, understand
from automl.data.tables.numbers import NumberFormat, read_numbers

FEW_NUMBERS = st.lists(st.decimals(-999_999, 999_999, places=2), min_size=30, max_size=40, unique=True)


@given(FEW_NUMBERS, st.sampled_from([",.", ".,", " .", " ,", "',", "'."]), st.sampled_from(["", " kg", "%", "\u20ac"]))
@settings(max_examples=60, deadline=None)
def test_numbers_are_read_back_from_every_way_of_writing_them(numbers: list, marks: str, unit: str) -> None:
    thousands, decimal = marks
    written = [f"{n:,.2f}".replace(",", "_").replace(".", decimal).replace("_", thousands) + unit for n in numbers]
    column = understand("x", written)
    assert column.kind == "number"
    np.testing.assert_allclose(column.values(written)[0], [float(n) for n in numbers])
    again = Column.model_validate(json.loads(column.model_dump_json()))
    np.testing.assert_array_equal(again.values(written[::-1])[0], column.values(written)[0][::-1])


@pytest.mark.parametrize(
    ("text", "form", "number"),
    [
        ("(35)", NumberFormat(), -35),
        ("\u22121,234", NumberFormat(".", ","), -1234),
        ("1e-3", NumberFormat(), 0.001),
        ("1,050", NumberFormat(), np.nan),  # 1.05 or 1050: no thousands were seen
        ("1,050.2", NumberFormat(), 1050.2),  # with both marks there is one reading
        ("1.234", NumberFormat(",", "."), 1234),
        ("20.38", NumberFormat(","), np.nan),
        ("12", NumberFormat(unit="kg"), np.nan),
        ("12", NumberFormat(unit="$"), 12),
        ("1_000", NumberFormat(), np.nan),
        ("12 34", NumberFormat(), np.nan),
    ],
)
def test_a_number_has_one_reading_or_none(text: str, form: NumberFormat, number: float) -> None:
    np.testing.assert_equal(read_numbers([text], form)[0], number)


@pytest.mark.parametrize(
    "form", ["%Y-%m-%d", "%d.%m.%Y", "%m/%d/%Y", "%d %b %Y", "%Y-%m-%d %H:%M:%S", "%d/%m/%Y %H:%M"]
)
def test_dates_are_those_of_pandas(form: str) -> None:
    dates = pd.Series(pd.date_range("2019-11-05 13:45", periods=60, freq="17D")).dt.floor("D")
    texts = dates.dt.strftime(form).tolist()
    column = understand("day", [*texts, "-"])
    assert column.kind == "date"
    matrix, _ = column.matrix([*texts, "-"])
    when = dates.dt
    assert column.parts == ("year", "month", "weekday")
    expected = [dates.astype("datetime64[s]").astype(np.int64) / 86400, when.year, when.month, when.weekday]
    np.testing.assert_allclose(matrix[:60].T, expected)
    assert np.isnan(matrix[60]).all()


@pytest.mark.parametrize(
    ("texts", "kind"),
    [
        (["True", "FALSE", "yes"] * 5, "boolean"),
        (["0", "1"] * 5, "number"),
        (["A1", "B2", "A1"] * 5, "category"),
        (["1", "2", "3", "A"] * 5, "category"),
        ([f"{n}{'abcd'[n % 4]}" for n in range(40)], "left out"),  # house numbers
        ([f"PC {n}" if n % 4 == 0 else str(100 * n) for n in range(120)], "left out"),  # tickets
        (["x"] * 9, "left out"),
        (["", "NA"] * 9, "left out"),
        (["7"] * 9, "left out"),
    ],
)
def test_other_texts_are_categories_or_left_out(texts: list[str], kind: str) -> None:
    assert understand("c", texts).kind == kind


def test_half_numbers_are_refused_with_the_row() -> None:
    for odd in (["many", "few"] * 15, [f"{n} g" for n in range(30)]):
        with pytest.raises(Unreadable, match="is no number in kg, but most values are") as caught:
            understand("x", [*(f"{n} kg" for n in range(40)), *odd])
        assert caught.value.row == 40


def test_numbers_that_are_0_or_1_are_also_truth_values_later() -> None:
    column = understand("flag", ["0", "1"] * 5)
    assert column.values(["TRUE", "no", "1"])[0].tolist() == [1, 0, 1]
    with pytest.raises(Unreadable, match="'TRUE' is not a finite number"):
        understand("count", ["0", "1", "2"] * 5).values(["TRUE", "1"])


def test_an_empty_cell_is_missing_whether_training_had_one_or_not_which_is_said() -> None:
    column = understand("x", ["1", "2", "4", "?"])
    matrix, notes = column.matrix(["", "3"])
    np.testing.assert_array_equal(matrix, [[np.nan], [3]])
    assert (column.missing, notes) == (True, [])
    matrix, notes = understand("x", ["1", "2", "4"]).matrix(["3", ""])
    np.testing.assert_array_equal(matrix, [[3], [np.nan]])
    assert list(map(str, notes)) == [
        "column 'x': 1 cell is empty, first in row 2, and none was in training: the median stands there"
    ]


def test_the_time_of_day_is_a_part_of_dates_that_have_one() -> None:
    column = understand("at", ["2026-03-01 06:30", "2026-03-01 18:00"] * 5)
    assert column.parts == ("hour",)
    assert column.matrix(["2026-03-01 06:30", "1969-12-31 23:45"])[0][:, 1].tolist() == [6.5, 23.75]


def test_numbers_are_categories_where_that_is_asked_for() -> None:
    column = understand("zip", ["8001", "8002", "", "8001"], categorical=True)
    assert (column.kind, column.categories, column.missing) == ("category", ("8001", "8002"), True)
    assert column.matrix(["8001.0", "8002"])[0].tolist() == [[1], [2]]


def test_a_category_is_a_code_from_1_and_0_stands_for_an_empty_cell_or_a_new_one() -> None:
    column = understand("town", ["York", "", "Bath", "York "])
    assert column.categories == ("Bath", "York")
    assert [feature.cardinality for feature in column.features] == [3]
    matrix, notes = column.matrix(["BATH", "York", "NA", "Ely"])
    assert matrix.tolist() == [[1], [2], [0], [0]]
    assert list(map(str, notes)) == ["column 'town': 1 of 4 values were not there in training: 'Ely' (1)"]


def test_a_data_frame_comes_back_from_its_csv_to_the_bit(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "f": rng.normal(size=9) * 1e-7,
            "i": rng.integers(0, 2**52, 9),
            "b": pd.array([True, None] * 4 + [False], dtype="boolean"),
            "d": pd.date_range("2026-03-01 00:00:00.123456", periods=9, tz="Europe/Berlin"),
            "c": pd.Categorical([1, 2, None] * 3),
            "t": ["a, b", "", "'c'"] * 3,
        }
    )
    table = table_of(frame)
    back = read_csv(write_csv(table, tmp_path / "t.csv"))
    assert back.names == table.names
    for name in table.names:
        assert list(back.texts(name)) == list(table.texts(name))
        if name != "t":
            assert back.declared[name].kind == table.declared[name].kind
            np.testing.assert_array_equal(back.declared[name].values, table.declared[name].values)


@pytest.mark.parametrize("name", ["id", "ID", "row_id", "PassengerId", "customer ID", "Unnamed: 0", "index"])
def test_a_number_of_its_own_for_every_row_in_a_column_called_so_is_an_identifier(name: str) -> None:
    frame = pd.DataFrame({name: range(1000, 1060, 2), "size": range(30), "price": [1.5 * n for n in range(30)]})
    for table in (table_of(frame), table_of(frame.astype(str))):
        dataset = table_dataset(table, name="t", target="price")
        assert [column.reason for column in dataset.columns] == ["an identifier, 30 distinct in 30 rows", ""]
    in_order = table_dataset(table_of(frame), name="t", target="price", time=name)
    assert in_order.times is not None
    assert table_dataset(table_of(frame), name="t", target=name).task == "regression"


@pytest.mark.parametrize(
    ("name", "texts"),
    [
        ("paid", [str(n) for n in range(30)]),
        ("VOID", [str(n) for n in range(30)]),
        ("id", [str(n // 2) for n in range(30)]),
        ("id", [f"{n}.5" for n in range(30)]),
        ("glycemic_index", [str(n) for n in range(30)]),
    ],
)
def test_other_numbers_are_none(name: str, texts: list[str]) -> None:
    assert as_input(understand(name, texts), texts).kind == "number"
