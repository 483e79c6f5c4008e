"""The shapes of a network's weights, told by building it without memory and without drawing random numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import nn

from automl.training.on_meta import Shapes


def shapes_of(build: Callable[[], nn.Module]) -> Mapping[str, torch.Size]:
    """The shape of each tensor in the `state_dict` of what `build` returns. Raises what it raises."""
    with torch.device("meta"), Shapes():
        return {name: tensor.shape for name, tensor in build().state_dict().items()}
