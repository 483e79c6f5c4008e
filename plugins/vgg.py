"""VGG (Simonyan and Zisserman, 2014, 'Very deep convolutional networks for large-scale image recognition')."""

from __future__ import annotations

from torch import nn

from automl import Architecture, Choice, Float, Infeasible, architecture, hookimpl

CHANNELS = (64, 128, 256, 512, 512)
STAGES = {  # table 1, columns A, B, D and E: the number of convolutions in each of the five stages
    "vgg11": (1, 1, 2, 2, 2),
    "vgg13": (2, 2, 2, 2, 2),
    "vgg16": (2, 2, 3, 3, 3),
    "vgg19": (2, 2, 4, 4, 4),
}


def convolution(inputs: int, outputs: int, kernel_size: int, batch_norm: bool) -> list[nn.Module]:
    """A convolution that keeps the size, normalised or not, and its activation."""
    conv = nn.Conv2d(inputs, outputs, kernel_size, padding=kernel_size // 2)
    start(conv)
    if not batch_norm:
        return [conv, nn.ReLU()]
    assert conv.bias is not None
    # BatchNorm takes the bias out again. It is there for the reference's weights only: zero, and not trained.
    conv.bias.requires_grad_(False)
    return [conv, nn.BatchNorm2d(outputs), nn.ReLU()]


def start(layer: nn.Conv2d | nn.Linear) -> None:
    """Kaiming's initial weights: with torch's own the signal fades away in so many layers without BatchNorm."""
    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    assert layer.bias is not None
    nn.init.zeros_(layer.bias)


@architecture(
    variant=Choice(*STAGES),
    width=Float(0.0625, 0.5, log=True),
    kernel_size=Choice(3, 5, 7),
    batch_norm=Choice(True, False),
    dropout=Float(0.0, 0.6),
)
def vgg(
    input_shape: tuple[int, ...],
    num_outputs: int,
    *,
    variant: str,
    width: float,
    kernel_size: int,
    batch_norm: bool,
    dropout: float,
) -> nn.Module:
    """VGG: five stages of equal convolutions, three dense layers; `width` multiplies all layers, 1 is the paper's.

    Images under 32 pixels are not pooled after the first stage, those above 255 are averaged to 7x7 before the dense
    layers. `kernel_size` is 3 in the paper.
    """
    if len(input_shape) != 3:
        raise Infeasible(f"vgg needs images (channels, height, width), not the shape {tuple(input_shape)}")
    channels, height, breadth = input_shape
    pools = min(5, min(height, breadth).bit_length() - 1)
    if pools < 4:
        raise Infeasible(f"vgg: image {height}x{breadth} is too small: halved four times, it must have 16 pixels")
    layers: list[nn.Module] = []
    for stage, convolutions in enumerate(STAGES[variant]):
        outputs = round(CHANNELS[stage] * width)
        for _ in range(convolutions):
            layers += convolution(channels, outputs, kernel_size, batch_norm)
            channels = outputs
        if stage >= 5 - pools:
            layers.append(nn.MaxPool2d(2))
    size = (height >> pools, breadth >> pools)
    if max(size) > 7:
        size = (min(7, size[0]), min(7, size[1]))
        layers.append(nn.AdaptiveAvgPool2d(size))
    layers.append(nn.Flatten())
    features = channels * size[0] * size[1]
    for _ in range(2):
        dense = nn.Linear(features, round(4096 * width))
        start(dense)
        layers += [dense, nn.ReLU(), nn.Dropout(dropout)]
        features = dense.out_features
    return nn.Sequential(*layers, nn.Linear(features, num_outputs))


@hookimpl
def automl_architectures() -> list[Architecture]:
    """The architectures of this plugin."""
    return [vgg]
