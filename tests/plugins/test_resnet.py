"""The small family that recorded tables speak of, and the stems by image size."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

PLAIN = {"width": 4, "kernel_size": 3, "dropout": 0.25}


def build(host: Any, size: int, **config: Any) -> nn.Module:
    with torch.device("meta"):
        network: nn.Module = host.architecture("resnet").build((1, size, size), 3, **{**PLAIN, **config})
    return network


@pytest.mark.parametrize(
    ("variant", "size", "kernel", "stride", "pools"),
    [
        ("small", 20, 5, 1, 1), ("small", 21, 5, 1, 2), ("small", 64, 5, 1, 2), ("small", 65, 5, 2, 2),
        ("cifar", 48, 5, 1, 0), ("cifar", 49, 7, 2, 1),
        ("resnet18", 48, 5, 1, 0), ("resnet50", 49, 7, 2, 1),
    ],
)  # fmt: skip
def test_small_images_keep_their_resolution_and_photos_do_not(
    host: Any, variant: str, size: int, kernel: int, stride: int, pools: int
) -> None:
    network = build(host, size, variant=variant, kernel_size=5)
    first = next(m for m in network.modules() if isinstance(m, nn.Conv2d))
    assert (first.kernel_size, first.stride) == ((kernel, kernel), (stride, stride))
    assert sum(isinstance(m, nn.MaxPool2d) for m in network.modules()) == pools


def test_the_small_family_is_the_default_and_keeps_its_tensors(host: Any) -> None:
    # Checkpoints and recorded tables of before mean this network.
    network = build(host, 8, depth=1)
    expected = [("0.weight", (4, 1, 3, 3)), ("1.weight", (4,)), ("1.bias", (4,))]
    for block, (inputs, outputs) in enumerate([(4, 4), (4, 8)], start=4):
        for convolution, norm, channels in ((0, 1, inputs), (3, 4, outputs)):
            expected.append((f"{block}.body.{convolution}.weight", (outputs, channels, 3, 3)))
            expected += [(f"{block}.body.{norm}.{tensor}", (outputs,)) for tensor in ("weight", "bias")]
        if inputs != outputs:
            expected.append((f"{block}.shortcut.0.weight", (outputs, inputs, 1, 1)))
            expected += [(f"{block}.shortcut.1.{tensor}", (outputs,)) for tensor in ("weight", "bias")]
    expected += [("9.weight", (3, 8)), ("9.bias", (3,))]
    named = build(host, 8, variant="small", depth=1).named_parameters()
    assert [(name, tuple(p.shape)) for name, p in network.named_parameters()] == expected
    assert [(name, tuple(p.shape)) for name, p in named] == expected


def test_a_block_without_change_of_shape_has_a_plain_shortcut_and_adds_its_body(host: Any) -> None:
    torch.manual_seed(0)
    network = host.architecture("resnet").build((1, 8, 8), 3, **PLAIN).eval()
    x = torch.randn(2, 4, 8, 8)
    same, changing = network[4], network[5]
    torch.testing.assert_close(same(x), (x + same.body(x)).relu())
    torch.testing.assert_close(changing(x), (changing.shortcut(x) + changing.body(x)).relu())
    assert changing(x).shape == (2, 8, 4, 4)
