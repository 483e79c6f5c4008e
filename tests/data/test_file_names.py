"""A table whose only feature names files is refused, with what to do instead."""

from __future__ import annotations

import pandas as pd
import pytest

from automl.data.sources.given import take
from automl.data.sources.load import load
from automl.errors import DataError

KINDS = [("ant", "bee")[number % 2] for number in range(40)]
REMEDY = r"none of them is found below the table: name their folder with --images DIR"


def write(path, header, rows):
    path.write_text("\n".join([header, *rows]) + "\n")
    return str(path)


def test_names_with_the_endings_of_files_are_refused_with_the_remedy(tmp_path):
    file = write(tmp_path / "labels.csv", "id,label", [f"{n:04}.jpg,{kind}" for n, kind in enumerate(KINDS)])
    with pytest.raises(DataError, match=r"labels\.csv: column 'id' names files, e\.g\. '0000\.jpg'.*" + REMEDY):
        load(file, target="label")


def test_so_are_those_of_a_data_frame():
    frame = pd.DataFrame({"path": [f"a/{n}.png" for n in range(40)], "label": KINDS})
    with pytest.raises(DataError, match=r"DataFrame: column 'path' names files.*" + REMEDY):
        take(frame, target="label")


def test_beside_another_column_they_are_no_reason_to_refuse(tmp_path):
    rows = [f"{n:04}.jpg,{n % 2 + n / 100},{kind}" for n, kind in enumerate(KINDS)]
    assert len(load(write(tmp_path / "labels.csv", "id,size,label", rows), target="label")) == 40


def test_categories_that_happen_to_be_called_like_a_folder_are_none(tmp_path):
    for name in ("red", "blue"):
        (tmp_path / name).mkdir()
    rows = [f"{('red', 'blue')[n % 2]},{kind}" for n, kind in enumerate(KINDS)]
    assert len(load(write(tmp_path / "table.csv", "colour,label", rows), target="label")) == 40
