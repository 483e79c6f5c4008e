"""Network in network (Lin, Chen and Yan, 2013)."""

from __future__ import annotations

from torch import nn

from automl import Architecture, Choice, Float, Infeasible, Int, architecture, hookimpl


def mlpconv(
    inputs: int, widths: tuple[int, ...], kernel_size: int, batch_norm: bool, stride: int = 1
) -> list[nn.Module]:
    """A convolution and 1x1 convolutions after it, each with its activation: a small network slid over the image."""
    layers: list[nn.Module] = []
    for number, outputs in enumerate(widths):
        kernel, step = (kernel_size, stride) if number == 0 else (1, 1)
        conv = nn.Conv2d(inputs, outputs, kernel, step, kernel // 2, bias=not batch_norm)
        nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
        if conv.bias is not None:
            nn.init.zeros_(conv.bias)
        layers += [conv, nn.BatchNorm2d(outputs), nn.ReLU()] if batch_norm else [conv, nn.ReLU()]
        inputs = outputs
    return layers


@architecture(
    depth=Int(2, 4),
    width=Int(16, 192, log=True),
    kernel_size=Choice(3, 5),
    batch_norm=Choice(True, False),
    dropout=Float(0.0, 0.6),
)
def nin(
    input_shape: tuple[int, ...],
    num_outputs: int,
    *,
    depth: int,
    width: int,
    kernel_size: int,
    batch_norm: bool,
    dropout: float,
) -> nn.Module:
    """Network in network: `depth` blocks of a convolution and two 1x1 convolutions, averaged at the end, none dense.

    The authors' network for CIFAR-10 has depth 3, width 192, kernel_size 5 (3 in the last block), no BatchNorm and
    dropout 0.5 between the blocks.
    """
    if len(input_shape) != 3:
        raise Infeasible(f"nin needs images (channels, height, width), not the shape {tuple(input_shape)}")
    smallest = min(input_shape[1:])
    # Small images keep their resolution in the first block, photos are reduced to an eighth by it.
    first, stride = (11, 4) if smallest > 112 else (7, 2) if smallest > 48 else (kernel_size, 1)
    widths: tuple[int, ...] = (width, width * 5 // 6, width // 2)
    layers = mlpconv(input_shape[0], widths, first, batch_norm, stride)
    for block in range(1, depth):
        layers += [nn.MaxPool2d(3, 2, 1), nn.Dropout(dropout)]
        last = block == depth - 1
        channels, widths = widths[-1], (width, width) if last else (width, width, width)
        layers += mlpconv(channels, widths, 3 if last else kernel_size, batch_norm)
    # The last 1x1 convolution makes the outputs. The authors rectify them, which a regression could not bear.
    return nn.Sequential(*layers, nn.Conv2d(width, num_outputs, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten())


@hookimpl
def automl_architectures() -> list[Architecture]:
    """The architectures of this plugin."""
    return [nin]
