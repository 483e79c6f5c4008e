"""A fully connected network for tables, with embeddings of numbers and the tricks of RealMLP, each of them a choice.

Gorishniy, Rubachev and Babenko (2022), 'On embeddings for numerical features in tabular deep learning'; Holzmüller,
Grinsztajn and Steinwart (2024), 'Better by default: strong pre-tuned MLPs and boosted trees on tabular data'.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from automl import Architecture, Choice, Float, InputColumn, Int, architecture, hookimpl

from .number_embeddings import BINS, EMBEDDING, FREQUENCY, NUMBERS, Columns

ACTIVATIONS = {"relu": nn.ReLU, "silu": nn.SiLU, "selu": nn.SELU, "mish": nn.Mish}
CLIP = 3.0  # deviations, which smooth clipping approaches but never passes


class Scaling(nn.Module):
    """A learnt factor for each input, which begins as 1: columns that say nothing are soon faded out."""

    def __init__(self, inputs: int):
        super().__init__()
        self.factor = nn.Parameter(torch.ones(inputs))

    def forward(self, x: Tensor) -> Tensor:
        """The inputs times their factors."""
        return x * self.factor


class Parametric(nn.Module):
    """An activation that each unit may fade out: x + a (f(x) - x), with a learnt `a` that begins as 1."""

    def __init__(self, activation: nn.Module, units: int):
        super().__init__()
        self.activation = activation
        self.share = nn.Parameter(torch.ones(units))

    def forward(self, x: Tensor) -> Tensor:
        """The activation, as far as it is wanted."""
        return torch.lerp(x, self.activation(x), self.share.to(x.dtype))


class TabularMLP(nn.Module):
    """The columns as one vector, then the layers: [b, columns] -> [b, outputs]."""

    def __init__(self, columns: Columns, layers: nn.Sequential, clipped: Sequence[int], factor: float):
        super().__init__()
        self.columns = columns
        self.layers = layers
        self._clipped = list(clipped)
        if factor != 1:
            self.lr_ratios = {"layers.0.factor": factor}

    def forward(self, x: Tensor) -> Tensor:
        """The output, [b, outputs]."""
        if self._clipped:
            x = x.clone()
            numbers = x[:, self._clipped]
            x[:, self._clipped] = numbers * torch.rsqrt(1 + (numbers / CLIP) ** 2)
        output: Tensor = self.layers(self.columns(x))
        return output

    def fit_input(self, x: Tensor) -> None:
        """Takes the bins of the numbers from the training part [m, columns]."""
        if self._clipped:
            x = x.clone()
            x[:, self._clipped] *= torch.rsqrt(1 + (x[:, self._clipped] / CLIP) ** 2)
        self.columns.fit(x)


@architecture(
    depth=Int(1, 5),
    width=Int(64, 512, log=True),
    activation=Choice("relu", "silu", "selu", "mish"),
    parametric=Choice(True, False),
    dropout=Float(0.0, 0.5),
    scaling=Choice(True, False),
    clip=Choice(True, False),
    numbers=NUMBERS,
    bins=BINS,
    embedding=EMBEDDING,
    frequency=FREQUENCY,
)
def tabular_mlp(
    input_shape: tuple[int, ...],
    num_outputs: int,
    *,
    columns: Sequence[InputColumn],
    depth: int,
    width: int,
    activation: str,
    parametric: bool,
    dropout: float,
    scaling: bool,
    clip: bool,
    numbers: str,
    bins: int = 48,
    embedding: int = 12,
    frequency: float = 0.1,
) -> nn.Module:
    """Fully connected network for tables: embedded numbers, and RealMLP's scaling layer, clipping and activations."""
    inputs = Columns(columns, numbers, bins, embedding, frequency)
    layers: list[nn.Module] = [Scaling(inputs.width)] if scaling else []
    units = inputs.width
    for _ in range(depth):
        chosen = ACTIVATIONS[activation]()
        dense = nn.Linear(units, width)
        nn.init.kaiming_normal_(dense.weight, nonlinearity="selu" if activation == "selu" else "relu")
        layers += [dense, Parametric(chosen, width) if parametric else chosen, nn.Dropout(dropout)]
        units = width
    layers.append(nn.Linear(units, num_outputs))
    clipped = [place for place, column in enumerate(columns) if column.kind == "number"] if clip else []
    return TabularMLP(inputs, nn.Sequential(*layers), clipped, 6.0 if scaling else 1.0)


@hookimpl
def automl_architectures() -> list[Architecture]:
    """The architectures of this plugin."""
    return [tabular_mlp]
