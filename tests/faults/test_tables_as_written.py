"""Tables as people write them, through the real command: read for what they are, or refused with the row."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

if TYPE_CHECKING:
    from conftest import Answer  # at run time the name is that of whichever folder came last

QUICK = (
    *("--workers", "1", "--repeats", "1", "--trials", "2", "--folds", "2", "--epochs", "6", "--quiet"),
    *("--set", "train.lr=0.2", "--set", "train.batch_size=32", "--set", "architecture=linear"),
)
RNG = np.random.default_rng(0)
X = np.round(RNG.normal(1500, 300, 300), 2)
Z = np.round(RNG.normal(size=300), 3)
Y = np.where(X + 50 * RNG.normal(size=300) > 1500, "up", "down")

Search = Callable[..., dict[str, Any]]


def csv_of(path: Path, separator: str = ",", **columns: Any) -> Path:
    names = list(columns)
    rows = [separator.join(map(str, row)) for row in zip(*columns.values(), strict=True)]
    path.write_text("\n".join([separator.join(names), *rows, ""]))
    return path


@pytest.fixture
def searched(automl: Callable[..., Answer], tmp_path: Path) -> Search:
    """`searched(file)`: the inputs, the data and the test scores of a search, whose run is `tmp_path / "run"`."""

    def search(path: Path, target: str = "y", *options: str, out: str = "run") -> dict[str, Any]:
        wanted = () if path.suffix == ".npz" else ("--target", target)
        answer = automl("search", str(path), *wanted, *QUICK, *options, "--out", str(tmp_path / out))
        assert answer.code == 0, answer.err
        found = json.loads(automl("leaderboard", str(tmp_path / out), "--json").out)
        model = json.loads((tmp_path / out / "model" / "model.json").read_text())
        return {"inputs": model["input_shape"][0], "test": found["test"], "data": found["data"]}

    return search


def with_cell(values: Any, cell: str) -> list[str]:
    texts = [str(value) for value in values]
    texts[7] = cell
    return texts


WRITTEN = {
    "one #N/A": (",", lambda values: with_cell(values, "#N/A")),
    "one word": (",", lambda values: with_cell(values, "broken")),
    "thousands": (",", lambda values: [f'"{value:,.2f}"' for value in values]),
    "decimal comma": (";", lambda values: [f"{value:.2f}".replace(".", ",") for value in values]),
    "per cent": (",", lambda values: [f"{value} %" for value in values]),
    "dollars": (",", lambda values: [f'"${value:,.2f}"' for value in values]),
    "kilograms": (",", lambda values: [f"{value} kg" for value in values]),
}


@pytest.mark.parametrize("way", WRITTEN)
def test_number_like_texts_are_the_numbers_that_they_write(way: str, searched: Search, tmp_path: Path) -> None:
    separator, write = WRITTEN[way]
    found = searched(csv_of(tmp_path / "t.csv", separator, x=write(X), z=Z, y=Y))
    one = way.startswith("one")
    assert found["inputs"] in (2, 2 + one)  # an indicator, unless the empty cell is in the test set
    assert found["test"]["accuracy"] > 0.85
    assert [column["kind"] for column in found["data"]["columns"]] == ["number", "number"]
    notes = " ".join(found["data"]["notes"])
    assert "1 of 300 cells is empty (first in row 8" in notes if one else "Column 'x' is read as numbers" in notes


def test_number_like_dates_are_their_days_and_the_parts_that_vary(searched: Search, tmp_path: Path) -> None:
    days = (np.datetime64("2020-01-01") + np.arange(300)).astype(str)
    found = searched(csv_of(tmp_path / "t.csv", day=days, y=np.where(np.arange(300) < 150, "early", "late")))
    assert (found["inputs"], found["data"]["columns"][0]["kind"]) == (3, "date")
    assert found["test"]["accuracy"] > 0.9


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (with_cell([f"{x} kg" for x in X], "900 g"), r"column 'x', row 8 (line 9): '900 g' is not a finite number"),
        (with_cell(X, "inf"), "column 'x', row 8 (line 9): 'inf' is not a finite number"),
        ([f"0{d % 9 + 1}/0{d % 7 + 1}/2024" for d in range(300)], "day and month cannot be told apart"),
        (
            [*X[:200], *["many", "few", "none of them", "some"] * 25],
            "row 201 (line 202): 'many' is no number, but most",
        ),
    ],
    ids=["two units", "infinity", "day or month", "half texts"],
)
def test_number_like_columns_that_are_unclear_are_refused_with_the_row(
    cells: Any, message: str, automl: Callable[..., Answer], tmp_path: Path
) -> None:
    path = csv_of(tmp_path / "t.csv", x=cells, z=Z, y=Y)
    answer = automl("search", str(path), "--target", "y", *QUICK, "--out", str(tmp_path / "run"))
    assert answer.code == 2
    assert message in answer.err
    assert not (tmp_path / "run").exists()


def assert_same_scores(searched: Search, plain: Path, moved: Path) -> None:
    expected, found = searched(plain, out="plain")["test"], searched(moved, out="moved")["test"]
    assert found == pytest.approx(expected, rel=0.02)


@pytest.mark.parametrize("offset", [2_459_000.5, 1.7e12])
def test_offset_of_a_column_changes_nothing(offset: float, searched: Search, tmp_path: Path) -> None:
    day = np.round(RNG.random(300), 6) if offset < 1e9 else np.round(RNG.random(300) * 3.6e6)
    y = np.where(day > np.median(day), "late", "early")
    plain = csv_of(tmp_path / "plain.csv", t=day, z=Z, y=y)
    moved = csv_of(tmp_path / "moved.csv", t=[offset + float(d) for d in day], z=Z, y=y)
    assert_same_scores(searched, plain, moved)


def test_offset_tiny_targets_are_learnt_as_those_about_0(searched: Search, tmp_path: Path) -> None:
    y = np.round(X / 3 + 20 * RNG.normal(size=300))
    x = np.stack([X, Z], axis=1)
    scores = {}
    for name, targets in (("plain", y), ("moved", y + 1.7e9), ("tiny", y * 1e-13)):
        np.savez(tmp_path / f"{name}.npz", x=x, y=targets)
        scores[name] = searched(tmp_path / f"{name}.npz", out=name)["test"]
    assert scores["moved"] == pytest.approx(scores["plain"], rel=0.02)
    assert scores["tiny"]["r2"] == pytest.approx(scores["plain"]["r2"], rel=0.02)
    assert scores["tiny"]["rmse"] == pytest.approx(scores["plain"]["rmse"] * 1e-13, rel=0.02)


def test_tiny_units_of_a_column_change_nothing(searched: Search, tmp_path: Path) -> None:
    plain = csv_of(tmp_path / "plain.csv", x=X, z=Z, y=Y)
    assert_same_scores(searched, plain, csv_of(tmp_path / "moved.csv", x=[float(v) * 1e-16 for v in X], z=Z, y=Y))


@pytest.fixture
def of_categories(searched: Search, tmp_path: Path) -> Path:
    flag = np.arange(300) % 2 == 0
    colour = np.array(["red", "green", "blue"])[np.arange(300) % 3]
    searched(csv_of(tmp_path / "t.csv", flag=flag, colour=colour, z=Z, y=np.where(flag, "a", "b")))
    return tmp_path / "run"


def evaluate(automl: Callable[..., Answer], of_categories: Path, flag: Any, colour: Any) -> Answer:
    path = csv_of(of_categories.parent / "new.csv", flag=flag, colour=colour, z=Z[:4], y=["a", "b", "a", "b"])
    return automl("evaluate", str(of_categories), str(path), "--json")


def test_unseen_category_spellings_of_known_ones_are_these(automl: Callable[..., Answer], of_categories: Path) -> None:
    for flag in (["TRUE", "FALSE"] * 2, [1, 0] * 2, ["yes", " No"] * 2):
        found = json.loads(evaluate(automl, of_categories, flag, ["Red", " GREEN ", "blue", "red"]).out)
        assert (found["metrics"]["accuracy"], found["notes"]) == (1.0, [])


def test_unseen_category_values_are_counted_and_said(automl: Callable[..., Answer], of_categories: Path) -> None:
    flag = ["True", "False"] * 2
    found = json.loads(evaluate(automl, of_categories, flag, ["red", "pink", "pink", "grey"]).out)
    assert found["notes"] == ["column 'colour': 3 of 4 values were not there in training: 'pink' (2), 'grey' (1)"]
    answer = automl("predict", str(of_categories), str(of_categories.parent / "new.csv"))
    assert "column 'colour': 3 of 4 values" in answer.err


def test_unseen_category_values_in_a_whole_column_are_refused(
    automl: Callable[..., Answer], of_categories: Path
) -> None:
    answer = evaluate(automl, of_categories, ["True", "False"] * 2, ["rot", "blau", "rot", "gelb"])
    assert answer.code == 2
    assert "column 'colour', row 1 (line 2): not one of the 4 values was there in training: 'rot' (2)" in answer.err


def test_each_column_has_a_line_where_that_is_asked_for(automl: Callable[..., Answer], tmp_path: Path) -> None:
    numbers = {f"x{place}": with_cell(X, "") if place == 9 else X for place in range(10)}
    file = csv_of(tmp_path / "t.csv", **numbers, hue=["red", "blue", "green"] * 100, one=["same"] * 300, y=Y)
    loud = [option for option in QUICK if option != "--quiet"]
    answer = automl("search", str(file), "--target", "y", *loud, "--columns", "--out", str(tmp_path / "run"))
    lines = [line.split(maxsplit=1)[1] for line in answer.out.splitlines() if line.startswith("column ")]
    assert lines[8:] == [
        "x8: number", "x9: number, some cells empty", "hue: category, 3 values", "one: left out, one value only",
    ]  # fmt: skip
    assert "x7, ...)" in answer.out  # the line for all numbers


def test_identifier_columns_are_said_and_left_out(searched: Search, tmp_path: Path) -> None:
    order = [f"ord-{number * 7919 % 100_003:05d}" for number in range(300)]
    found = searched(csv_of(tmp_path / "t.csv", order=order, x=X, y=Y))
    assert found["inputs"] == 1
    assert found["data"]["columns"][0] == {
        "name": "order",
        "kind": "left out",
        "detail": "an identifier or free text, 300 distinct in 300 rows",
        "missing": False,
    }
    assert any("left out: order" in line for line in found["data"]["understood"])
