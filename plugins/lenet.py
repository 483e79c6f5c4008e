"""LeNet-5 (LeCun et al., 1998, 'Gradient-based learning applied to document recognition', figure 2)."""

from __future__ import annotations

from torch import nn

from automl import Architecture, Choice, Float, Infeasible, Int, architecture, hookimpl

ACTIVATIONS = {"relu": nn.ReLU, "tanh": nn.Tanh}
POOLINGS = {"max": nn.MaxPool2d, "average": nn.AvgPool2d}


@architecture(
    width=Int(1, 6),
    kernel_size=Choice(3, 5),
    activation=Choice("relu", "tanh"),
    pooling=Choice("max", "average"),
    batch_norm=Choice(True, False),
    dropout=Float(0.0, 0.6),
)
def lenet(
    input_shape: tuple[int, ...],
    num_outputs: int,
    *,
    width: int,
    kernel_size: int,
    activation: str,
    pooling: str = "max",
    batch_norm: bool,
    dropout: float,
) -> nn.Module:
    """LeNet-5: two convolutions, each pooled, then dense layers of 120 and 84; `width` multiplies all of them.

    The paper's has width 1, kernel_size 5, activation tanh, pooling average, no BatchNorm and no dropout.
    """
    if len(input_shape) != 3:
        raise Infeasible(f"lenet needs images (channels, height, width), not the shape {tuple(input_shape)}")
    channels, act = input_shape[0], ACTIVATIONS[activation]
    size = list(input_shape[1:])
    layers: list[nn.Module] = []
    # Photos are reduced by the first convolution, else the dense layers would be huge.
    first = 1 if min(size) <= 64 else 2 if min(size) <= 128 else 4
    for out, smallest, stride in ((6 * width, 32, first), (16 * width, 20, 1)):
        # The paper pads its 28x28 digits to 32x32; under 20 pixels the second convolution keeps the size as well.
        padding = kernel_size // 2 if min(input_shape[1:]) < smallest else 0
        size = [((s + 2 * padding - kernel_size) // stride + 1) // 2 for s in size]
        if min(size) < 1:
            raise Infeasible(f"lenet: image {input_shape[1]}x{input_shape[2]} is too small: it pools twice")
        layers.append(nn.Conv2d(channels, out, kernel_size, stride, padding, bias=not batch_norm))
        if batch_norm:
            layers.append(nn.BatchNorm2d(out))
        layers += [act(), POOLINGS[pooling](2)]
        channels = out
    layers.append(nn.Flatten())
    features = channels * size[0] * size[1]
    for out in (120 * width, 84 * width):
        layers += [nn.Linear(features, out), act(), nn.Dropout(dropout)]
        features = out
    return nn.Sequential(*layers, nn.Linear(features, num_outputs))


@hookimpl
def automl_architectures() -> list[Architecture]:
    """The architectures of this plugin."""
    return [lenet]
