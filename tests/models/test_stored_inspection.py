"""What a run keeps of its columns, written and read."""

from __future__ import annotations

import json

import pytest

from automl.data.drift import Drift
from automl.data.table_columns import ColumnSummary
from automl.models.inspection import (
    Bin,
    Calibration,
    Dependence,
    Importance,
    Inspection,
    load_inspection,
    save_inspection,
)
from automl.run.folder import RunFolder

WHOLE = Inspection(
    trial=3,
    metric="rmse",
    folds=2,
    importances=(Importance(name="a", mean=1.0, ends=(0.5, 1.5), by_fold=(0.9, 1.1)),),
    dependences=(
        Dependence(name="a", kind="number", values=(1.0, 2.0), outputs=("y",), means=(((1.0, 2.0), (3.0, 4.0)),)),
    ),
    calibration=Calibration(of="yes", bins=(Bin(count=3, predicted=0.5, observed=1.0, low=0.4, high=1.0),), error=0.5),
    summaries=(ColumnSummary(name="a", kind="number", distinct=3, quantiles=(0, 1, 2, 3, 4)),),
    drift=(Drift(name="a", measure="Kolmogorov-Smirnov", statistic=0.5, p=0.01),),
)


@pytest.fixture
def folder(tmp_path):
    folder = RunFolder(tmp_path)
    folder.artifacts.mkdir()
    return folder


def test_what_was_written_is_read(folder):
    assert load_inspection(folder) is None
    save_inspection(folder, WHOLE)
    assert load_inspection(folder) == WHOLE


def test_numbers_that_are_none_are_not_written():
    with pytest.raises(ValueError, match="finite"):
        Importance(name="a", mean=float("nan"), ends=None, by_fold=())


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("importances", 0, "mean"), 1e300),
        (("importances", 0, "name"), "x" * 1000),
        (("importances",), [{"name": "a", "mean": 0, "ends": None, "by_fold": []}] * 1000),
        (("dependences", 0, "means"), [[[1.0, 2.0], [3.0]]]),
        (("dependences", 0, "means"), []),
        (("dependences", 0, "means"), [[]]),
        (("dependences", 0, "names"), ["one"]),
        (("dependences", 0, "values"), []),
        (("residuals",), {"target": "y", "truth": [1.0], "predicted": []}),
        (("calibration", "bins", 0, "observed"), 7),
        (("calibration", "bins"), []),
        (("summaries", 0, "kind"), "<script>"),
        (("drift", 0, "p"), None),
    ],
)
def test_what_does_not_fit_is_as_good_as_nothing(place, value, folder):
    tree = json.loads(WHOLE.model_dump_json())
    inner = tree
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    folder.inspection.write_text(json.dumps(tree))
    assert load_inspection(folder) is None


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"\xff", b"[" * 100_000, b'{"trial": NaN}', b'{"trial": 1, "a": "\\ud800"}']
)
def test_what_is_damaged_is_as_good_as_nothing(content, folder):
    folder.inspection.write_bytes(content)
    assert load_inspection(folder) is None


def test_a_link_is_not_followed(folder, tmp_path):
    save_inspection(folder, WHOLE)
    moved = folder.inspection.rename(tmp_path / "elsewhere.json")
    folder.inspection.symlink_to(moved)
    assert load_inspection(folder) is None
