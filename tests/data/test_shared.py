"""The data that workers share."""

from __future__ import annotations

import numpy as np
import torch

from automl.data.resident import Resident
from automl.data.shared import attach, share


def test_an_attached_data_set_is_the_one_that_was_shared(images, tmp_path):
    share(images, tmp_path)
    again = attach(tmp_path)
    np.testing.assert_array_equal(again.x, images.x)
    np.testing.assert_array_equal(again.y, images.y)
    np.testing.assert_array_equal(again.twins, images.twins)
    for name in ("name", "kind", "task", "classes", "notes", "fingerprint", "columns", "input_shape", "num_outputs"):
        assert getattr(again, name) == getattr(images, name)
    assert again.test is None
    assert again.groups is None


def test_a_table_too(numbers, tmp_path):
    share(numbers, tmp_path)
    np.testing.assert_array_equal(attach(tmp_path).x, numbers.x)
    np.testing.assert_array_equal(attach(tmp_path).y, numbers.y)


def test_its_images_become_resident_without_a_copy(images, tmp_path):
    share(images, tmp_path)
    again = attach(tmp_path)
    resident, usual = Resident(again, torch.device("cpu")), Resident(images, torch.device("cpu"))
    assert resident._x.data_ptr() == again.x.__array_interface__["data"][0]
    index = torch.arange(7)
    assert torch.equal(resident.batch(index)[0], usual.batch(index)[0])
