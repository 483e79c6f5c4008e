"""AlexNet (Krizhevsky, Sutskever and Hinton, 2012, 'ImageNet classification with deep convolutional networks')."""

from __future__ import annotations

from torch import nn

from automl import Architecture, Choice, Float, Infeasible, Int, architecture, hookimpl


def convolution(inputs: int, outputs: int, kernel_size: int, norm: str, stride: int = 1) -> list[nn.Module]:
    """A convolution, its activation, and BatchNorm between the two or local response normalisation after them."""
    padding = 2 if kernel_size == 11 else kernel_size // 2  # 2 makes the paper's 55x55 of 224x224
    conv = nn.Conv2d(inputs, outputs, kernel_size, stride, padding, bias=norm != "batch")
    if norm == "batch":
        return [conv, nn.BatchNorm2d(outputs), nn.ReLU()]
    if norm == "lrn":
        # Section 3.3: k + 1e-4 times the sum over 5 channels. torch divides alpha by 5, so it gets 5 times as much.
        return [conv, nn.ReLU(), nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2.0)]
    return [conv, nn.ReLU()]


@architecture(
    depth=Int(1, 3),
    width=Float(0.0625, 0.5, log=True),
    kernel_size=Choice(3, 5),
    norm=Choice("lrn", "batch", "none"),
    dropout=Float(0.0, 0.6),
)
def alexnet(
    input_shape: tuple[int, ...],
    num_outputs: int,
    *,
    depth: int,
    width: float,
    kernel_size: int,
    norm: str,
    dropout: float,
) -> nn.Module:
    """AlexNet: five convolutions, three of them pooled, three dense layers; `width` multiplies all layers.

    The paper's, in one piece and not on two GPUs, has depth 3 (3x3 convolutions), width 1, kernel_size 5 (of the
    second convolution), norm lrn and dropout 0.5. The first convolution is 11x11 with stride 4 on photos only.
    """
    if len(input_shape) != 3:
        raise Infeasible(f"alexnet needs images (channels, height, width), not the shape {tuple(input_shape)}")
    smallest = min(input_shape[1:])
    kernel, stride = (11, 4) if smallest > 112 else (7, 2) if smallest > 48 else (5, 1)
    trimmed = 6 if kernel == 11 else 0  # what the padding of the first convolution does not make up for
    size = [(s - trimmed - 1) // stride + 1 for s in input_shape[1:]]
    for _ in range(3):
        size = [(s - 3) // 2 + 1 for s in size]
    if min(size) < 1:
        raise Infeasible(
            f"alexnet: image {input_shape[1]}x{input_shape[2]} is too small: three poolings (3x3, stride 2) need 15x15"
        )
    first, second, third = (round(channels * width) for channels in (96, 256, 384))
    # Normalisation of responses stands after the first two convolutions, BatchNorm after all.
    rest = "batch" if norm == "batch" else "none"
    layers = [*convolution(input_shape[0], first, kernel, norm, stride), nn.MaxPool2d(3, 2)]
    layers += [*convolution(first, second, kernel_size, norm), nn.MaxPool2d(3, 2)]
    channels = second
    for outputs in (third,) * (depth - 1) + (second,):
        layers += convolution(channels, outputs, 3, rest)
        channels = outputs
    layers += [nn.MaxPool2d(3, 2), nn.Flatten()]
    features = channels * size[0] * size[1]
    for _ in range(2):
        layers += [nn.Linear(features, round(4096 * width)), nn.ReLU(), nn.Dropout(dropout)]
        features = round(4096 * width)
    for layer in layers:
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    return nn.Sequential(*layers, nn.Linear(features, num_outputs))


@hookimpl
def automl_architectures() -> list[Architecture]:
    """The architectures of this plugin."""
    return [alexnet]
