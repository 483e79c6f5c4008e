"""LeNet-5 of the paper's size, and what becomes of photos."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

CONFIG = {"width": 1, "kernel_size": 5, "activation": "tanh", "batch_norm": False, "dropout": 0.0}


@pytest.mark.parametrize("size", [28, 32])
def test_digits_of_28_and_32_pixels_end_in_the_papers_16_maps_of_5x5(host: Any, size: int) -> None:
    with torch.device("meta"):
        network = host.architecture("lenet").build((1, size, size), 10, **CONFIG)
    dense = [m for m in network.modules() if isinstance(m, nn.Linear)]
    assert [(m.in_features, m.out_features) for m in dense] == [(400, 120), (120, 84), (84, 10)]


@pytest.mark.parametrize(("size", "stride"), [(64, 1), (65, 2), (128, 2), (129, 4), (224, 4)])
def test_photos_are_reduced_by_the_first_convolution(host: Any, size: int, stride: int) -> None:
    with torch.device("meta"):
        network = host.architecture("lenet").build((3, size, size), 10, **CONFIG)
        assert network(torch.empty(2, 3, size, size)).shape == (2, 10)
    first = next(m for m in network.modules() if isinstance(m, nn.Conv2d))
    assert first.stride == (stride, stride)
    assert sum(p.numel() for p in network.parameters()) < 500_000


@pytest.mark.parametrize(("pooling", "layer"), [("max", nn.MaxPool2d), ("average", nn.AvgPool2d)])
def test_the_two_poolings_are_of_the_kind_asked_for(host: Any, pooling: str, layer: type[nn.Module]) -> None:
    network = host.architecture("lenet").build((1, 8, 8), 10, pooling=pooling, **CONFIG)
    assert sum(isinstance(m, layer) for m in network.modules()) == 2
