"""Raw data, whatever their dtype and layout, give the same predictions through every door, or are refused."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
import torch
from typer.testing import CliRunner

import automl
from automl.cli import app
from automl.errors import DataError
from automl.models.export import export
from automl.sklearn import SearchClassifier, SearchRegressor

RNG = np.random.default_rng(0)
LABELS = np.arange(48) % 3
NAMES = np.array(["low", "mid", "high"])[LABELS]
BLACK_OR_WHITE = RNG.random((48, 6, 5)) < 0.15 + 0.3 * (np.arange(6)[None, :, None] // 2 == LABELS[:, None, None])
GREY = (BLACK_OR_WHITE * 255).astype(np.uint8)
COLOUR = np.stack([GREY, 255 - GREY, RNG.integers(0, 256, GREY.shape, dtype=np.uint8)], axis=-1)

# The same pictures each, so that any model may be asked about any of them.
GREYS: dict[str, Any] = {
    "uint8": GREY,
    "int64": GREY.astype(np.int64),
    "bool": BLACK_OR_WHITE,
    "float32 in 0..1": (GREY / 255).astype(np.float32),
    "big-endian float64 in 0..255": GREY.astype(">f8"),
    "float32 in 0..255": GREY.astype(np.float32),
    "int8 in 0..1": BLACK_OR_WHITE.astype(np.int8),
    "tensor in 0..1": torch.from_numpy((GREY / 255).astype(np.float32))[:, None],
}
COLOURS: dict[str, Any] = {
    "channels last": COLOUR,
    "channels first": np.ascontiguousarray(COLOUR.transpose(0, 3, 1, 2)),
    "tensor channels first in 0..1": torch.from_numpy(COLOUR.transpose(0, 3, 1, 2) / 255),
}
ROWS = np.round(RNG.normal(size=(48, 3)) * [1, 1e3, 1e-3] + [0, 2.46e6, 0], 4) + LABELS[:, None] * [1, 1e3, 0]
NUMBERS: dict[str, Any] = {
    "float64": ROWS,
    "big-endian float64": ROWS.astype(">f8"),
    "float32": ROWS.astype(np.float32),
    "bool": ROWS[:, :2] > [1, 2.461e6],
    "tensor": torch.from_numpy(ROWS),
}
ALL = {**GREYS, **COLOURS, **{f"table of {name}": x for name, x in NUMBERS.items()}}
QUICK = {"trials": 1, "folds": 2, "epochs": 1}


class Searched(NamedTuple):
    x: Any
    run: automl.Run
    test: np.ndarray
    predicted: np.ndarray


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Searched]:
    """By name of the data, a run on them and what its model predicted on its test set."""
    out = tmp_path_factory.mktemp("runs")
    found = {}
    for number, (name, x) in enumerate(ALL.items()):
        run = automl.search(
            (x, NAMES), out=out / str(number), repeats=1, workers=1, report=False,
            overrides=["architecture=linear", "train.augmentation=none"] if x.ndim > 2 else ["architecture=linear"],
            **QUICK,
        )  # fmt: skip
        with np.load(run.path / "artifacts" / "test.npz") as file:
            found[name] = Searched(x, run, file["index"], file["predicted"])
    return found


def as_file(folder: Path, x: Any, y: Any = NAMES) -> Path:
    np.savez(folder / "data.npz", x=np.asarray(x), y=y)
    return folder / "data.npz"


def call(*arguments: object) -> str:
    result = CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=False)
    assert result.exit_code == 0
    return result.stdout


@pytest.mark.parametrize("name", ALL)
def test_same_array_predicted_by_the_model_gives_what_the_test_gave(name: str, searched: dict[str, Searched]) -> None:
    x, run, test, predicted = searched[name]
    # Sums over batches of another size differ in the last bits.
    np.testing.assert_allclose(run.model.predict_proba(x)[test], predicted, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(automl.load_model(run.path).predict_proba(x[test]), predicted)
    classes = np.array(run.model.classes)
    np.testing.assert_array_equal(run.model.predict(x[test]), classes[predicted.argmax(1)])


@pytest.mark.parametrize("name", ["uint8", "bool", "float32 in 0..1", "channels first", "table of float64"])
def test_same_array_in_a_file_gives_what_the_test_gave(
    name: str, searched: dict[str, Searched], tmp_path: Path
) -> None:
    x, run, test, predicted = searched[name]
    rows = list(csv.DictReader(io.StringIO(call("predict", run.path, as_file(tmp_path, x[test], NAMES[test])))))
    written = np.array([[float(row[f"p_{label}"]) for label in run.model.classes] for row in rows])
    np.testing.assert_allclose(written, predicted, rtol=1e-8)
    measured = json.loads(call("evaluate", run.path, as_file(tmp_path, x[test], NAMES[test]), "--json"))["metrics"]
    assert {name: measured[name] for name in run.test} == pytest.approx(dict(run.test), rel=1e-6)


@pytest.mark.parametrize("name", ["float32 in 0..1", "channels last", "table of float64"])
def test_same_array_exported_gives_what_the_test_gave(name: str, searched: dict[str, Searched], tmp_path: Path) -> None:
    x, run, test, predicted = searched[name]
    export(run.model, "torch-export", tmp_path / "m.pt2")
    raw = torch.from_numpy(np.asarray(x))
    raw = raw.double() if x.ndim == 2 else raw.float().unsqueeze(1) if x.ndim == 3 else raw.float().permute(0, 3, 1, 2)
    logits = torch.export.load(tmp_path / "m.pt2").module()(raw[test])
    np.testing.assert_allclose(logits.softmax(1).detach(), predicted, atol=1e-5)


@pytest.mark.parametrize("name", ["float32 in 0..1", "table of float64"])
def test_same_array_in_scikit_learn_gives_what_the_test_gave(name: str) -> None:
    x = ALL[name]
    fitted = SearchClassifier({"architectures": {"linear": {}}}, **QUICK).fit(x, NAMES)
    with np.load(fitted.run_.path / "artifacts" / "test.npz") as file:
        test, predicted = file["index"], file["predicted"]
    np.testing.assert_allclose(fitted.predict_proba(x)[test], predicted, rtol=1e-6)


@pytest.mark.parametrize("name", GREYS)
def test_same_array_of_another_dtype_gives_the_same_is_warned_of_or_is_refused(
    name: str, searched: dict[str, Searched]
) -> None:
    x, run, _, _ = searched[name]
    expected = run.model.predict_proba(x)
    for other in GREYS.values():
        with warnings.catch_warnings(record=True) as said, contextlib.suppress(DataError):
            warnings.simplefilter("always")
            given = run.model.predict_proba(other)
            assert said or np.allclose(given, expected, atol=1e-6)


def test_same_array_a_black_picture_is_black_in_every_range(searched: dict[str, Searched]) -> None:
    for name in GREYS:
        x, run, _, _ = searched[name]
        assert np.isfinite(run.model.predict_proba(x[:1] * 0 if "bool" not in name else x[:1] & False)).all()


FRAME = pd.DataFrame(
    {
        "x0": ROWS[:, 0],
        "bought": pd.Timestamp("2024-02-29") + pd.to_timedelta(RNG.integers(0, 9000, 48), unit="h"),
        "rooms": pd.Categorical(RNG.integers(1, 4, 48)),
        "garden": RNG.random(48) < 0.5,
        "floors": pd.array([None, *RNG.integers(1, 9, 47)], dtype="Int64"),
        "town": np.array(["York", "Bath", "Ely"])[RNG.integers(0, 3, 48)],
    }
)


@pytest.fixture(scope="module")
def of_frame(tmp_path_factory: pytest.TempPathFactory) -> automl.Run:
    out = tmp_path_factory.mktemp("frame") / "run"
    return automl.search(
        FRAME.assign(y=NAMES), target="y", out=out, repeats=1, workers=1, report=False,
        overrides=["architecture=linear"], **QUICK,
    )  # fmt: skip


def test_column_names_and_dtypes_of_a_data_frame_are_kept_in_the_model(of_frame: automl.Run) -> None:
    kinds = {column.name: (column.kind, column.missing) for column in of_frame.model.conversion.columns}
    assert kinds == {
        "x0": ("number", False),
        "bought": ("date", False),
        "rooms": ("category", False),
        "garden": ("boolean", False),
        "floors": ("number", True),
        "town": ("category", False),
    }
    rooms = next(column for column in of_frame.model.conversion.columns if column.name == "rooms")
    assert list(rooms.categories) == ["1", "2", "3"]


def test_column_names_count_and_not_their_order(of_frame: automl.Run, tmp_path: Path) -> None:
    with np.load(of_frame.path / "artifacts" / "test.npz") as file:
        test, predicted = file["index"], file["predicted"]
    turned = FRAME[FRAME.columns[::-1]]
    for frame in (FRAME, turned, turned.astype({"town": "category", "garden": object, "x0": str})):
        np.testing.assert_array_equal(of_frame.model.predict_proba(frame.iloc[test]), predicted)
    turned.assign(y=NAMES).iloc[test].to_csv(tmp_path / "turned.csv", index=False)
    measured = json.loads(call("evaluate", of_frame.path, tmp_path / "turned.csv", "--json"))
    assert measured["metrics"] == pytest.approx({**measured["metrics"], **of_frame.test})
    assert measured["notes"] == []


def test_column_names_that_are_missing_are_refused_and_new_ones_said(of_frame: automl.Run) -> None:
    with pytest.raises(DataError, match="no column 'x0'; did you mean 'x_0'"):
        of_frame.model.predict(FRAME.rename(columns={"x0": "x_0"}))
    with pytest.raises(DataError, match="finds its columns by name: give a DataFrame with 'x0', 'bought'"):
        of_frame.model.predict(ROWS)
    with pytest.warns(UserWarning, match="1 column that training had not is ignored: 'id'"):
        of_frame.model.predict(FRAME.assign(id=1))


def test_column_names_and_dtypes_survive_a_resume(of_frame: automl.Run) -> None:
    resumed = automl.resume(of_frame.path, trials=1)
    np.testing.assert_array_equal(resumed.model.predict_proba(FRAME), of_frame.model.predict_proba(FRAME))


def test_column_names_are_told_by_scikit_learn_estimators_too() -> None:
    fitted = SearchClassifier({"architectures": {"linear": {}}}, **QUICK).fit(FRAME, LABELS * 5)
    assert fitted.classes_.tolist() == [0, 5, 10]
    assert fitted.predict_proba(FRAME).shape == (48, 3)
    assert set(fitted.predict(FRAME)) <= {0, 5, 10}
    with np.load(fitted.run_.path / "artifacts" / "test.npz") as file:
        test, predicted = file["index"], file["predicted"]
    order = [fitted.run_.model.classes.index(name) for name in ("0", "5", "10")]
    np.testing.assert_allclose(fitted.predict_proba(FRAME)[test], predicted[:, order], rtol=1e-6)
    with pytest.raises(ValueError, match="feature names"):
        fitted.predict(FRAME[FRAME.columns[::-1]])
    regressor = SearchRegressor({"architectures": {"linear": {}}}, **QUICK).fit(FRAME, ROWS[:, 1])
    assert regressor.predict(FRAME).shape == (48,)
