"""Residual networks (He et al., 2015, 'Deep residual learning for image recognition')."""

from __future__ import annotations

from torch import Tensor, nn

from automl import Architecture, Choice, Float, Infeasible, Int, architecture, hookimpl

TINY_IMAGE = 20  # pixels up to which one pooled convolution replaces the first stage of variant `small`, not two
SMALL_IMAGE = 48  # pixels up to which the first convolution keeps the resolution


class Block(nn.Module):
    """`body` beside a shortcut (a 1x1 projection where the shape changes).

    [batch, inputs, h, w] -> [batch, outputs, h / stride, w / stride].
    """

    def __init__(self, body: nn.Module, inputs: int, outputs: int, stride: int):
        super().__init__()
        self.body = body
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(*convolution(inputs, outputs, 1, stride))
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """The block's output."""
        out: Tensor = self.relu(self.body(x) + self.shortcut(x))
        return out


def convolution(inputs: int, outputs: int, kernel_size: int, stride: int = 1) -> list[nn.Module]:
    """A convolution without bias, for BatchNorm follows it."""
    return [nn.Conv2d(inputs, outputs, kernel_size, stride, kernel_size // 2, bias=False), nn.BatchNorm2d(outputs)]


def pooled(inputs: int, outputs: int, kernel_size: int, stride: int = 1) -> list[nn.Module]:
    """A convolution whose output is halved by pooling."""
    return [*convolution(inputs, outputs, kernel_size, stride), nn.ReLU(), nn.MaxPool2d(2, ceil_mode=True)]


def basic(inputs: int, width: int, kernel_size: int, stride: int) -> Block:
    """Two convolutions of `width` channels (figure 5, left)."""
    body = [*convolution(inputs, width, kernel_size, stride), nn.ReLU(), *convolution(width, width, kernel_size)]
    return Block(nn.Sequential(*body), inputs, width, stride)


def bottleneck(inputs: int, width: int, kernel_size: int, stride: int) -> Block:
    """1x1 down to `width` channels, one convolution there, 1x1 up to 4 x `width` (figure 5, right).

    The stride is in the middle, as in torchvision; the paper has it in front.
    """
    middle = [*convolution(inputs, width, 1), nn.ReLU(), *convolution(width, width, kernel_size, stride), nn.ReLU()]
    return Block(nn.Sequential(*middle, *convolution(width, 4 * width, 1)), inputs, 4 * width, stride)


VARIANTS = {  # table 1: the block, its growth in channels, the number of blocks in each stage
    "resnet18": (basic, 1, (2, 2, 2, 2)),
    "resnet34": (basic, 1, (3, 4, 6, 3)),
    "resnet50": (bottleneck, 4, (3, 4, 6, 3)),
    "resnet101": (bottleneck, 4, (3, 4, 23, 3)),
}


def stem(variant: str, channels: int, width: int, kernel_size: int, smallest: int) -> list[nn.Module]:
    """The layers before the first block, for images whose smaller side has `smallest` pixels."""
    if variant == "small":
        # Pooled convolutions in the place of the first stage: on 32x32 photos a better loss for half the work.
        if smallest <= TINY_IMAGE:
            return pooled(channels, width, kernel_size)
        first = pooled(channels, width // 2, kernel_size, 1 if smallest <= 64 else 2)
        return [*first, *pooled(width // 2, width, kernel_size)]
    kernel, stride, pool = 7, 2, True  # table 1
    if smallest <= SMALL_IMAGE:  # section 4.2
        kernel, stride, pool = kernel_size, 1, False
    layers = [*convolution(channels, width, kernel, stride), nn.ReLU()]
    return [*layers, nn.MaxPool2d(3, 2, 1)] if pool else layers


@architecture(
    variant=Choice("small", "cifar", *VARIANTS),
    depth=Int(1, 3, when={"variant": ("small", "cifar")}),
    width=Int(8, 64, log=True),
    kernel_size=Choice(3, 5),
    dropout=Float(0.0, 0.5),
)
def resnet(
    input_shape: tuple[int, ...],
    num_outputs: int,
    *,
    variant: str = "small",
    depth: int = 1,
    width: int,
    kernel_size: int,
    dropout: float,
) -> nn.Module:
    """Residual network: `width` channels, doubling at each stage; resnet18 to resnet101 are the paper's at width 64.

    `cifar` has three stages of `depth` basic blocks, so 6 x `depth` + 2 layers (the paper's at width 16); `small` has
    pooled convolutions in the place of the first stage. `kernel_size` is 3 in the paper.
    """
    if len(input_shape) != 3:
        raise Infeasible(f"resnet needs images (channels, height, width), not the shape {tuple(input_shape)}")
    smallest = min(input_shape[1:])
    own = (depth,) * (2 if variant == "small" else 3)
    block, growth, stages = VARIANTS.get(variant, (basic, 1, own))
    layers = stem(variant, input_shape[0], width, kernel_size, smallest)
    channels = width
    for stage, blocks in enumerate(stages):
        for number in range(blocks):
            stride = 2 if stage > 0 and number == 0 else 1
            layers.append(block(channels, width * 2**stage, kernel_size, stride))
            channels = growth * width * 2**stage
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(dropout), nn.Linear(channels, num_outputs)]
    return nn.Sequential(*layers)


@hookimpl
def automl_architectures() -> list[Architecture]:
    """The architectures of this plugin."""
    return [resnet]
