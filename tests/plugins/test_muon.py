"""Muon: matrices as torch.optim.Muon has it, convolutions as the matrices that they are, all else as AdamW."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

LR, DECAY = 0.05, 0.1


def gradients(shape: tuple[int, ...], steps: int = 3) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(shape, generator=generator) for _ in range(steps)]


def taken(make: Any, shape: tuple[int, ...], layout: torch.memory_format = torch.contiguous_format) -> Tensor:
    """The weight after a step with each of the gradients of this shape; `make` builds the optimizer of a group."""
    weight = nn.Parameter(torch.ones(shape).to(memory_format=layout))
    optimizer = make([{"params": [weight], "weight_decay": DECAY}])
    for gradient in gradients(shape):
        weight.grad = gradient.to(memory_format=layout)
        optimizer.step()
    return weight.detach()


@pytest.fixture
def muon(host: Any) -> Any:
    return lambda groups: host.optimizer("muon").build(groups, LR, momentum=0.95)


@pytest.mark.parametrize("shape", [(6, 40), (40, 6), (12, 12)])
def test_a_matrix_is_stepped_as_torchs_muon_does(muon: Any, shape: tuple[int, ...]) -> None:
    theirs = getattr(torch.optim, "Muon", None)
    if theirs is None:
        pytest.skip("this torch has no Muon")
    expected = taken(lambda groups: theirs(groups, LR, momentum=0.95, adjust_lr_fn="match_rms_adamw"), shape)
    # Torch iterates in bfloat16.
    torch.testing.assert_close(taken(muon, shape), expected, atol=0.02, rtol=0)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_a_convolution_is_the_matrix_of_its_filters(muon: Any, layout: torch.memory_format) -> None:
    shape = (8, 3, 5, 5)
    weight = nn.Parameter(torch.ones(8, 75))
    optimizer = muon([{"params": [weight], "weight_decay": DECAY}])
    for gradient in gradients(shape):
        weight.grad = gradient.flatten(1)
        optimizer.step()
    torch.testing.assert_close(taken(muon, shape, layout).flatten(1), weight.detach())


def test_all_singular_values_of_a_step_are_about_one_and_its_vectors_are_those_of_the_gradient(host: Any) -> None:
    made = host.optimizer("muon").build([{"params": [weight := nn.Parameter(torch.zeros(20, 30))]}], 1.0, momentum=0.9)
    weight.grad = gradients((20, 30))[0]
    made.step()
    left, values, right = torch.linalg.svd(-weight.detach() / (0.2 * 30**0.5), full_matrices=False)
    assert 0.6 < values.min() <= values.max() < 1.3
    nearest, _, other = torch.linalg.svd(weight.grad, full_matrices=False)
    # The orthogonal factor of the polar decomposition is the closest matrix with singular values of one.
    assert torch.linalg.matrix_norm(left @ right - nearest @ other) < 1e-3


def test_what_has_one_dimension_is_stepped_by_adamw(muon: Any) -> None:
    adamw = lambda groups: torch.optim.AdamW(groups, LR, betas=(0.9, 0.95))  # noqa: E731
    torch.testing.assert_close(taken(muon, (7,)), taken(adamw, (7,)))


def test_a_restored_optimizer_goes_on_to_the_bit(muon: Any) -> None:
    def parameters() -> list[nn.Parameter]:
        return [nn.Parameter(torch.ones(4, 3)), nn.Parameter(torch.ones(4))]

    def step(optimizer: Any, weights: list[nn.Parameter], number: int) -> None:
        for weight in weights:
            weight.grad = gradients(tuple(weight.shape))[number]
        optimizer.step()

    weights = parameters()
    optimizer = muon([{"params": weights, "weight_decay": DECAY}])
    step(optimizer, weights, 0)
    others = [nn.Parameter(weight.detach().clone()) for weight in weights]
    restored = muon([{"params": others, "weight_decay": DECAY}])
    restored.load_state_dict(deepcopy(optimizer.state_dict()))
    for number in (1, 2):
        step(optimizer, weights, number)
        step(restored, others, number)
    assert all(torch.equal(a, b) for a, b in zip(weights, others, strict=True))
