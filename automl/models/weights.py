"""The weights of a saved model, checked where they come in: whether they are the network's, and numbers at all."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from automl.data.resident import PixelInputs
from automl.data.table_inputs import TableInputs
from automl.models.description import ModelDescription

ANSWERS = ("y_mean", "y_std")
"""How the weights name what leads from a network's outputs to its answers."""

MOST_TENSORS = 50_000
SPARE_LAYERS, LAYERS_A_TENSOR = 1_000, 20

Weights = Mapping[str, Tensor]


def count_members(weights: Weights, members: int) -> list[str]:
    """What the names of each network's tensors begin with. Raises `ValueError` unless there are so many members."""
    if len(weights) > MOST_TENSORS:
        raise ValueError(f"there are {len(weights):,} tensors, and {MOST_TENSORS:,} at most can be read")
    there = {name.split(".")[1] for name in weights if name.startswith("members.")}
    if members != len(there):
        raise ValueError(f"members: {members}, but there are weights of {len(there)}")
    prefixes = [f"members.{number}." for number in range(members)] or [""]
    for name in (prefix + name for prefix in prefixes for name in ANSWERS):
        if name not in weights:
            raise ValueError(f"'{name}' is missing")
    return prefixes


def most_layers(weights: Weights) -> int:
    """As many layers and parameters as a network with these weights has at the very most."""
    return SPARE_LAYERS + LAYERS_A_TENSOR * len(weights)


def check_layout(weights: Weights, expected: Weights) -> None:
    """Raises `ValueError` where names, shapes or dtypes are not those of the network's `state_dict`."""
    for name in {**expected, **weights}:
        if name not in weights or name not in expected or weights[name].shape != expected[name].shape:
            raise ValueError(f"'{name}' is missing, unknown or of another shape")
        if weights[name].dtype != expected[name].dtype:
            raise ValueError(f"'{name}' is {_dtype(weights[name])}, but must be {_dtype(expected[name])}")


def empty_inputs(description: ModelDescription, weights: Weights, prefix: str = "") -> PixelInputs | TableInputs:
    """What makes the inputs of a network, of the shapes that its description and its weights have, without values."""
    if features := description.features:
        return TableInputs(features, description.scaling)
    return PixelInputs(*(torch.zeros_like(_needed(weights, f"{prefix}inputs.{name}")) for name in ("mean", "std")))


def check_preprocessing(weights: Weights, prefix: str, description: ModelDescription) -> None:
    """Raises `ValueError` where means and deviations are not finite, deviations not above 0, or their shapes are others
    than those of a sample.
    """
    inputs, features = f"{prefix}inputs.", description.features
    shapes: dict[str, tuple[int, ...]] = {f"{prefix}{name}": (description.num_outputs,) for name in ANSWERS}
    if features:
        check_layout(
            {name.removeprefix(inputs): tensor for name, tensor in weights.items() if name.startswith(inputs)},
            TableInputs(features, description.scaling).state_dict(),
        )
    else:
        shapes |= {inputs + name: tuple(description.input_shape) for name in ("mean", "std")}
    for name in (*shapes, *(name for name in weights if name.startswith(inputs) and name not in shapes)):
        tensor = _needed(weights, name)
        if tensor.dtype not in (torch.float32, torch.float64):
            raise ValueError(f"'{name}' is {_dtype(tensor)}, but must be float32 or float64")
        if name in shapes and not _is_by_channel(tuple(tensor.shape), shapes[name]):
            raise ValueError(f"'{name}' has the shape {list(tensor.shape)}, which is not that of a sample")
        if not tensor.isfinite().all():
            raise ValueError(f"'{name}' holds what is no finite number")
        if name.endswith("std") and not (tensor > 0).all():
            raise ValueError(f"'{name}' holds a deviation that is not above 0")


def _needed(weights: Weights, name: str) -> Tensor:
    if name not in weights:
        raise ValueError(f"'{name}' is missing")
    return weights[name]


def check_values(module: nn.Module) -> None:
    """Raises `ValueError` for a parameter that is not finite and for a buffer with NaN: a mask may hold infinities."""
    for name, parameter in module.named_parameters():
        if not parameter.isfinite().all():
            raise ValueError(f"'{name}' holds what is no finite number")
    for name, buffer in module.named_buffers():
        if buffer.isnan().any():
            raise ValueError(f"'{name}' holds NaN")


def _is_by_channel(shape: tuple[int, ...], sample: tuple[int, ...]) -> bool:
    """Whether a tensor of `shape` goes with [b, *sample] and makes it no larger, but for grey images in channels."""
    padded = (1,) * (1 + len(sample) - len(shape)) + shape
    grey = len(sample) == 3 and sample[0] == 1
    fits = [there in (1, needed) for there, needed in zip(padded, (1, *sample), strict=False)]
    return len(padded) == 1 + len(sample) and all(fits[:1] + fits[1 + grey :])


def _dtype(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")
