"""Fully connected networks."""

from __future__ import annotations

import math

from torch import nn

from automl import Architecture, Choice, Float, Int, architecture, hookimpl

ACTIVATIONS = {"relu": nn.ReLU, "gelu": nn.GELU, "tanh": nn.Tanh}


@architecture(
    depth=Int(1, 4),
    width=Int(32, 512, log=True),
    activation=Choice("relu", "gelu", "tanh"),
    batch_norm=Choice(True, False),
    dropout=Float(0.0, 0.6),
)
def mlp(
    input_shape: tuple[int, ...],
    num_outputs: int,
    *,
    depth: int,
    width: int,
    activation: str,
    batch_norm: bool,
    dropout: float,
) -> nn.Module:
    """Fully connected network on the flattened input: `depth` hidden layers of `width` units."""
    layers: list[nn.Module] = [nn.Flatten()]
    features = math.prod(input_shape)
    for _ in range(depth):
        # BatchNorm has a bias of its own, so the layer before it needs none.
        layers.append(nn.Linear(features, width, bias=not batch_norm))
        if batch_norm:
            layers.append(nn.BatchNorm1d(width))
        layers += [ACTIVATIONS[activation](), nn.Dropout(dropout)]
        features = width
    return nn.Sequential(*layers, nn.Linear(features, num_outputs))


@hookimpl
def automl_architectures() -> list[Architecture]:
    """The architectures of this plugin."""
    return [mlp]
