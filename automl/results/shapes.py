"""The shapes of a network's weights, told by building it without memory and without drawing random numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

_RANDOM = {"normal_", "uniform_", "trunc_normal_", "exponential_", "bernoulli_", "random_"}


def shapes_of(build: Callable[[], nn.Module]) -> Mapping[str, torch.Size]:
    """The shape of each tensor in the `state_dict` of what `build` returns. Raises what it raises."""
    with torch.device("meta"), _NothingRandom():
        return {name: tensor.shape for name, tensor in build().state_dict().items()}


class _NothingRandom(TorchFunctionMode):
    """Leaves out initialisation: on meta it fills nothing, and has torch import a second's worth of sympy for that."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if getattr(func, "__name__", "") in _RANDOM and args:
            return args[0]
        return func(*args, **(kwargs or {}))
