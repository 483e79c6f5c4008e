"""DenseNet: each layer sees all before it; transitions halve channels and resolution."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from automl import Infeasible

CONFIG = {"variant": "cifar", "depth": 3, "growth_rate": 4, "kernel_size": 3, "dropout": 0.0}


def test_channels_grow_in_blocks_and_are_halved_with_the_resolution_between_them(host: Any) -> None:
    network = host.architecture("densenet").build((1, 8, 8), 3, **CONFIG).eval()
    x, shapes = torch.randn(2, 1, 8, 8), []
    for layer in network.children():
        previous, x = x, layer(x)
        if type(layer).__name__ == "DenseLayer":
            torch.testing.assert_close(x[:, : previous.shape[1]], previous)
            shapes.append((*previous.shape[1:3], x.shape[1]))
    assert shapes == [
        *((8, 8, 12), (12, 8, 16), (16, 8, 20)),
        *((10, 4, 14), (14, 4, 18), (18, 4, 22)),
        *((11, 2, 15), (15, 2, 19), (19, 2, 23)),
    ]


@pytest.mark.parametrize(("size", "kernel", "stride"), [(48, 3, 1), (49, 7, 2)])
def test_small_images_keep_their_resolution_in_the_first_convolution(
    host: Any, size: int, kernel: int, stride: int
) -> None:
    with torch.device("meta"):
        network = host.architecture("densenet").build((1, size, size), 3, **CONFIG)
    first = next(m for m in network.modules() if isinstance(m, nn.Conv2d))
    assert (first.kernel_size[0], first.stride[0]) == (kernel, stride)


def test_an_image_that_cannot_be_halved_often_enough_is_infeasible(host: Any) -> None:
    build = host.architecture("densenet").build
    with pytest.raises(Infeasible, match="image 3x9 is too small: cifar halves it 2 times"):
        build((1, 3, 9), 3, **CONFIG)
    with pytest.raises(Infeasible, match="image 7x7 is too small: densenet121 halves it 3 times"):
        build((1, 7, 7), 3, variant="densenet121", growth_rate=4, kernel_size=3, dropout=0.0)


def test_dropout_is_in_every_layer_and_only_in_training(host: Any) -> None:
    network = host.architecture("densenet").build((1, 8, 8), 3, **{**CONFIG, "dropout": 0.5})
    drops = [m for m in network.modules() if isinstance(m, nn.Dropout)]
    assert [m.p for m in drops] == [0.5] * 9
    x = torch.randn(2, 1, 8, 8)
    assert not torch.equal(network(x), network(x))
    network.eval()
    assert torch.equal(network(x), network(x))
