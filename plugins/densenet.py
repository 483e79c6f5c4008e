"""DenseNet (Huang et al., 2016, 'Densely connected convolutional networks'): the BC form, with bottlenecks."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from automl import Architecture, Choice, Float, Infeasible, Int, architecture, hookimpl

SMALL_IMAGE = 48  # pixels up to which the first convolution keeps the resolution
VARIANTS = {"densenet121": (6, 12, 24, 16), "densenet169": (6, 12, 32, 32)}  # table 1: the layers in each block


def convolution(inputs: int, outputs: int, kernel_size: int) -> list[nn.Module]:
    """BatchNorm, activation and a convolution that keeps the size."""
    conv = nn.Conv2d(inputs, outputs, kernel_size, padding=kernel_size // 2, bias=False)
    return [nn.BatchNorm2d(inputs), nn.ReLU(), conv]


class DenseLayer(nn.Module):
    """Adds `growth_rate` channels to its input: [batch, c, h, w] -> [batch, c + growth_rate, h, w]."""

    def __init__(self, inputs: int, growth_rate: int, kernel_size: int, dropout: float):
        super().__init__()
        narrow = convolution(inputs, 4 * growth_rate, 1)
        new = convolution(4 * growth_rate, growth_rate, kernel_size)
        self.body = nn.Sequential(*narrow, *new, nn.Dropout(dropout))

    def forward(self, x: Tensor) -> Tensor:
        """The input, then the new channels."""
        return torch.cat([x, self.body(x)], 1)


def stem(channels: int, outputs: int, smallest: int) -> list[nn.Module]:
    """The layers before the first block, for images whose smaller side has `smallest` pixels."""
    if smallest <= SMALL_IMAGE:
        return [nn.Conv2d(channels, outputs, 3, padding=1, bias=False)]
    conv = nn.Conv2d(channels, outputs, 7, 2, 3, bias=False)
    return [conv, nn.BatchNorm2d(outputs), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]


@architecture(
    variant=Choice("cifar", *VARIANTS),
    depth=Int(2, 16, log=True, when={"variant": "cifar"}),
    growth_rate=Int(6, 32, log=True),
    kernel_size=Choice(3, 5),
    dropout=Float(0.0, 0.5),
)
def densenet(
    input_shape: tuple[int, ...],
    num_outputs: int,
    *,
    variant: str,
    depth: int = 1,
    growth_rate: int,
    kernel_size: int,
    dropout: float,
) -> nn.Module:
    """DenseNet-BC: blocks in which each layer adds `growth_rate` channels and sees those of all layers before it.

    `cifar` has three blocks of `depth` layers (the paper's DenseNet-BC-100: depth 16, growth_rate 12); densenet121 and
    densenet169 are the paper's at growth_rate 32. `kernel_size` is 3 there.
    """
    if len(input_shape) != 3:
        raise Infeasible(f"densenet needs images (channels, height, width), not the shape {tuple(input_shape)}")
    smallest = min(input_shape[1:])
    blocks = VARIANTS.get(variant, (depth,) * 3)
    halvings = len(blocks) - 1
    if smallest < 2**halvings:
        size = f"{input_shape[1]}x{input_shape[2]}"
        raise Infeasible(f"densenet: image {size} is too small: {variant} halves it {halvings} times")
    channels = 2 * growth_rate
    layers = stem(input_shape[0], channels, smallest)
    for number, depth_of_block in enumerate(blocks):
        if number > 0:  # the transition: half of the channels, half of the resolution
            layers += [*convolution(channels, channels // 2, 1), nn.AvgPool2d(2)]
            channels //= 2
        for _ in range(depth_of_block):
            layers.append(DenseLayer(channels, growth_rate, kernel_size, dropout))
            channels += growth_rate
    layers += [nn.BatchNorm2d(channels), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return nn.Sequential(*layers, nn.Linear(channels, num_outputs))


@hookimpl
def automl_architectures() -> list[Architecture]:
    """The architectures of this plugin."""
    return [densenet]
