"""Fully connected networks."""

from __future__ import annotations

import math

from torch import nn

from automl import Architecture, Choice, Float, Int, architecture, hookimpl

ACTIVATIONS = {"relu": nn.ReLU, "gelu": nn.GELU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid}
GAINS = {"tanh": 5 / 3, "sigmoid": 4.0}  # torch's for tanh; 4 undoes the slope 1/4 of the sigmoid


def start(layer: nn.Linear, activation: str) -> None:
    """Initial weights that keep the signal's size through `activation`.

    Kaiming's (He et al., 2015) before relu and gelu, which pass one half; Xavier's (Glorot and Bengio, 2010) before
    tanh and sigmoid, times the gain of each. Biases start at zero.
    """
    if activation in ("relu", "gelu"):
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    else:
        nn.init.xavier_normal_(layer.weight, GAINS[activation])
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)


@architecture(
    depth=Int(1, 4),
    width=Int(32, 512, log=True),
    activation=Choice("relu", "gelu", "tanh", "sigmoid"),
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
        dense = nn.Linear(features, width, bias=not batch_norm)
        start(dense, activation)
        layers.append(dense)
        if batch_norm:
            layers.append(nn.BatchNorm1d(width))
        layers += [ACTIVATIONS[activation](), nn.Dropout(dropout)]
        features = width
    return nn.Sequential(*layers, nn.Linear(features, num_outputs))


@hookimpl
def automl_architectures() -> list[Architecture]:
    """The architectures of this plugin."""
    return [mlp]
