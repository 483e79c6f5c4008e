"""GoogLeNet: four branches, and two classifiers inside that train with it and are gone at inference."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from automl import Infeasible
from automl.testing import examine
from automl.training.losses import loss_for, training_loss
from automl.training.serial import evaluate

CONFIG = {"width": 0.125, "kernel_size": 3, "auxiliary": True, "dropout": 0.0}


@pytest.fixture
def network(host: Any) -> nn.Module:
    torch.manual_seed(0)
    built: nn.Module = host.architecture("googlenet").build((1, 8, 8), 3, **CONFIG)
    return built


def test_a_block_is_the_four_branches_side_by_side(network: Any) -> None:
    block = network.parts[0][4]  # 3b
    x = torch.randn(2, 32, 8, 8)
    one, three, five, pooled = (branch(x) for branch in block.branches)
    assert [b.shape[1] for b in (one, three, five, pooled)] == [16, 24, 12, 8]
    torch.testing.assert_close(block(x), torch.cat([one, three, five, pooled], 1))


def test_the_auxiliary_classifiers_answer_in_training_only(network: nn.Module, host: Any) -> None:
    x = torch.randn(4, 1, 8, 8)
    assert [tuple(each.shape) for each in network(x)] == [(4, 3)] * 3
    assert network.eval()(x).shape == (4, 3)
    without = host.architecture("googlenet").build((1, 8, 8), 3, **{**CONFIG, "auxiliary": False})
    assert without(x).shape == (4, 3)
    assert sum(p.numel() for p in without.parameters()) < sum(p.numel() for p in network.parameters())


def test_what_is_minimised_has_three_tenths_of_the_auxiliary_losses(network: nn.Module) -> None:
    x, y = torch.randn(4, 1, 8, 8), torch.tensor([0, 1, 2, 0])
    outputs = network(x)
    loss = loss_for("classification")
    minimised, output = training_loss(loss, network, outputs, y)
    main, first, second = (F.cross_entropy(each, y) for each in outputs)
    torch.testing.assert_close(minimised, main + 0.3 * (first + second))
    assert output is outputs[0]
    minimised.backward()
    assert all(p.grad is not None and p.grad.any() for p in network.heads.parameters() if p.ndim > 1)


def test_a_fold_is_trained_with_them_and_scored_without(host: Any, make_recipe: Any, make_run: Any) -> None:
    run = make_run(make_recipe(host.architecture("googlenet"), lr=0.01, **CONFIG))
    before = None
    for results in run.advance(3, 1):
        heads = [p.detach().clone() for p in run.folds[0].network.heads.parameters()]
        assert before is None or not all(map(torch.equal, before, heads))
        before = heads
        scores = evaluate(run.folds[0], run.resident, loss_for("classification"), torch.float32, "accuracy")
        assert scores == (results[0].validation_loss, results[0].validation_metric)
        assert results[0].train_loss < 2 * 1.6  # of one classifier among three classes, not of three


def test_a_map_too_small_for_the_auxiliary_classifiers_is_infeasible_before_building(host: Any) -> None:
    build = host.architecture("googlenet").build
    with pytest.raises(Infeasible, match="image 7x9 leaves less than 4x4 for the auxiliary classifiers"):
        build((1, 7, 9), 3, **CONFIG)
    with torch.device("meta"):
        network = build((1, 7, 9), 3, **{**CONFIG, "auxiliary": False})
        assert network(torch.empty(2, 1, 7, 9)).shape == (2, 3)


class Talkative(nn.Module):
    """Returns a tuple at inference as well."""

    auxiliary_weight = 0.3

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        output = self.linear(x.flatten(1))
        return output, output


def test_auxiliary_outputs_at_inference_are_a_failure() -> None:
    from automl import architecture

    @architecture()
    def talkative(input_shape: Any, num_outputs: int) -> nn.Module:
        """Says too much."""
        return Talkative()

    problems = [c.problem for c in examine(talkative, (1, 2, 2), 2, random_configs=0)]
    assert "in eval mode the network returned tuple; it must return one tensor" in problems
