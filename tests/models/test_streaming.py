"""A csv of any size is predicted in the memory of a part of it, and what is said of it is said of the whole."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import automl
from automl.data.tables import csv_files
from automl.errors import DataError
from automl.models.predict import predict_lines, write_predictions
from automl.models.samples import read_batches

TOWNS = np.array(["york", "bath", "ely"])


def frame(rows: int) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    x = rng.normal(size=rows).round(3)
    return pd.DataFrame({"x": x, "town": TOWNS[rng.integers(0, 3, rows)], "y": np.where(x > 0, "up", "down")})


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> automl.Model:
    folder = tmp_path_factory.mktemp("searched")
    space = {"architectures": {"linear": {}}, "training": {"batch_size": 16}}
    quick = {"folds": 2, "epochs": 1, "finalists": 1, "repeats": 1, "threads": 1, "workers": 1, "device": "cpu"}
    return automl.search(frame(90), space, target="y", out=folder / "run", trials=1, **quick).model


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_files, "PART", 40)


def lines(model: automl.Model, path: Path) -> tuple[list[str], list[str]]:
    notes: list[str] = []
    return list(predict_lines(model, path, notes=notes)), notes


def with_strangers(path: Path) -> Path:
    table = frame(130).drop(columns="y").astype(object)
    table.loc[[7, 50, 129], "town"] = ["rome", "oslo", "rome"]
    table.loc[[60, 61], "x"] = ""
    table.to_csv(path, index=False)
    return path


def test_the_answers_and_the_notes_are_those_of_the_whole_file(model, tmp_path, small_parts):
    path = with_strangers(tmp_path / "t.csv")
    table = pd.read_csv(path)
    expected = model.predict_proba(table)
    found, notes = lines(model, path)
    rows = [line.split(",") for line in found[1:]]
    assert [row[0] for row in rows] == [str(number) for number in range(130)]
    np.testing.assert_allclose([[float(value) for value in row[2:]] for row in rows], expected, rtol=1e-5)
    assert sorted(notes) == [
        "column 'town': 3 of 130 values were not there in training: 'rome' (2), 'oslo' (1)",
        "column 'x': 2 cells are empty, first in row 61, and none was in training: the median stands there",
    ]


def test_never_more_than_two_parts_are_read_ahead(model, tmp_path, small_parts, monkeypatch):
    made = []
    whole = csv_files.Table
    monkeypatch.setattr(csv_files, "Table", lambda *given, **more: made.append(len(given[2])) or whole(*given, **more))
    batches = read_batches(with_strangers(tmp_path / "t.csv"), model.description)
    assert next(batches).names[0] == "0"
    assert made == [40, 40]
    assert sum(len(batch.names) for batch in batches) == 90
    assert made == [40, 40, 40, 10]


def test_a_column_of_which_no_value_is_known_is_refused_and_no_file_is_left(model, tmp_path, small_parts):
    table = frame(100).assign(town="rome")
    table.to_csv(tmp_path / "t.csv", index=False)
    with pytest.raises(DataError, match=r"column 'town', row 1 \(line 2\): not one of the 100 values was there"):
        write_predictions(model, tmp_path / "t.csv", tmp_path / "out.csv")
    assert not (tmp_path / "out.csv").exists()


def test_a_part_of_which_no_value_is_known_is_said_and_read(model, tmp_path, small_parts):
    table = frame(81)
    table.loc[40:79, "town"] = "rome"
    table.to_csv(tmp_path / "t.csv", index=False)
    assert lines(model, tmp_path / "t.csv")[1] == [
        "column 'town': 40 of 81 values were not there in training: 'rome' (40)"
    ]


def test_a_wrong_cell_of_a_later_part_is_named_with_its_own_row_and_line(model, tmp_path, small_parts):
    table = frame(100).astype(object)
    table.loc[90, "x"] = "much"
    table.to_csv(tmp_path / "t.csv", index=False)
    with pytest.raises(DataError, match=r"column 'x', row 91 \(line 92\): 'much' is not a finite number"):
        lines(model, tmp_path / "t.csv")
