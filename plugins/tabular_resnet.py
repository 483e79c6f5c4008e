"""A residual network for tables.

Gorishniy, Rubachev, Khrulkov and Babenko (2021), 'Revisiting deep learning models for tabular data', section 3.2.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from automl import Architecture, Float, InputColumn, Int, architecture, hookimpl

from .number_embeddings import BINS, EMBEDDING, FREQUENCY, NUMBERS, Columns


class Block(nn.Module):
    """x + Dropout(Linear(Dropout(ReLU(Linear(BatchNorm(x))))))."""

    def __init__(self, width: int, hidden: int, dropout: float):
        super().__init__()
        self.layers = nn.Sequential(
            nn.BatchNorm1d(width),
            nn.Linear(width, hidden),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, width),
            nn.Dropout(dropout / 2),
        )

    def forward(self, x: Tensor) -> Tensor:
        """The block's output, as wide as `x`."""
        output: Tensor = x + self.layers(x)
        return output


class TabularResNet(nn.Module):
    """The columns as one vector, then `depth` blocks: [b, columns] -> [b, outputs]."""

    def __init__(self, columns: Columns, outputs: int, depth: int, width: int, dropout: float):
        super().__init__()
        self.columns = columns
        self.layers = nn.Sequential(
            nn.Linear(columns.width, width),
            *(Block(width, 2 * width, dropout) for _ in range(depth)),
            nn.BatchNorm1d(width),
            nn.ReLU(),
            nn.Linear(width, outputs),
        )

    def forward(self, x: Tensor) -> Tensor:
        """The output, [b, outputs]."""
        output: Tensor = self.layers(self.columns(x))
        return output

    def fit_input(self, x: Tensor) -> None:
        """Takes the bins of the numbers from the training part."""
        self.columns.fit(x)


@architecture(
    depth=Int(1, 6),
    width=Int(64, 512, log=True),
    dropout=Float(0.0, 0.5),
    numbers=NUMBERS,
    bins=BINS,
    embedding=EMBEDDING,
    frequency=FREQUENCY,
)
def tabular_resnet(
    input_shape: tuple[int, ...],
    num_outputs: int,
    *,
    columns: Sequence[InputColumn],
    depth: int,
    width: int,
    dropout: float,
    numbers: str,
    bins: int = 48,
    embedding: int = 12,
    frequency: float = 0.1,
) -> nn.Module:
    """Residual network for tables (Gorishniy et al., 2021): `depth` blocks with BatchNorm and skip connections."""
    inputs = Columns(columns, numbers, bins, embedding, frequency)
    return TabularResNet(inputs, num_outputs, depth, width, dropout)


@hookimpl
def automl_architectures() -> list[Architecture]:
    """The architectures of this plugin."""
    return [tabular_resnet]
