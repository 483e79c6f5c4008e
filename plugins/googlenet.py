"""GoogLeNet (Szegedy et al., 2014, 'Going deeper with convolutions'), with BatchNorm, as torchvision has it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from automl import Architecture, Choice, Float, Infeasible, architecture, hookimpl

SMALL_IMAGE = 48  # pixels up to which the layers before the first inception block keep the resolution
INCEPTIONS = (  # table 1, blocks 3a to 5b: 1x1; 3x3 reduce, 3x3; 5x5 reduce, 5x5; pool projection
    (64, 96, 128, 16, 32, 32),
    (128, 128, 192, 32, 96, 64),
    (192, 96, 208, 16, 48, 64),
    (160, 112, 224, 24, 64, 64),
    (128, 128, 256, 24, 64, 64),
    (112, 144, 288, 32, 64, 64),
    (256, 160, 320, 32, 128, 128),
    (256, 160, 320, 32, 128, 128),
    (384, 192, 384, 48, 128, 128),
)


def convolution(inputs: int, outputs: int, kernel_size: int, stride: int = 1) -> nn.Sequential:
    """A convolution, BatchNorm, and the activation."""
    conv = nn.Conv2d(inputs, outputs, kernel_size, stride, kernel_size // 2, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs, eps=1e-3), nn.ReLU())


class Inception(nn.Module):
    """Four branches side by side (figure 2b): [batch, inputs, h, w] -> [batch, `self.outputs`, h, w]."""

    def __init__(self, inputs: int, widths: tuple[int, ...], kernel_size: int):
        super().__init__()
        one, reduce3, three, reduce5, five, pooled = widths
        branches = [
            convolution(inputs, one, 1),
            nn.Sequential(convolution(inputs, reduce3, 1), convolution(reduce3, three, 3)),
            nn.Sequential(convolution(inputs, reduce5, 1), convolution(reduce5, five, kernel_size)),
            nn.Sequential(nn.MaxPool2d(3, 1, 1), convolution(inputs, pooled, 1)),
        ]
        self.branches = nn.ModuleList(branches)
        self.outputs = one + three + five + pooled

    def forward(self, x: Tensor) -> Tensor:
        """The outputs of the branches, one after the other."""
        return torch.cat([branch(x) for branch in self.branches], 1)


def auxiliary_head(inputs: int, channels: int, units: int, num_outputs: int) -> nn.Sequential:
    """A classifier on a map inside the network (section 5): 4x4 averages, 1x1 convolution, two dense layers."""
    dense = [nn.Linear(16 * channels, units), nn.ReLU(), nn.Dropout(0.7), nn.Linear(units, num_outputs)]
    return nn.Sequential(nn.AdaptiveAvgPool2d(4), convolution(inputs, channels, 1), nn.Flatten(), *dense)


class GoogLeNet(nn.Module):
    """The parts up to block 4a, up to 4d and after it, and the classifiers (`heads`) after the first two of them.

    In training with heads, [batch, channels, h, w] -> (output, output of head 1, of head 2); else only the output.
    """

    auxiliary_weight = 0.3  # of the losses of the heads, section 5

    def __init__(self, parts: Sequence[nn.Module], heads: Sequence[nn.Module], last: nn.Module):
        super().__init__()
        self.parts = nn.ModuleList(parts)
        self.heads = nn.ModuleList(heads)
        self.last = last

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, ...]:
        """The output; in training a tuple with those of the heads, if there are any."""
        features = []
        for part in self.parts:
            x = part(x)
            features.append(x)
        output: Tensor = self.last(x)
        if self.training and len(self.heads) > 0:
            return output, *(head(inside) for head, inside in zip(self.heads, features, strict=False))
        return output


@architecture(
    width=Float(0.125, 0.5, log=True),
    kernel_size=Choice(3, 5),
    auxiliary=Choice(True, False),
    dropout=Float(0.0, 0.6),
)
def googlenet(
    input_shape: tuple[int, ...], num_outputs: int, *, width: float, kernel_size: int, auxiliary: bool, dropout: float
) -> nn.Module:
    """GoogLeNet: nine inception blocks of four branches; `width` multiplies all layers, 1 is the paper's.

    `kernel_size` is that of the branch called 5x5: 5 in the paper, 3 in torchvision. `auxiliary` adds two classifiers
    inside, in training only.
    """
    if len(input_shape) != 3:
        raise Infeasible(f"googlenet needs images (channels, height, width), not the shape {tuple(input_shape)}")
    smallest = min(input_shape[1:])
    image = f"image {input_shape[1]}x{input_shape[2]}"
    inside = smallest // 2 if smallest <= SMALL_IMAGE else (smallest + 1) // 2 // 8  # the size at blocks 4a to 4e
    if inside < 1:
        raise Infeasible(f"googlenet: {image} is too small: it is pooled")
    if auxiliary and inside < 4:
        raise Infeasible(f"googlenet: {image} leaves less than 4x4 for the auxiliary classifiers; set auxiliary=false")

    def scaled(channels: int) -> int:
        return round(channels * width)

    thin, wide = scaled(64), scaled(192)
    if smallest <= SMALL_IMAGE:
        layers: list[nn.Module] = [convolution(input_shape[0], thin, 3)]
        layers += [convolution(thin, thin, 1), convolution(thin, wide, 3)]
    else:
        layers = [convolution(input_shape[0], thin, 7, 2), nn.MaxPool2d(3, 2, ceil_mode=True)]
        layers += [convolution(thin, thin, 1), convolution(thin, wide, 3), nn.MaxPool2d(3, 2, ceil_mode=True)]
    channels = wide
    parts, heads = [], []
    for number, widths in enumerate(INCEPTIONS):
        if number in (2, 7):  # before 4a and 5a
            layers.append(nn.MaxPool2d(3 if number == 2 else 2, 2, ceil_mode=True))
        block = Inception(channels, tuple(map(scaled, widths)), kernel_size)
        layers.append(block)
        channels = block.outputs
        if number in (2, 5):  # 4a and 4d
            parts.append(nn.Sequential(*layers))
            layers = []
            if auxiliary:
                heads.append(auxiliary_head(channels, scaled(128), scaled(1024), num_outputs))
    parts.append(nn.Sequential(*layers))
    last = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(dropout), nn.Linear(channels, num_outputs)]
    return GoogLeNet(parts, heads, nn.Sequential(*last))


@hookimpl
def automl_architectures() -> list[Architecture]:
    """The architectures of this plugin."""
    return [googlenet]
