"""Residual networks (He et al., 2015, 'Deep residual learning', section 4.2: the CIFAR family)."""

from __future__ import annotations

from torch import Tensor, nn

from automl import Architecture, Choice, Float, Infeasible, Int, architecture, hookimpl


class BasicBlock(nn.Module):
    """Two convolutions with BatchNorm beside a shortcut (a 1x1 projection where the shape changes).

    [batch, inputs, h, w] -> [batch, outputs, h / stride, w / stride].
    """

    def __init__(self, inputs: int, outputs: int, kernel_size: int, stride: int):
        super().__init__()
        pad = kernel_size // 2
        self.body = nn.Sequential(
            nn.Conv2d(inputs, outputs, kernel_size, stride, pad, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
            nn.Conv2d(outputs, outputs, kernel_size, 1, pad, bias=False),
            nn.BatchNorm2d(outputs),
        )
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """The block's output."""
        out: Tensor = self.relu(self.body(x) + self.shortcut(x))
        return out


@architecture(
    depth=Int(1, 3),
    width=Int(8, 32, log=True),
    kernel_size=Choice(3, 5),
    dropout=Float(0.0, 0.5),
)
def resnet(
    input_shape: tuple[int, ...], num_outputs: int, *, depth: int, width: int, kernel_size: int, dropout: float
) -> nn.Module:
    """Residual network: three stages of `depth` basic blocks, `width` channels doubling at each stage."""
    if len(input_shape) != 3:
        raise Infeasible(f"resnet needs images (channels, height, width), not the shape {tuple(input_shape)}")
    smallest = min(input_shape[1:])
    pad = kernel_size // 2
    # Small images keep their resolution in the stem, photos are reduced to a quarter first (section 4.1 of the paper).
    stem_stride = 1 if smallest <= 20 else 2
    layers: list[nn.Module] = [
        nn.Conv2d(input_shape[0], width, kernel_size, stem_stride, pad, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(),
    ]
    if smallest > 64:
        layers.append(nn.MaxPool2d(3, 2, 1))
    channels = width
    for stage in range(3):
        for block in range(depth):
            stride = 2 if stage > 0 and block == 0 else 1
            layers.append(BasicBlock(channels, width * 2**stage, kernel_size, stride))
            channels = width * 2**stage
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(dropout), nn.Linear(channels, num_outputs)]
    return nn.Sequential(*layers)


@hookimpl
def automl_architectures() -> list[Architecture]:
    """The architectures of this plugin."""
    return [resnet]
