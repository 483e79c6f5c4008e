"""Data from Python become the same data set as those of a file, and are kept so that they come back the same."""

from __future__ import annotations

import sys
import types

import numpy as np
import pytest
import torch
from torch.utils.data import Dataset, IterableDataset, TensorDataset

from automl.data.sources import given
from automl.data.sources.given import take
from automl.data.sources.load import load
from automl.errors import DataError

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (12, 6, 5, 3)).astype(np.uint8)
TABLE = RNG.normal(size=(12, 4)).astype(np.float32)
LABELS = np.arange(12) % 3


class Pictures(Dataset):
    """As torchvision's: PIL images, integer labels, class names."""

    classes = ("ant", "bee", "cow")

    def __len__(self):
        return len(LABELS)

    def __getitem__(self, number):
        if number >= len(LABELS):
            raise IndexError
        from PIL import Image

        return Image.fromarray(IMAGES[number]), int(LABELS[number])


class Uneven(Pictures):
    def __getitem__(self, number):
        return np.zeros((4 + (number == 7), 4)), 0


class Broken(Pictures):
    def __getitem__(self, number):
        raise OSError("the disk is gone")


class Endless(IterableDataset):
    def __iter__(self):
        return iter([])


@pytest.mark.parametrize(
    "data",
    [
        (TABLE, LABELS),
        [TABLE, LABELS],
        (torch.from_numpy(TABLE), torch.from_numpy(LABELS)),
        {"x": TABLE, "y": torch.from_numpy(LABELS), "groups": None},
        TensorDataset(torch.from_numpy(TABLE), torch.from_numpy(LABELS)),
    ],
    ids=["arrays", "list", "tensors", "mapping", "torch dataset"],
)
def test_arrays_tensors_and_torch_data_sets_are_the_same_data(data):
    dataset = take(data).dataset
    assert (dataset.kind, dataset.task, dataset.classes) == ("table", "classification", ("0", "1", "2"))
    assert np.array_equal(dataset.x, TABLE)
    assert dataset.fingerprint == take((TABLE, LABELS)).dataset.fingerprint


def test_a_data_set_of_pictures_brings_its_class_names():
    dataset = take(Pictures()).dataset
    assert (dataset.name, dataset.kind, dataset.classes) == ("pictures", "image", ("ant", "bee", "cow"))
    assert np.array_equal(dataset.x, IMAGES.transpose(0, 3, 1, 2))


def test_pixels_that_a_transform_has_scaled_to_0_to_1_are_the_pixels_that_they_were():
    scaled = torch.from_numpy(IMAGES).permute(0, 3, 1, 2).float() / 255
    assert np.array_equal(take((scaled, LABELS)).dataset.x, take((IMAGES, LABELS)).dataset.x)


def test_of_two_torch_data_sets_the_second_is_the_test_set():
    dataset = take((Pictures(), Pictures())).dataset
    assert dataset.test is not None
    assert dataset.test.tolist() == [False] * 12 + [True] * 12


@pytest.mark.parametrize(
    "data",
    [
        {"x": IMAGES, "y": LABELS, "classes": ["ant", "bee", "cow"]},
        {
            "x": np.ascontiguousarray(IMAGES.transpose(0, 3, 1, 2))[:, :, :3, :3],
            "y": LABELS,
        },  # 3 x 3: may be read both ways
        {"x": IMAGES, "y": LABELS, "x_test": IMAGES[:6] // 2, "y_test": LABELS[:6], "groups": np.arange(12) // 2},
        {"x": TABLE, "y": np.array(["a", "b", "c"])[LABELS]},
        {"x": TABLE, "y": TABLE[:, :2]},
    ],
    ids=["images", "tiny images", "test set and groups", "table", "regression"],
)
def test_what_a_run_keeps_reads_back_as_the_same_data_set(data, tmp_path):
    taken = take(data)
    path = taken.keep(tmp_path / "data")
    assert path is not None
    back = load(str(path))
    assert (back.name, back.classes, back.columns) == (
        taken.dataset.name, taken.dataset.classes, taken.dataset.columns)  # fmt: skip
    assert back.fingerprint == taken.dataset.fingerprint


def test_data_above_the_limit_are_not_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(given, "MAX_KEPT", 100)
    assert take((TABLE, LABELS)).keep(tmp_path) is None
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (TABLE, "the data are a ndarray; they may be (x, y)"),
        ((TABLE, TABLE, LABELS, LABELS), "the data are a tuple of 4; they may be"),
        (types.SimpleNamespace(), "the data are a SimpleNamespace"),
        ({"x": TABLE, "labels": LABELS}, "arrays: there is no array 'y'"),
        ((TABLE, LABELS[:-1]), "'x' has 12 samples, but 'y' has 11"),
        (Uneven(), "Uneven: sample 7 has the shape (5, 4), sample 0 (4, 4); bring them to one size"),
        (Broken(), "Broken: sample 0 cannot be read: OSError: the disk is gone"),
        (Endless(), "Endless: an iterable data set has no length"),
        (TensorDataset(torch.from_numpy(TABLE)), "sample 0 is a tuple; it must be a pair (x, y)"),
        (([[1, 2], [3]], [0, 1]), "array 'x' cannot be read as an array"),
    ],
    ids=lambda value: value[:30] if isinstance(value, str) else "",
)
def test_what_is_no_data_is_refused_with_what_it_may_be(data, message):
    with pytest.raises(DataError) as caught:
        take(data)
    assert message in str(caught.value)


def test_a_target_is_for_tables_with_named_columns():
    with pytest.raises(DataError, match="target= is for a table"):
        take((TABLE, LABELS), target="y")


class TestDataFrames:
    @pytest.fixture
    def frame(self):
        import pandas

        return pandas.DataFrame(
            {"size": [1.5, 2.25, 1e-7, 4.0] * 3, "town": ["york", "bath", "bath", "ely, sea"] * 3, "price": range(12)}
        )

    def test_its_columns_become_numbers_and_categories(self, frame):
        taken = take(frame, target="town")
        assert taken.dataset.classes == ("bath", "ely, sea", "york")
        assert [column.name for column in taken.dataset.columns] == ["size", "price"]
        assert np.array_equal(taken.dataset.x, frame[["size", "price"]].to_numpy(np.float64))

    def test_it_is_kept_as_a_csv_that_reads_back_as_the_same_data_set(self, frame, tmp_path):
        taken = take(frame, target="price", task="regression")
        path = taken.keep(tmp_path / "data")
        assert path is not None
        assert path.name == "table.csv"
        back = load(str(path), target="price", task="regression")
        assert (back.fingerprint, back.columns) == (taken.dataset.fingerprint, taken.dataset.columns)

    def test_the_answers_may_stand_beside_it(self, frame):
        taken = take((frame.drop(columns="price"), frame["price"]), task="regression")
        assert taken.target == ("price",)
        assert taken.dataset.fingerprint == take(frame, target="price", task="regression").dataset.fingerprint
        with pytest.raises(DataError, match="there is a column 'price' already"):
            take((frame, frame["price"]))

    def test_a_missing_answer_is_named_with_its_column_and_row(self, frame):
        frame.loc[3, "price"] = None
        with pytest.raises(DataError, match=r"DataFrame: column 'price', row 4: the value is missing"):
            take(frame, target="price")

    def test_two_columns_of_one_name_are_refused(self, frame):
        with pytest.raises(DataError, match="DataFrame: column 4 has the name of another"):
            take(frame.assign(**{"size ": 1}), target="price")


def test_pandas_is_not_imported_to_see_that_something_is_no_dataframe():
    if "pandas" not in sys.modules:
        take((TABLE, LABELS))
        assert "pandas" not in sys.modules
