"""Checkpoints: nested state of tensors and numbers as one safetensors file. No pickle, so no code can hide in one.

The tree's shape is JSON in the file's metadata, its tensors are the file's tensors. Floats survive to the bit (JSON
writes the shortest text that reads back equal).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
from torch import Tensor

from automl.data.atomic import write_atomic
from automl.errors import RunError
from automl.open_file import check_file

_TENSOR, _TUPLE, _INT_KEYS = "__tensor__", "__tuple__", "__int_keys__"


def _pack(tree: Any, tensors: dict[str, Tensor]) -> Any:
    if isinstance(tree, Tensor):
        key = f"t{len(tensors)}"
        tensors[key] = tree.detach().cpu().contiguous().clone()
        return {_TENSOR: key}
    if isinstance(tree, dict):
        if tree and all(type(k) is int for k in tree):
            return {_INT_KEYS: [[k, _pack(v, tensors)] for k, v in tree.items()]}
        if not all(isinstance(k, str) for k in tree) or tree.keys() & {_TENSOR, _TUPLE, _INT_KEYS}:
            raise TypeError(f"a checkpoint holds dicts whose keys are all texts or all integers, not {list(tree)[:5]}")
        return {k: _pack(v, tensors) for k, v in tree.items()}
    if isinstance(tree, tuple):
        return {_TUPLE: [_pack(v, tensors) for v in tree]}
    if isinstance(tree, list):
        return [_pack(v, tensors) for v in tree]
    if tree is None or isinstance(tree, bool | int | float | str):
        return tree
    raise TypeError(f"a checkpoint holds tensors, numbers, strings and lists, not {type(tree).__name__}")


def _unpack(tree: Any, tensor: Callable[[str], Tensor]) -> Any:
    if isinstance(tree, list):
        return [_unpack(v, tensor) for v in tree]
    if not isinstance(tree, dict):
        return tree
    if _TENSOR in tree:
        return tensor(tree[_TENSOR])
    if _TUPLE in tree:
        return tuple(_unpack(v, tensor) for v in tree[_TUPLE])
    if _INT_KEYS in tree:
        return {k: _unpack(v, tensor) for k, v in tree[_INT_KEYS]}
    return {k: _unpack(v, tensor) for k, v in tree.items()}


def save_tree(tree: dict[str, Any], path: Path) -> None:
    """Writes nested dicts, lists and tuples of tensors, numbers and strings. Raises `TypeError` for anything else."""
    tensors: dict[str, Tensor] = {}
    packed = _pack(tree, tensors)
    content = safetensors.torch.save(tensors, metadata={"tree": json.dumps(packed)})
    write_atomic(path, lambda file: file.write(content))


def load_tree(path: Path, only: str | None = None) -> dict[str, Any]:
    """Reads what `save_tree` wrote; tensors come on the CPU. Raises `RunError` for any other file.

    `only`: the one entry that is wanted; no tensor of another one is read.
    """
    try:
        check_file(path, owned=True)
        with safetensors.safe_open(path, framework="pt", device="cpu") as file:
            tree = json.loads((file.metadata() or {})["tree"])
            if only is not None:
                tree = {only: tree[only]}
            tree = _unpack(tree, cache(file.get_tensor))  # one that is named again takes no more memory
    except (OSError, safetensors.SafetensorError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise RunError(
            f"{path}: not a checkpoint of automl ({error}); remove it, and its trial starts again"
        ) from error
    if not isinstance(tree, dict):
        raise RunError(f"{path}: not a checkpoint of automl; remove it, and its trial starts again")
    return tree
