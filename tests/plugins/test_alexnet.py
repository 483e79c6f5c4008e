"""AlexNet: the paper's normalisation of responses, its sizes, and which convolution sees which image."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from automl import Infeasible

CONFIG = {"depth": 3, "width": 0.0625, "kernel_size": 5, "norm": "lrn", "dropout": 0.5}


def build(host: Any, size: int, **config: Any) -> nn.Module:
    network: nn.Module = host.architecture("alexnet").build((3, size, size), 4, **{**CONFIG, **config})
    return network


def test_responses_are_normalised_by_the_formula_of_section_3_3(host: Any) -> None:
    norms = [m for m in build(host, 32).modules() if isinstance(m, nn.LocalResponseNorm)]
    assert len(norms) == 2
    a = 30 * torch.randn(2, 16, 3, 3, generator=torch.Generator().manual_seed(0))
    expected = torch.empty_like(a)
    for i in range(16):
        squares = a[:, max(0, i - 2) : min(15, i + 2) + 1].square().sum(1)
        expected[:, i] = a[:, i] / (2 + 1e-4 * squares) ** 0.75
    torch.testing.assert_close(norms[0](a), expected)


def test_maps_have_the_papers_sizes(host: Any) -> None:
    with torch.device("meta"):
        network, x = build(host, 224), torch.empty(1, 3, 224, 224)
        sizes = []
        for layer in network.children():
            x = layer(x)
            if isinstance(layer, nn.Conv2d | nn.MaxPool2d):
                sizes.append(x.shape[-1])
    assert sizes == [55, 27, 27, 13, 13, 13, 13, 6]


@pytest.mark.parametrize(("size", "kernel", "stride"), [(15, 5, 1), (48, 5, 1), (49, 7, 2), (112, 7, 2), (113, 11, 4)])
def test_the_first_convolution_is_chosen_by_the_size_of_the_image(
    host: Any, size: int, kernel: int, stride: int
) -> None:
    with torch.device("meta"):
        network = build(host, size)
        assert network(torch.empty(2, 3, size, size)).shape == (2, 4)
    first = next(m for m in network.modules() if isinstance(m, nn.Conv2d))
    assert (first.kernel_size[0], first.stride[0]) == (kernel, stride)
    with pytest.raises(Infeasible, match="image 14x14 is too small"):
        build(host, 14)


@pytest.mark.parametrize("norm", ["lrn", "batch", "none"])
def test_depth_counts_the_3x3_convolutions_and_only_the_first_two_dense_layers_drop(host: Any, norm: str) -> None:
    modules = list(build(host, 32, depth=2, norm=norm).modules())
    kinds = [type(m) for m in modules]
    convolutions = [m for m in modules if isinstance(m, nn.Conv2d)]
    assert [(m.out_channels, m.kernel_size[0]) for m in convolutions] == [(6, 5), (16, 5), (24, 3), (16, 3)]
    assert [m.bias is None for m in convolutions] == [norm == "batch"] * 4
    assert kinds.count(nn.BatchNorm2d) == (4 if norm == "batch" else 0)
    assert kinds[-7:] == [nn.Linear, nn.ReLU, nn.Dropout, nn.Linear, nn.ReLU, nn.Dropout, nn.Linear]


def test_a_fold_is_trained_in_the_layout_of_images(host: Any, make_recipe: Any, make_run: Any) -> None:
    from automl.data.sources.arrays import from_arrays

    generator = torch.Generator().manual_seed(0)
    y = torch.arange(30) % 3
    x: Tensor = torch.randint(0, 100, (30, 16, 16), generator=generator) + 60 * y[:, None, None]
    dataset = from_arrays(x.to(torch.uint8).numpy(), y.numpy())
    run = make_run(make_recipe(host.architecture("alexnet"), lr=0.01, **{**CONFIG, "dropout": 0.0}), dataset)
    losses = [results[0].train_loss for results in run.advance(4, 1)]
    assert losses[-1] < losses[0]
