"""Tables as they are saved: each kind of file, encoding and packing gives the same data."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from automl.data.dataset import Dataset
from automl.data.sources.load import load
from automl.errors import DataError

FRAME = pd.DataFrame(
    {
        "größe": [1.5, 2.25, -3.0, 4.0, 5.5, 0.25],
        "stadt": ["Köln", "Málaga", "Köln", "Zürich", "Málaga", "Zürich"],
        "y": ["ja", "nein"] * 3,
    }
)


def in_excel(path: Path) -> None:
    pytest.importorskip("openpyxl")
    with pd.ExcelWriter(path) as workbook:
        FRAME.to_excel(workbook, sheet_name="data", index=False)
        pd.DataFrame().to_excel(workbook, sheet_name="empty")


def in_feather(path: Path) -> None:
    pytest.importorskip("pyarrow")
    FRAME.to_feather(path)


def loaded(path: Path) -> Dataset:
    return load(str(path), target="y")


@pytest.fixture
def plain(tmp_path: Path) -> Dataset:
    FRAME.to_csv(tmp_path / "plain.csv", index=False)
    return loaded(tmp_path / "plain.csv")


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("t.tsv", lambda path: FRAME.to_csv(path, index=False, sep="\t")),
        ("t.csv", lambda path: FRAME.to_csv(path, index=False, sep=";", decimal=",")),
        ("t.csv", lambda path: FRAME.to_csv(path, index=False, encoding="utf-8-sig")),
        ("t.csv", lambda path: FRAME.to_csv(path, index=False, encoding="utf-16")),
        ("t.CSV", lambda path: FRAME.to_csv(path, index=False, encoding="cp1252")),
        ("t.csv.gz", lambda path: FRAME.to_csv(path, index=False)),
        ("t.tsv.bz2", lambda path: FRAME.to_csv(path, index=False, sep="\t")),
        ("t.csv.xz", lambda path: FRAME.to_csv(path, index=False, encoding="cp1252")),
        ("t.xlsx", in_excel),
        ("t.feather", in_feather),
    ],
)
def test_every_kind_of_file_gives_the_same_data(
    name: str, write: Callable[[Path], None], plain: Dataset, tmp_path: Path
) -> None:
    write(tmp_path / name)
    found = loaded(tmp_path / name)
    assert found.name == "t"
    assert [column.name for column in found.features] == [column.name for column in plain.features]
    np.testing.assert_array_equal(found.x, plain.x)
    np.testing.assert_array_equal(found.y, plain.y)


def test_an_encoding_that_was_guessed_is_said(tmp_path: Path) -> None:
    FRAME.to_csv(tmp_path / "t.csv", index=False, encoding="cp1252")
    assert any("read as Windows-1252" in note for note in loaded(tmp_path / "t.csv").notes)


@pytest.mark.parametrize("ending", ["csv.gz", "csv.bz2", "csv.xz", "xlsx", "parquet", "feather"])
@pytest.mark.parametrize("content", [b"", b"PK nothing", b"\x1f\x8b\x08\x00half of a file"])
def test_a_damaged_file_is_refused_with_its_name(ending: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / f"t.{ending}").write_bytes(content)
    with pytest.raises(DataError, match=rf"t\.{ending}: (cannot be read|the file is empty)"):
        loaded(tmp_path / f"t.{ending}")


def test_a_workbook_with_two_sheets_is_refused_with_their_names(tmp_path: Path) -> None:
    pytest.importorskip("openpyxl")
    with pd.ExcelWriter(tmp_path / "t.xlsx") as workbook:
        for sheet in ("first", "second"):
            FRAME.to_excel(workbook, sheet_name=sheet, index=False)
    with pytest.raises(DataError, match=r"2 sheets \('first', 'second'\) with rows"):
        loaded(tmp_path / "t.xlsx")
