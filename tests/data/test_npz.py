"""Arrays from files that others may have made."""

from __future__ import annotations

import io
import zipfile

import numpy as np
import pytest

from automl.data.npz import read_arrays


def test_what_numpy_wrote_comes_back(tmp_path):
    rng = np.random.default_rng(0)
    arrays = {
        "curves": rng.normal(size=(5, 40, 4)),
        "empty": np.empty((0, 3)),
        "one": np.array(7),
        "text": np.array(["a", "ß"]),
    }
    for save in (np.savez, np.savez_compressed):
        save(tmp_path / "a.npz", **arrays)
        found = read_arrays(tmp_path / "a.npz")
        assert found.keys() == arrays.keys()
        for name, array in arrays.items():
            np.testing.assert_array_equal(found[name], array)


def test_curves_of_few_epochs_of_a_long_schedule_are_no_bomb(tmp_path):
    curves = np.full((10, 5000, 4), np.nan)
    np.savez_compressed(tmp_path / "a.npz", curves=curves)
    np.testing.assert_array_equal(read_arrays(tmp_path / "a.npz")["curves"], curves)


def test_packed_zeros_are_refused_before_they_are_unpacked():
    content = io.BytesIO()
    np.savez_compressed(content, curves=np.zeros((100, 200_000), dtype=np.float64))
    with pytest.raises(ValueError, match=r"its arrays would take more than \d+ MiB"):
        read_arrays(content)


def test_objects_and_arrays_shorter_than_their_header_says_are_refused():
    for header, words in (
        (b"{'descr': '<f8', 'fortran_order': False, 'shape': (100000, 100000, 4), }", "shorter than it says"),
        (b"{'descr': '<f8', 'fortran_order': False, 'shape': (-1, -5), }", "shorter than it says"),
        (b"{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", "allow_pickle"),
    ):
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w") as archive:
            archive.writestr(
                "curves.npy", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + bytes(64)
            )
        with pytest.raises(ValueError, match=words):
            read_arrays(content)
