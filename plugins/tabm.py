"""TabM: many networks that share nearly all of their weights, trained together.

Gorishniy, Kotelnikov and Babenko (2025), 'TabM: advancing tabular deep learning with parameter-efficient ensembling'.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from automl import Architecture, Float, InputColumn, Int, architecture, hookimpl

from .number_embeddings import BINS, EMBEDDING, FREQUENCY, NUMBERS, Columns


def _uniform(tensor: Tensor, inputs: int) -> nn.Parameter:
    return nn.Parameter(tensor.uniform_(-(inputs**-0.5), inputs**-0.5))


class SharedLinear(nn.Module):
    """A linear layer of k members: one weight matrix, and each member's factors of its inputs and outputs, and bias.

    [b, k, inputs] -> [b, k, outputs]: BatchEnsemble (Wen, Tran and Ba, 2020). Factors begin as 1, but the first layer's
    on its inputs: that is where members differ from the start.
    """

    def __init__(self, inputs: int, outputs: int, members: int):
        super().__init__()
        self.weight = _uniform(torch.empty(outputs, inputs), inputs)
        self.factor_in = nn.Parameter(torch.ones(members, inputs))
        self.factor_out = nn.Parameter(torch.ones(members, outputs))
        self.bias = nn.Parameter(torch.empty(outputs).uniform_(-(inputs**-0.5), inputs**-0.5).repeat(members, 1))

    def forward(self, x: Tensor) -> Tensor:
        """The layer's output, [b, k, outputs]."""
        return torch.addcmul(self.bias, nn.functional.linear(x * self.factor_in, self.weight), self.factor_out)


class TabM(nn.Module):
    """`members` networks of `depth` layers on the same embedded columns: [b, columns] -> [b, members, outputs]."""

    def __init__(self, columns: Columns, outputs: int, members: int, depth: int, width: int, dropout: float):
        super().__init__()
        self.ensemble_size = members
        self.columns = columns
        layers: list[nn.Module] = []
        inputs = columns.width
        for _ in range(depth):
            layers += [SharedLinear(inputs, width, members), nn.ReLU(), nn.Dropout(dropout)]
            inputs = width
        self.body = nn.Sequential(*layers)
        self._begin(columns.chunks)
        self.weight = _uniform(torch.empty(members, width, outputs), width)
        self.bias = _uniform(torch.empty(members, outputs), width)

    def _begin(self, chunks: Sequence[int]) -> None:
        """A random factor for each column and member; of a number that is not embedded its sign alone."""
        first = self.body[0]
        assert isinstance(first, SharedLinear)
        drawn = [torch.randn(self.ensemble_size, 1) for _ in chunks]
        drawn = [each.sign() if size == 1 else each for each, size in zip(drawn, chunks, strict=True)]
        with torch.no_grad():
            first.factor_in.copy_(
                torch.cat([each.expand(-1, size) for each, size in zip(drawn, chunks, strict=True)], 1)
            )

    def forward(self, x: Tensor) -> Tensor:
        """What each member says, [b, members, outputs]: the training averages."""
        hidden = self.body(self.columns(x).unsqueeze(1))
        return torch.einsum("bki,kio->bko", hidden, self.weight.to(hidden.dtype)) + self.bias

    def fit_input(self, x: Tensor) -> None:
        """Takes the bins of the numbers from the training part."""
        self.columns.fit(x)


@architecture(
    members=Int(4, 32, log=True),
    depth=Int(1, 4),
    width=Int(64, 512, log=True),
    dropout=Float(0.0, 0.5),
    numbers=NUMBERS,
    bins=BINS,
    embedding=EMBEDDING,
    frequency=FREQUENCY,
)
def tabm(
    input_shape: tuple[int, ...],
    num_outputs: int,
    *,
    columns: Sequence[InputColumn],
    members: int,
    depth: int,
    width: int,
    dropout: float,
    numbers: str,
    bins: int = 48,
    embedding: int = 12,
    frequency: float = 0.1,
) -> nn.Module:
    """TabM (Gorishniy et al., 2025) for tables: `members` MLPs that share their weights but for a few factors."""
    inputs = Columns(columns, numbers, bins, embedding, frequency)
    return TabM(inputs, num_outputs, members, depth, width, dropout)


@hookimpl
def automl_architectures() -> list[Architecture]:
    """The architectures of this plugin."""
    return [tabm]
