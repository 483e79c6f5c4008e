"""Network in network: nothing dense, and outputs of both signs."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

CONFIG = {"depth": 3, "width": 12, "kernel_size": 5, "batch_norm": False, "dropout": 0.0}


@pytest.mark.parametrize("depth", [2, 3, 4])
def test_it_has_three_convolutions_a_block_and_no_dense_layer(host: Any, depth: int) -> None:
    network = host.architecture("nin").build((3, 32, 32), 7, **{**CONFIG, "depth": depth})
    modules = list(network.modules())
    kernels = [m.kernel_size[0] for m in modules if isinstance(m, nn.Conv2d)]
    assert kernels == [5, 1, 1] * (depth - 1) + [3, 1, 1]
    assert not [m for m in modules if isinstance(m, nn.Linear)]
    assert sum(isinstance(m, nn.MaxPool2d) for m in modules) == depth - 1


def test_an_output_is_the_mean_of_its_map_and_may_be_negative(host: Any) -> None:
    torch.manual_seed(0)
    network = host.architecture("nin").build((3, 16, 16), 20, **CONFIG).eval()
    with torch.no_grad():
        x = torch.randn(4, 3, 16, 16)
        maps = nn.Sequential(*list(network.children())[:-2])(x)
        output = network(x)
    assert maps.shape == (4, 20, 4, 4)
    torch.testing.assert_close(output, maps.mean((2, 3)))
    assert output.min() < 0 < output.max()
