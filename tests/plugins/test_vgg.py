"""VGG by image size, and the bias that BatchNorm makes superfluous."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

CONFIG = {"variant": "vgg13", "width": 0.0625, "kernel_size": 3, "batch_norm": True, "dropout": 0.5}


def build(host: Any, shape: tuple[int, int, int], **config: Any) -> nn.Module:
    network: nn.Module = host.architecture("vgg").build(shape, 3, **{**CONFIG, **config})
    return network


@pytest.mark.parametrize(
    ("height", "width", "pools", "features"),
    [(16, 16, 4, 1), (31, 40, 4, 2), (32, 32, 5, 1), (64, 96, 5, 6), (224, 224, 5, 49), (256, 300, 5, 49)],
)
def test_images_are_pooled_as_often_as_they_can_be_and_photos_end_at_7x7(
    host: Any, height: int, width: int, pools: int, features: int
) -> None:
    with torch.device("meta"):
        network = build(host, (3, height, width))
        assert network(torch.empty(2, 3, height, width)).shape == (2, 3)
    modules = list(network.modules())
    dense = [m for m in modules if isinstance(m, nn.Linear)]
    assert sum(isinstance(m, nn.MaxPool2d) for m in modules) == pools
    assert [m.in_features for m in dense] == [32 * features, 256, 256]
    assert any(isinstance(m, nn.AdaptiveAvgPool2d) for m in modules) == (height > 255)


def test_the_bias_before_batch_norm_is_zero_and_stays_so(host: Any) -> None:
    torch.manual_seed(0)
    network = build(host, (1, 16, 16))
    trained = [p for p in network.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(trained, lr=0.1, weight_decay=0.1)
    network(torch.randn(4, 1, 16, 16)).square().mean().backward()
    optimizer.step()
    biases = [m.bias for m in network.modules() if isinstance(m, nn.Conv2d) and m.bias is not None]
    assert len(biases) == 10
    assert not any(bias.requires_grad or bias.any() for bias in biases)
    plain = build(host, (1, 16, 16), batch_norm=False)
    assert all(m.bias is not None and m.bias.requires_grad for m in plain.modules() if isinstance(m, nn.Conv2d))


def test_the_signal_reaches_the_end_of_the_deepest_network_without_batch_norm(host: Any) -> None:
    torch.manual_seed(0)
    network = build(host, (3, 32, 32), variant="vgg19", width=0.25, batch_norm=False, dropout=0.0)
    before_last = nn.Sequential(*list(network.children())[:-1])
    with torch.no_grad():
        assert 0.1 < before_last(torch.randn(4, 3, 32, 32)).std() < 10
