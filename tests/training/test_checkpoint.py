"""Checkpoints: whole trees to the bit, and nothing that could run code."""

from __future__ import annotations

import json
import math
import pickle
import struct
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from automl.errors import RunError
from automl.training.checkpoint import load_tree, save_tree

KEYS = st.text().filter(lambda key: not key.startswith("__"))  # those of the format are refused
LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
TREES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner)
        | st.lists(inner).map(tuple)
        | st.dictionaries(KEYS, inner)
        | st.dictionaries(st.integers(), inner)
    ),
    max_leaves=20,
)


def same(a: object, b: object) -> bool:
    """Equal with types and bits: 1 is not 1.0, and 0.0 is not -0.0."""
    if isinstance(a, dict) and isinstance(b, dict):
        return list(a) == list(b) and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list | tuple):
        return type(a) is type(b) and len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, float) and isinstance(b, float):
        return struct.pack("d", a) == struct.pack("d", b)
    return type(a) is type(b) and a == b


@given(tree=st.dictionaries(KEYS, TREES))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_tree_comes_back_to_the_bit(tree, tmp_path):
    save_tree(tree, tmp_path / "tree")
    assert same(load_tree(tmp_path / "tree"), tree)


def test_infinities_and_nan_come_back(tmp_path):
    save_tree({"values": [math.inf, -math.inf, math.nan]}, tmp_path / "tree")
    up, down, nan = load_tree(tmp_path / "tree")["values"]
    assert (up, down) == (math.inf, -math.inf)
    assert math.isnan(nan)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.int64, torch.uint8, torch.bool])
def test_tensors_come_back_in_their_type_and_shape(dtype, tmp_path):
    tensor = torch.arange(24).reshape(2, 3, 4).to(dtype)
    save_tree({"a": [tensor, (tensor[:0],)], "b": {0: tensor.sum().to(dtype)}}, tmp_path / "tree")
    back = load_tree(tmp_path / "tree")
    assert back["a"][0].dtype == dtype
    assert torch.equal(back["a"][0], tensor)
    assert back["a"][1][0].shape == (0, 3, 4)
    assert back["b"][0].shape == ()


def test_tensors_that_share_memory_or_lie_channels_last_come_back_whole(tmp_path):
    image = torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last)
    save_tree({"image": image, "part": image[0], "turned": image.permute(3, 2, 1, 0)}, tmp_path / "tree")
    back = load_tree(tmp_path / "tree")
    assert torch.equal(back["image"], image)
    assert torch.equal(back["part"], image[0])
    assert torch.equal(back["turned"], image.permute(3, 2, 1, 0))


@pytest.mark.parametrize("value", [{1, 2}, object(), b"bytes", {1: "a", "b": 2}, {1.5: "a"}, {"__tensor__": "t0"}])
def test_what_would_not_come_back_is_refused_when_written(value, tmp_path):
    with pytest.raises(TypeError, match="a checkpoint holds"):
        save_tree({"value": value}, tmp_path / "tree")
    assert not (tmp_path / "tree").exists()


class Evil:
    def __reduce__(self):
        return Path.touch, (Path(EVIDENCE),)


EVIDENCE = ""


@pytest.mark.parametrize("write", [lambda o, f: pickle.dump(o, f), torch.save], ids=["pickle", "torch.save"])
def test_a_pickle_is_refused_and_its_code_does_not_run(write, tmp_path, monkeypatch):
    evidence = tmp_path / "evidence"
    monkeypatch.setitem(globals(), "EVIDENCE", str(evidence))
    with (tmp_path / "evil").open("wb") as file:
        write({"folds": Evil()}, file)
    with pytest.raises(RunError, match="not a checkpoint of automl"):
        load_tree(tmp_path / "evil")
    assert not evidence.exists()
    with (tmp_path / "evil").open("rb") as file:  # the trap does work
        torch.load(file, weights_only=False) if write is torch.save else pickle.load(file)
    assert evidence.exists()


def test_a_file_cut_at_any_place_is_refused(tmp_path):
    save_tree({"folds": [torch.arange(5.0)], "seed": 1}, tmp_path / "tree")
    content = (tmp_path / "tree").read_bytes()
    for size in range(len(content)):
        (tmp_path / "cut").write_bytes(content[:size])
        with pytest.raises(RunError, match="not a checkpoint of automl"):
            load_tree(tmp_path / "cut")


def test_random_bytes_are_refused(tmp_path):
    generator = torch.Generator().manual_seed(0)
    for size in (1, 8, 9, 100, 5000):
        noise = bytes(torch.randint(0, 256, (size,), generator=generator).tolist())
        (tmp_path / "noise").write_bytes(noise)
        with pytest.raises(RunError, match="not a checkpoint of automl"):
            load_tree(tmp_path / "noise")


@pytest.mark.parametrize(
    "tree",
    [
        "no json",
        "[1, 2]",
        "[" * 100_000,
        json.dumps({"a": {"__tensor__": "t7"}}),
        json.dumps({"a": {"__tensor__": []}}),
        json.dumps({"a": {"__tuple__": 5}}),
        json.dumps({"a": {"__int_keys__": [[[], 1]]}}),
        json.dumps({"a": {"__int_keys__": [5]}}),
        None,
    ],
)
def test_a_safetensors_file_with_a_forged_tree_is_refused(tree, tmp_path):
    from safetensors.torch import save_file

    save_file({"t0": torch.zeros(1)}, tmp_path / "forged", metadata=None if tree is None else {"tree": tree})
    with pytest.raises(RunError, match="not a checkpoint of automl"):
        load_tree(tmp_path / "forged")


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(RunError, match="not a checkpoint of automl"):
        load_tree(tmp_path / "nothing")
