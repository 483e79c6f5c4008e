"""The way of a table into a network: by its columns, where the architecture asks for them, or as a flat vector."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from automl.data.table_inputs import ONE_HOT
from automl.data.tables.features import InputColumn
from automl.errors import Infeasible
from automl.hooks.declarations import Architecture


def build_network(
    architecture: Architecture,
    config: Mapping[str, Any],
    input_shape: tuple[int, ...],
    num_outputs: int,
    columns: Sequence[InputColumn] = (),
) -> Any:
    """What the architecture's `build` makes for images (no `columns`), or for the columns of a table.

    A builder without the parameter `columns` is given a flat vector, see `FlatTable`. Raises what the plugin raises,
    and `Infeasible` where images are to go into an architecture for tables.
    """
    if architecture.takes_columns:
        if not columns:
            raise Infeasible(f"{architecture.name} is for tables, and these are images of the shape {input_shape}")
        return architecture.build((len(columns),), num_outputs, columns=tuple(columns), **config)
    flat = (flat_width(columns),) if columns else input_shape
    network = architecture.build(flat, num_outputs, **config)
    if all(column.kind == "number" for column in columns) or not isinstance(network, nn.Module):
        return network
    return FlatTable(network, columns)


def flat_width(columns: Sequence[InputColumn]) -> int:
    """How many numbers `FlatTable` makes of the columns."""
    return sum(_width(column) for column in columns)


class FlatTable(nn.Module):
    """A network on flat vectors, for a table with categories: [b, columns] -> [b, flat_width(columns)] -> its output.

    The numbers come first. A category of up to `ONE_HOT` values is an input for each, all 0 for the code 0; one of more
    is a vector that is learnt, which begins as 0 for the code 0. What the network says of itself, this says too.
    """

    def __init__(self, network: nn.Module, columns: Sequence[InputColumn]):
        super().__init__()
        self.network = network
        categories = [(place, column) for place, column in enumerate(columns) if column.kind == "category"]
        self._numbers = [place for place, column in enumerate(columns) if column.kind == "number"]
        self._one_hot = [(place, column.cardinality) for place, column in categories if not _is_embedded(column)]
        self._embedded = [place for place, column in categories if _is_embedded(column)]
        self.embeddings = nn.ModuleList(
            nn.Embedding(column.cardinality, _width(column)) for _, column in categories if _is_embedded(column)
        )
        with torch.no_grad():
            for embedding in self.embeddings:
                weight = embedding.weight
                assert isinstance(weight, Tensor)
                nn.init.uniform_(weight, -(weight.shape[1] ** -0.5), weight.shape[1] ** -0.5)
                weight[0] = 0

    def forward(self, x: Tensor) -> Any:
        """What the network makes of [b, columns]."""
        return self.network(self.flat(x))

    def flat(self, x: Tensor) -> Tensor:
        """The columns [b, columns] as the network gets them."""
        parts = [x[:, self._numbers]]
        for place, cardinality in self._one_hot:
            parts.append((x[:, place : place + 1] == torch.arange(1, cardinality, device=x.device)).to(x.dtype))
        for place, embedding in zip(self._embedded, self.embeddings, strict=True):
            parts.append(embedding(x[:, place].long()).to(x.dtype))
        return torch.cat(parts, 1)

    def __getattr__(self, name: str) -> Any:
        """What the network says of itself, see `automl.training.network`."""
        try:
            return super().__getattr__(name)
        except AttributeError:
            if name == "network":  # not there yet
                raise
            found = getattr(self.network, name)
        if name == "lr_ratios":
            return {f"network.{prefix}": ratio for prefix, ratio in found.items()}
        return (lambda x: found(self.flat(x))) if name == "fit_input" else found


def _is_embedded(column: InputColumn) -> bool:
    return column.cardinality - 1 > ONE_HOT


def _width(column: InputColumn) -> int:
    """Inputs of a column; of an embedding by fastai's rule of thumb, 1.6 n^0.56, at most 50 here."""
    if column.kind == "number":
        return 1
    if not _is_embedded(column):
        return column.cardinality - 1
    return int(min(50, 1.6 * column.cardinality**0.56))
