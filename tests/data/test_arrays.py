from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from automl.data.sources.arrays import from_arrays, load_npz
from automl.errors import DataError

GREY = np.random.default_rng(0).integers(0, 256, (6, 5, 7), dtype=np.uint8)
COLOUR = np.random.default_rng(1).integers(0, 256, (6, 5, 7, 3), dtype=np.uint8)
TABLE = np.random.default_rng(2).normal(size=(6, 4))
LABELS = np.array([0, 1, 0, 1, 2, 2])


def npz(tmp_path: Path, **arrays: Any) -> Path:
    path = tmp_path / "some.npz"
    np.savez(path, **arrays)
    return path


def test_grey_images_get_one_channel(tmp_path: Path) -> None:
    dataset = load_npz(npz(tmp_path, x=GREY, y=LABELS))
    assert (dataset.name, dataset.kind, dataset.task) == ("some", "image", "classification")
    assert dataset.x.shape == (6, 1, 5, 7)
    assert (dataset.x[:, 0] == GREY).all()
    assert dataset.classes == ("0", "1", "2")
    assert dataset.y.dtype == np.int64


def test_channels_last_and_first_give_the_same_data() -> None:
    last = from_arrays(COLOUR, LABELS)
    first = from_arrays(COLOUR.transpose(0, 3, 1, 2), LABELS)
    assert last.x.shape == (6, 3, 5, 7)
    assert last.fingerprint == first.fingerprint


def test_an_ambiguous_shape_is_read_with_channels_last() -> None:
    assert from_arrays(np.arange(6 * 3 * 9 * 4).reshape(6, 3, 9, 4) % 251, LABELS).input_shape == (4, 3, 9)


def test_floats_and_integers_are_converted_only_where_that_is_exact() -> None:
    want = from_arrays(COLOUR, LABELS).fingerprint
    for dtype in (np.float32, np.float64):
        assert from_arrays(COLOUR.astype(dtype) / 255, LABELS).fingerprint == want
        assert from_arrays(COLOUR.astype(dtype), LABELS).fingerprint == want
    assert from_arrays(COLOUR.astype(np.int64), LABELS).fingerprint == want
    rounded = COLOUR.astype(np.float32) / 255
    rounded[2, 0, 0, 0] = 0.3
    with pytest.raises(DataError, match=r"array 'x', row 2: .*multiples of 1/255"):
        from_arrays(rounded, LABELS)
    for wrong in (COLOUR.astype(np.float32) * 2, COLOUR.astype(np.int16) - 1, COLOUR.astype(np.uint16) * 257):
        with pytest.raises(DataError, match=r"array 'x' holds images as .*uint8 0\.\.255"):
            from_arrays(wrong, LABELS)
    assert from_arrays(GREY > 127, LABELS).x.max() == 255


def test_a_matrix_is_a_table() -> None:
    dataset = from_arrays(TABLE, TABLE[:, 0])
    assert (dataset.kind, dataset.task) == ("table", "regression")
    assert dataset.x.dtype == TABLE.dtype
    assert from_arrays(np.round(TABLE), LABELS).x.dtype == np.float32
    assert dataset.y.shape == (6, 1)
    assert dataset.num_outputs == 1
    assert dataset.columns == ()
    assert from_arrays(TABLE, TABLE[:, :2]).num_outputs == 2


def test_text_and_bytes_and_booleans_are_classes() -> None:
    names = np.array(["cat", "dog"] * 3)
    assert from_arrays(GREY, names).classes == ("cat", "dog")
    assert from_arrays(GREY, names.astype("S")).classes == ("cat", "dog")
    assert from_arrays(GREY, names == "cat").classes == ("False", "True")


def test_class_names_are_indexed_by_the_labels(tmp_path: Path) -> None:
    assert load_npz(npz(tmp_path, x=GREY, y=LABELS, classes=np.array(["c", "b", "a"]))).classes == ("c", "b", "a")
    dataset = from_arrays(GREY, LABELS, classes=["zebra", "ape", "cow"])
    assert dataset.classes == ("zebra", "ape", "cow")
    assert dataset.y.tolist() == LABELS.tolist()
    with pytest.raises(DataError, match=r"row 4: label 2, but there are class names for 0\.\.1"):
        from_arrays(GREY, LABELS, classes=["zebra", "ape"])
    with pytest.raises(DataError, match="class 'fox' has no sample"):
        from_arrays(GREY, LABELS, classes=["zebra", "ape", "cow", "fox"])


def test_the_task_can_be_set_by_hand() -> None:
    assert from_arrays(TABLE, LABELS, task="regression").y.dtype == np.float64
    assert from_arrays(TABLE, LABELS.astype(float), task="classification").classes == ("0", "1", "2")
    with pytest.raises(DataError, match=r"row 1: 0\.5 is no class"):
        from_arrays(TABLE, np.array([0, 0.5, 1, 1, 1, 1]), task="classification")


def test_a_test_set_of_its_own_is_kept_apart(tmp_path: Path) -> None:
    dataset = load_npz(npz(tmp_path, x=GREY, y=LABELS, x_test=255 - GREY[:2], y_test=LABELS[:2], groups=LABELS))
    assert dataset.test is not None
    assert dataset.test.tolist() == [False] * 6 + [True] * 2
    assert dataset.groups is not None
    assert dataset.groups.tolist() == [0, 1, 0, 1, 2, 2, 3, 4]
    assert (dataset.x[6, 0] == 255 - GREY[0]).all()
    with pytest.raises(DataError, match="no array 'y_test'"):
        load_npz(npz(tmp_path, x=GREY, y=LABELS, x_test=GREY[:2]))
    with pytest.raises(DataError, match="'x' is uint8 with shape"):
        load_npz(npz(tmp_path, x=GREY, y=LABELS, x_test=GREY[:2, :3], y_test=LABELS[:2]))


def test_a_test_class_without_training_samples_is_named() -> None:
    with pytest.raises(DataError, match="class '7' has no sample to train on"):
        from_arrays(GREY, LABELS, x_test=255 - GREY[:1], y_test=[7])


def test_groups_may_be_named(tmp_path: Path) -> None:
    path = npz(tmp_path, x=GREY, y=LABELS, patient=np.array(list("abcabc")))
    dataset = load_npz(path, groups="patient")
    assert dataset.groups is not None
    assert dataset.groups.tolist() == [0, 1, 2, 0, 1, 2]
    assert load_npz(path).groups is None
    with pytest.raises(DataError, match=r"no array 'patients' of groups; did you mean 'patient'\?"):
        load_npz(path, groups="patients")


OBJECTS = np.array([{"a": 1}] * 6, dtype=object)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": GREY}, "no array 'y'; known: x"),
        ({"X": GREY, "y": LABELS}, "no array 'x'"),
        ({"x": OBJECTS, "y": LABELS}, r"array 'x' cannot be read: it holds Python objects \(pickle\)"),
        ({"x": GREY, "y": OBJECTS}, r"array 'y' cannot be read: it holds Python objects \(pickle\)"),
        ({"x": GREY, "y": LABELS[:5]}, "'x' has 6 samples, but 'y' has 5"),
        ({"x": GREY[:0], "y": LABELS[:0]}, "array 'x' is empty"),
        ({"x": np.uint8(3), "y": LABELS}, r"array 'x' is uint8 \(\)"),
        ({"x": GREY.astype("U"), "y": LABELS}, "array 'x' is <U"),
        ({"x": GREY[:, 0, 0], "y": LABELS}, r"array 'x' is uint8 \(6,\)"),
        ({"x": np.zeros((6, 5, 5, 2), np.uint8), "y": LABELS}, "images need 1, 3 or 4 channels"),
        ({"x": GREY, "y": np.eye(6, dtype=int)}, "for one-hot labels"),
        ({"x": GREY, "y": np.zeros(6, int)}, "at least two classes, found 1, '0'"),
        ({"x": TABLE, "y": np.ones(6)}, "output 0 is 1 in every sample"),
        ({"x": GREY, "y": LABELS, "groups": LABELS[:3]}, "the groups are int64"),
    ],
)
def test_a_bad_npz_is_refused_with_the_array(tmp_path: Path, arrays: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        load_npz(npz(tmp_path, **arrays))


def test_a_missing_feature_is_kept_and_a_value_that_is_not_finite_is_refused_with_its_row() -> None:
    broken = TABLE.copy()
    broken[3, 2] = np.nan
    dataset = from_arrays(broken, LABELS)
    np.testing.assert_array_equal(dataset.x, broken)
    assert [feature.missing for feature in dataset.features] == [False, False, True, False]
    with pytest.raises(DataError, match="array 'y', row 3, column 2: the value is nan"):
        from_arrays(TABLE, broken)
    broken[3, 2] = 1e300  # infinite in 32 bits
    with pytest.raises(DataError, match="array 'x', row 3, column 2: the value is inf"):
        from_arrays(broken, LABELS)


def test_a_file_that_is_no_npz_is_refused(tmp_path: Path) -> None:
    path = npz(tmp_path, x=GREY, y=LABELS)
    whole = path.read_bytes()
    for content in (b"", b"hello", whole[:200]):
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"some\.npz: "):
            load_npz(path)
    with open(path, "wb") as file:
        np.save(file, GREY)
    with pytest.raises(DataError, match=r"a single array, not an \.npz"):
        load_npz(path)


def test_damage_anywhere_in_an_npz_is_a_data_error_or_harmless(tmp_path: Path) -> None:
    path = npz(tmp_path, x=GREY, y=LABELS)
    whole = path.read_bytes()
    intact = load_npz(path).fingerprint
    refused = 0
    for position in range(0, len(whole), 3):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 0x8D]) + whole[position + 1 :])
        try:
            loaded = load_npz(path).fingerprint
        except DataError:
            refused += 1
        else:
            assert loaded == intact, f"byte {position} changed the data unnoticed"
    assert refused > 100


def test_copies_with_different_labels_are_noted_by_number() -> None:
    images = GREY.copy()
    images[5] = images[0]
    dataset = from_arrays(images, LABELS)
    assert any("sample 0 ('0') = sample 5 ('2')" in note for note in dataset.notes)


def test_the_fingerprint_sees_every_part() -> None:
    base = {"x": GREY, "y": LABELS}
    changed = GREY.copy()
    changed[0, 0, 0] ^= 1
    variants: list[dict[str, Any]] = [
        base,
        {**base, "x": changed},
        {**base, "y": LABELS[::-1]},
        {**base, "groups": LABELS},
        {**base, "classes": ["a", "b", "c"]},
        {"x": GREY[:5], "y": LABELS[:5], "x_test": GREY[5:], "y_test": LABELS[5:]},
    ]
    prints = [from_arrays(**variant).fingerprint for variant in variants]
    assert len(set(prints)) == len(prints)
    assert from_arrays(**base).fingerprint == prints[0]
    assert len(prints[0]) == 64
