"""The two ways of a table into a network: as a flat vector, and by its columns."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from automl import Infeasible, InputColumn, Int, architecture
from automl.data.table_inputs import ONE_HOT
from automl.testing import check_architecture
from automl.training.input_layer import FlatTable, build_network, flat_width
from automl.training.network import parameters_by_ratio

COLUMNS = (
    InputColumn("town", "category", 4),
    InputColumn("age", "number"),
    InputColumn("street", "category", ONE_HOT + 2),
    InputColumn("age is missing", "number"),
)


@architecture()
def flat(input_shape, num_outputs):
    """A network on a flat vector."""
    network = nn.Sequential(nn.Flatten(), nn.Linear(*input_shape, num_outputs))
    network.lr_ratios = {"1.": 0.5}
    return network


@architecture(width=Int(1, 8))
def by_column(input_shape, num_outputs, *, columns, width):
    """An embedding of each category beside the numbers."""

    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.places = [place for place, column in enumerate(columns) if column.kind == "category"]
            self.numbers = [place for place, column in enumerate(columns) if column.kind == "number"]
            self.embeddings = nn.ModuleList(nn.Embedding(columns[place].cardinality, width) for place in self.places)
            self.head = nn.Linear(len(self.numbers) + width * len(self.places), num_outputs)

        def forward(self, x):
            parts = [embed(x[:, place].long()) for place, embed in zip(self.places, self.embeddings, strict=True)]
            return self.head(torch.cat([x[:, self.numbers], *parts], 1))

    assert input_shape == (len(columns),)
    return Network()


def test_a_flat_network_is_given_numbers_one_hot_values_and_a_learnt_vector_of_many_values():
    network = build_network(flat, {}, (4,), 2, COLUMNS)
    assert isinstance(network, FlatTable)
    seen = []
    network.network[0].register_forward_hook(lambda module, args, output: seen.append(output))
    network(torch.tensor([[2.0, 0.5, 0, 1], [0, -1, 7, 0]]))
    assert seen[0].shape == (2, flat_width(COLUMNS))
    assert seen[0][:, :5].tolist() == [[0.5, 1, 0, 1, 0], [-1, 0, 0, 0, 0]]
    assert not seen[0][0, 5:].any()
    assert seen[0][1, 5:].all()


def test_what_a_flat_network_says_of_itself_is_heard():
    network = build_network(flat, {}, (4,), 2, COLUMNS)
    ratios = {ratio: len(parameters) for ratio, parameters in parameters_by_ratio(network).items()}
    assert ratios == {0.5: 2, 1.0: 1}
    assert not hasattr(network, "auxiliary_weight")


def test_a_table_of_numbers_goes_into_a_flat_network_as_it_is():
    assert isinstance(build_network(flat, {}, (2,), 2, (COLUMNS[1], COLUMNS[3])), nn.Sequential)


def test_an_architecture_that_asks_for_columns_is_given_them_and_no_images():
    network = build_network(by_column, {"width": 3}, (4,), 2, COLUMNS)
    assert network(torch.tensor([[2.0, 0.5, 31, 1]])).shape == (1, 2)
    with pytest.raises(Infeasible, match="by_column is for tables, and these are images"):
        build_network(by_column, {"width": 3}, (1, 8, 8), 2)


def test_an_architecture_that_asks_for_columns_is_checked_on_a_table():
    assert {check.outcome for check in check_architecture(by_column, random_configs=2)} == {"ok"}
