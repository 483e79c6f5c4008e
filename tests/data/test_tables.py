from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from automl.data.conversion import Columns
from automl.data.sources.tables import load_csv
from automl.data.tables.columns import MAX_CATEGORIES, Column
from automl.data.tables.csv_files import read_csv
from automl.errors import DataError

PEOPLE = "age,city,smokes,ill\n30,Rome,true,no\n41.5,Oslo,false,yes\n22,Rome,true,no\n60,Bern,false,yes\n"


def write(tmp_path: Path, text: str | bytes, name: str = "people.csv") -> Path:
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8"))
    return path


def conversion_of(tmp_path: Path) -> Columns:
    conversion = load_csv(write(tmp_path, PEOPLE), target="ill").conversion
    assert isinstance(conversion, Columns)
    return conversion


def numbers(values: list[object]) -> str:
    return "a,target\n" + "".join(f"{row},{value}\n" for row, value in enumerate(values))


def test_numbers_stay_and_texts_become_codes_in_the_order_of_the_sorted_categories(tmp_path: Path) -> None:
    dataset = load_csv(write(tmp_path, PEOPLE), target="ill")
    assert dataset.name == "people"
    assert dataset.kind == "table"
    assert dataset.columns == (
        Column(name="age", kind="number"),
        Column(name="city", kind="category", categories=("Bern", "Oslo", "Rome")),
        Column(name="smokes", kind="boolean"),
    )
    assert dataset.x.dtype == np.float32
    assert dataset.x.tolist() == [[30, 3, 1], [41.5, 2, 0], [22, 3, 1], [60, 1, 0]]
    assert dataset.classes == ("no", "yes")
    assert dataset.y.tolist() == [0, 1, 0, 1]
    assert dataset.input_shape == (3,)


def test_a_new_csv_is_encoded_with_the_columns_of_training(tmp_path: Path) -> None:
    conversion = conversion_of(tmp_path)
    new = read_csv(write(tmp_path, "smokes,extra,city,age\ntrue,x,Paris,5\nfalse,y,Oslo,6\n", "new.csv"))
    matrix, notes = conversion.matrix(new)
    assert matrix.tolist() == [[5, 0, 1], [6, 2, 0]]
    assert notes == [
        "column 'city': 1 of 2 values were not there in training: 'Paris' (1)",
        "1 column that training had not is ignored: 'extra'",
    ]


def test_a_new_csv_without_a_column_or_with_text_for_a_number_is_refused(tmp_path: Path) -> None:
    conversion = conversion_of(tmp_path)
    with pytest.raises(DataError, match=r"no column 'age'; did you mean 'ages'\?"):
        conversion.matrix(read_csv(write(tmp_path, "smokes,city,ages\ntrue,Rome,5\n")))
    with pytest.raises(DataError, match=r"column 'age', row 2 \(line 3\): 'old' is not a finite number"):
        conversion.matrix(read_csv(write(tmp_path, "smokes,city,age\ntrue,Rome,5\ntrue,Rome,old\n")))


@pytest.mark.parametrize(
    ("values", "task", "classes"),
    [
        (["no", "yes"] * 3, "classification", ("no", "yes")),
        ([10, 9, 10, 9, 2, 2], "classification", ("2", "9", "10")),
        (["1.0", "1", "2", "2.0"], "classification", ("1", "2")),
        (["True", "False"] * 2, "classification", ("False", "True")),
        ([1, 2, 3, 4, 5, 6], "regression", ()),
        ([value for value in range(21) for _ in range(2)], "regression", ()),
        ([0.5, 0.5, 1.5, 1.5], "regression", ()),
    ],
)
def test_the_target_decides_between_classes_and_numbers(
    tmp_path: Path, values: list[object], task: str, classes: tuple[str, ...]
) -> None:
    dataset = load_csv(write(tmp_path, numbers(values)), target="target")
    assert dataset.task == task
    assert dataset.classes == classes
    assert dataset.y.dtype == (np.int64 if classes else np.float64)
    assert dataset.y.shape == ((len(values),) if classes else (len(values), 1))


def test_the_task_can_be_set_by_hand(tmp_path: Path) -> None:
    path = write(tmp_path, numbers([3, 3, 5, 5]))
    assert load_csv(path, target="target", task="regression").y.tolist() == [[3], [3], [5], [5]]
    assert load_csv(write(tmp_path, numbers([0.5, 0.5, 1.5])), target="target", task="classification").classes == (
        "0.5",
        "1.5",
    )
    with pytest.raises(DataError, match=r"column 'target', row 2 \(line 3\): 'x' is not a finite number"):
        load_csv(write(tmp_path, numbers([1, "x", 3])), target="target", task="regression")


@pytest.mark.parametrize(
    ("values", "task", "words"),
    [
        ([1, 2, 3] * 4, None, "3 whole numbers from 1 to 3, taken as classes (--task regression predicts them as num"),
        ([1, 2, 3] * 4, "classification", "3 whole numbers from 1 to 3, taken as classes"),
        (range(26), None, "26 whole numbers from 0 to 25, predicted as numbers (--task classification makes a class"),
        ([0.5, 1.25, 2] * 4, None, "numbers from 0.5 to 2, predicted as numbers"),
        ([0, 1] * 4, None, "2 whole numbers from 0 to 1, taken as classes"),
        (["b", "a "] * 4, None, "texts, taken as classes"),
    ],
)
def test_it_is_said_how_the_target_was_read_and_how_to_say_otherwise(
    tmp_path: Path, values: list[object], task: str | None, words: str
) -> None:
    understood = load_csv(write(tmp_path, numbers(values)), target="target", task=task).understood  # type: ignore[arg-type]
    assert understood.targets == ("target",)
    assert understood.answers.startswith(words)
    assert ("--task" in understood.answers) == ("--task" in words)


def test_the_group_column_is_no_feature(tmp_path: Path) -> None:
    dataset = load_csv(write(tmp_path, PEOPLE), target="ill", groups="city")
    assert {column.name for column in dataset.columns} == {"age", "smokes"}
    assert dataset.groups is not None
    assert dataset.groups.tolist() == [2, 1, 2, 0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file is empty"),
        ("\n", "the file is empty"),
        ("a,ill\n", "a header but no rows"),
        ("a,a,ill\n1,2,x\n", "column 'a' twice"),
        ("a,,ill\n1,2,x\n", "column 2 has no name"),
        ("a,ill\n1,x\n2\n", "line 3 has 1 values, but the header 2"),
        ("a,ill\n1,x\n2,y,z\n", "line 3 has 3 values"),
        ('a,ill\n1,"x\n', "line 2: unexpected end of data"),
        ("a,ill\n1,x\ninf,y\n", r"column 'a', row 2 \(line 3\): 'inf' is not a finite number"),
        ("a,ill\n1,x\n1e300,y\n", r"column 'a', row 2 \(line 3\): '1e300' is too large"),
        ("a,ill\n1,x\n2,\n", r"column 'ill', row 2 \(line 3\): the value is missing"),
        ("a,sick\n1,x\n2,y\n", r"there is no target column 'ill'; known: a, sick"),
        ("a,il\n1,x\n2,y\n", r"there is no target column 'ill'; did you mean 'il'\?"),
        ("ill\nx\ny\n", "no column beside the target"),
        ("a,ill\n1,x\n2,x\n", "at least two classes, found 1, 'x'"),
        ("a,ill\n1,2.5\n2,2.5\n", "is 2.5 in every sample"),
        (b"a,ill\n1,caf\xe9\x81\n", "not UTF-8"),
    ],
)
def test_a_bad_csv_is_refused_with_the_culprit(tmp_path: Path, text: str | bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        load_csv(write(tmp_path, text), target="ill")


def test_without_a_target_the_columns_are_listed(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="--target with one of: age, city, smokes, ill"):
        load_csv(write(tmp_path, PEOPLE), target=None)


def test_an_unknown_group_column_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no groups column 'town'"):
        load_csv(write(tmp_path, PEOPLE), target="ill", groups="town")


def test_an_identifier_is_no_category(tmp_path: Path) -> None:
    rows = "".join(f"user{row},{row % 2}\n" for row in range(MAX_CATEGORIES + 1))
    with pytest.raises(DataError, match=r"no column to predict 'target' from; left out: who \(an identifier"):
        load_csv(write(tmp_path, "who,target\n" + rows), target="target")


def test_line_numbers_count_lines_inside_quoted_values(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"row 2 \(line 4\)"):
        load_csv(write(tmp_path, 'a,b,ill\n1,"two\nlines",x\n2,z,\n'), target="ill")


def test_semicolons_tabs_bars_and_a_byte_order_mark_are_understood(tmp_path: Path) -> None:
    for text in ("\ufeffa;ill\n1;x\n2;y\n", "\ufeffa\till\n1\tx\n2\ty\n", "a|ill\n1|x\n2|y\n"):
        assert load_csv(write(tmp_path, text), target="ill").x.tolist() == [[1], [2]]


def test_the_index_that_pandas_writes_and_an_empty_last_column_are_no_inputs(tmp_path: Path) -> None:
    frame = pd.DataFrame({"size": [n % 7 for n in range(30)], "ill": list("xyy") * 10, " ": None})
    frame.to_csv(tmp_path / "t.csv")
    dataset = load_csv(tmp_path / "t.csv", target="ill")
    assert {column.name: column.reason for column in dataset.columns} == {
        "Unnamed: 0": "an identifier, 30 distinct in 30 rows",
        "size": "",
        "Unnamed: 3": "empty",
    }


@pytest.mark.parametrize("name", ["a, in kg, net", "two\nlines", "a;b"])
def test_a_quoted_name_may_hold_separators_and_line_breaks(tmp_path: Path, name: str) -> None:
    dataset = load_csv(write(tmp_path, f'"{name}";ill\n1;x\n2;y\n'), target="ill")
    assert [column.name for column in dataset.columns] == [name]
