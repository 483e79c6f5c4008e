"""The layout of a network's weights, told by building it without memory and without drawing random numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from automl.training.on_meta import Shapes


def layout_of(build: Callable[[], nn.Module]) -> Mapping[str, Tensor]:
    """The `state_dict` of what `build` returns, with shapes and dtypes but no values. Raises what it raises."""
    with torch.device("meta"), Shapes():
        return build().state_dict()
