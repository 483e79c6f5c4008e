"""Policies: their parts, their bounds, and that naming them costs no torch."""

import subprocess
import sys
from dataclasses import asdict, fields

import pytest

from automl.data.augmentation.policy import BOUNDS, Policy
from automl.errors import BadInput


def test_every_part_is_off_by_default_and_its_bounds_are_known():
    off = {"crop_area": 1.0, "crop_ratio": pytest.approx(4 / 3)}
    assert asdict(Policy()) == {field.name: off.get(field.name, 0.0) for field in fields(Policy)}
    assert [field.name for field in fields(Policy)] == list(BOUNDS)


@pytest.mark.parametrize("name", BOUNDS)
def test_both_ends_of_the_bounds_are_allowed_and_nothing_beyond(name):
    least, most = BOUNDS[name]
    for value in (least, most):
        assert getattr(Policy(**{name: value}), name) == value
    for value in (least - 0.01, most + 0.01, float("nan")):
        with pytest.raises(BadInput, match=f"{name} must lie within {least:g}..{most:g}, not "):
            Policy(**{name: value})


def test_a_policy_is_made_without_torch():
    policy = "from automl.data.augmentation.policy import Policy; Policy(shift=0.1)"
    code = f"import sys; {policy}; print('torch' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "False"
