"""Linear models: softmax regression for classes, linear regression for numbers."""

from __future__ import annotations

import math

from torch import nn

from automl import Architecture, Float, architecture, hookimpl


@architecture(dropout=Float(0.0, 0.5))
def linear(input_shape: tuple[int, ...], num_outputs: int, *, dropout: float) -> nn.Module:
    """Softmax or linear regression on the flattened input: the baseline to beat."""
    return nn.Sequential(nn.Flatten(), nn.Dropout(dropout), nn.Linear(math.prod(input_shape), num_outputs))


@hookimpl
def automl_architectures() -> list[Architecture]:
    """The architectures of this plugin."""
    return [linear]
