"""ResNet-9, made to be trained fast on small photos (Page, 2018, 'How to Train Your ResNet', myrtle.ai, part 4)."""

from __future__ import annotations

from torch import Tensor, nn

from automl import Architecture, Float, Infeasible, Int, architecture, hookimpl

OUTPUT_SCALE = 0.125  # the paper's: keeps the logits small while the learning rate is high
HALVINGS = 3


class Residual(nn.Module):
    """Two convolutions beside the identity. [b, c, h, w] -> the same."""

    def __init__(self, channels: int):
        super().__init__()
        self.body = nn.Sequential(convolution(channels, channels), convolution(channels, channels))

    def forward(self, x: Tensor) -> Tensor:
        """x + body(x)."""
        out: Tensor = x + self.body(x)
        return out


class Scaled(nn.Linear):
    """A linear layer whose output is multiplied by `OUTPUT_SCALE`."""

    def forward(self, x: Tensor) -> Tensor:
        """[b, features] -> [b, outputs]."""
        return OUTPUT_SCALE * super().forward(x)


def convolution(inputs: int, outputs: int, pooled: bool = False) -> nn.Sequential:
    """A 3x3 convolution with BatchNorm and ReLU, halved by pooling if `pooled`."""
    layers = [nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]
    return nn.Sequential(*layers, *([nn.MaxPool2d(2, ceil_mode=True)] if pooled else []))


@architecture(width=Int(16, 64, step=16), dropout=Float(0.0, 0.3))
def resnet9(input_shape: tuple[int, ...], num_outputs: int, *, width: int, dropout: float) -> nn.Module:
    """ResNet-9: a convolution of `width` channels, then three that double and are pooled, two of them with a residual.

    The paper's has width 64 and no dropout.
    """
    if len(input_shape) != 3:
        raise Infeasible(f"resnet9 needs images (channels, height, width), not the shape {tuple(input_shape)}")
    if min(input_shape[1:]) < 2**HALVINGS:
        raise Infeasible(
            f"resnet9: image {input_shape[1]}x{input_shape[2]} is too small: halved {HALVINGS} times, "
            f"it must have {2**HALVINGS} pixels"
        )
    return nn.Sequential(
        convolution(input_shape[0], width),
        convolution(width, 2 * width, pooled=True),
        Residual(2 * width),
        convolution(2 * width, 4 * width, pooled=True),
        convolution(4 * width, 8 * width, pooled=True),
        Residual(8 * width),
        nn.AdaptiveMaxPool2d(1),
        nn.Flatten(),
        nn.Dropout(dropout),
        Scaled(8 * width, num_outputs),
    )


@hookimpl
def automl_architectures() -> list[Architecture]:
    """The architectures of this plugin."""
    return [resnet9]
