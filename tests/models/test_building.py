"""The network of a description, with random weights."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch import nn

from automl.errors import BadInput, RunError
from automl.models.building import build_network, loading

CODE = """
from torch import nn
from automl import architecture, hookimpl


@architecture()
def mine(input_shape, num_outputs):
    '''A linear model.'''
    return nn.Linear(*input_shape, num_outputs)


@hookimpl
def automl_architectures():
    return [mine]
"""
LINEAR: dict[str, Any] = {
    "architecture": "linear", "architecture_config": {"dropout": 0.0}, "input_shape": [4], "num_outputs": 2
}  # fmt: skip


def test_a_network_within_a_model_is_not_built_by_code_that_came_with_it(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(CODE)
    recorded = {"name": "mine", "file": str(file), "sha256": hashlib.sha256(CODE.encode()).hexdigest()}
    about = {**LINEAR, "architecture": "mine", "architecture_config": {}, "plugins": [recorded]}
    with loading(tmp_path), pytest.raises(RunError, match="'mine' is not installed"):
        build_network(about)
    assert isinstance(build_network(about), nn.Linear)


def test_numbers_of_numpy_and_a_tuple_are_taken() -> None:
    network = build_network({**LINEAR, "input_shape": (np.int64(4),), "num_outputs": np.int64(2), "plugins": None})
    assert sum(p.numel() for p in network.parameters()) == 4 * 2 + 2


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"num_outputs": 0}, "num_outputs: Input should be greater than or equal to 1"),
        ({"input_shape": [10**9]}, "are larger than 150,000,000 numbers"),
    ],
)
def test_what_is_wrong_with_a_description_is_said_in_a_line(change: dict[str, Any], said: str) -> None:
    with pytest.raises(BadInput, match=f"the description of a network: .*{said}"):
        build_network(LINEAR | change)
    with pytest.raises(BadInput, match="lacks 'architecture_config'"):
        build_network({"architecture": "linear"})
