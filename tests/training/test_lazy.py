"""Lazy layers get their parameters before anything counts, trains, stacks or loads them."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from automl import Int, architecture
from automl.models.building import build_network
from automl.testing import check_architecture
from automl.training.lazy import has_lazy_layers, materialise
from automl.training.on_meta import check_on_meta


class WithHelper(nn.Module):
    """A lazy layer that only training uses, as an auxiliary classifier."""

    def __init__(self, num_outputs):
        super().__init__()
        self.body, self.helper, self.norm = nn.LazyLinear(5), nn.LazyLinear(num_outputs), nn.LazyBatchNorm1d()
        self.head = nn.LazyLinear(num_outputs)

    def forward(self, x):
        x = self.norm(self.body(x.flatten(1)))
        return self.head(x) + (0 * self.helper(x) if self.training else 0)


@architecture(width=Int(3, 8))
def lazy(input_shape, num_outputs, *, width):
    """Lazy layers."""
    return nn.Sequential(nn.Flatten(), nn.LazyLinear(width), nn.LazyBatchNorm1d(), nn.LazyLinear(num_outputs))


@architecture()
def not_on_meta(input_shape, num_outputs):
    """Computes with values when it is built, which meta does not have."""
    rates = [rate.item() for rate in torch.linspace(0, 0.5, 2)]
    return nn.Sequential(nn.Flatten(), nn.Dropout(rates[1]), nn.LazyLinear(num_outputs))


def test_their_parameters_are_counted_without_memory(make_recipe):
    assert (
        check_on_meta(make_recipe(lazy, width=3), (1, 8, 8), 10, None).parameters == (64 + 1) * 3 + 2 * 3 + (3 + 1) * 10
    )


def test_a_search_and_a_check_agree_on_networks_that_meta_cannot_build(make_recipe):
    assert check_on_meta(make_recipe(not_on_meta), (1, 8, 8), 10, None).parameters == 650
    (check,) = check_architecture(not_on_meta, (1, 8, 8), 10)
    assert (check.outcome, check.parameters, check.trained) == ("ok", 650, True)


def test_their_folds_are_trained_and_each_has_weights_of_its_own(make_recipe, make_run):
    run = make_run(make_recipe(lazy, width=3))
    list(run.advance(2, 2))
    first, second = ([p.detach() for p in fold.network.parameters()] for fold in run.folds[:2])
    assert [p.shape for p in first] == [(3, 64), (3,), (3,), (3,), (3, 3), (3,)]
    assert not torch.equal(first[0], second[0])


@pytest.mark.parametrize("training", [True, False])
def test_what_only_training_uses_is_reached_too_and_the_modes_stay(training):
    network = WithHelper(3).train(training)
    materialise(network, (1, 2, 2))
    assert not has_lazy_layers(network)
    assert all(module.training == training for module in network.modules())


def test_statistics_of_batch_norm_are_left_alone():
    network = lazy.build((4,), 2, width=3)
    materialise(network, (4,))
    assert network[2].num_batches_tracked == 0


def test_a_saved_model_is_built_with_its_parameters(tmp_path):
    (tmp_path / "mine.py").write_text(
        "from torch import nn\nfrom automl import architecture, hookimpl\n\n\n@architecture()\n"
        "def lazily(input_shape, num_outputs):\n    '''Lazy.'''\n    return nn.LazyLinear(num_outputs)\n\n\n"
        "@hookimpl\ndef automl_architectures():\n    return [lazily]\n"
    )
    about = {"architecture": "lazily", "architecture_config": {}, "input_shape": [4], "num_outputs": 2}
    assert build_network(about, plugins=[tmp_path / "mine.py"]).weight.shape == (2, 4)
