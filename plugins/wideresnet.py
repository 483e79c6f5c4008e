"""Wide residual networks (Zagoruyko and Komodakis, 2016, arXiv 1605.07146)."""

from __future__ import annotations

from torch import Tensor, nn

from automl import Architecture, Float, Infeasible, Int, architecture, hookimpl

CHANNELS = 16  # of the first convolution, and of a stage of width 1
STAGES = 3


class Block(nn.Module):
    """Two convolutions, each behind BatchNorm and ReLU, with dropout between them (figure 1d).

    [batch, inputs, h, w] -> [batch, outputs, h / stride, w / stride]. Where the shape changes, the shortcut is a 1x1
    convolution of what the first BatchNorm and ReLU have made, as in the authors' code.
    """

    def __init__(self, inputs: int, outputs: int, kernel_size: int, stride: int, dropout: float):
        super().__init__()
        self.activated = nn.Sequential(nn.BatchNorm2d(inputs), nn.ReLU())
        self.body = nn.Sequential(
            convolution(inputs, outputs, kernel_size, stride),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
            nn.Dropout(dropout),
            convolution(outputs, outputs, kernel_size),
        )
        same = stride == 1 and inputs == outputs
        self.projection = None if same else nn.Conv2d(inputs, outputs, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """The block's output."""
        activated = self.activated(x)
        shortcut = x if self.projection is None else self.projection(activated)
        out: Tensor = self.body(activated) + shortcut
        return out


def convolution(inputs: int, outputs: int, kernel_size: int, stride: int = 1) -> nn.Conv2d:
    """A convolution without bias, as BatchNorm comes before or after it."""
    return nn.Conv2d(inputs, outputs, kernel_size, stride, kernel_size // 2, bias=False)


@architecture(
    depth=Int(1, 4),
    width=Int(1, 10, log=True),
    kernel_size=Int(3, 5, step=2),
    dropout=Float(0.0, 0.4),
)
def wideresnet(
    input_shape: tuple[int, ...], num_outputs: int, *, depth: int, width: int, kernel_size: int, dropout: float
) -> nn.Module:
    """WRN-n-k: three stages of `depth` blocks, n = 6 x `depth` + 4, of 16, 32 and 64 channels times `width`, k.

    WRN-16-4 has `depth` 2 and `width` 4, WRN-28-10 the paper's best `depth` 4 and `width` 10, with dropout 0.3.
    """
    if len(input_shape) != 3:
        raise Infeasible(f"wideresnet needs images (channels, height, width), not the shape {tuple(input_shape)}")
    layers: list[nn.Module] = [convolution(input_shape[0], CHANNELS, kernel_size)]
    channels = CHANNELS
    for stage in range(STAGES):
        for number in range(depth):
            outputs = CHANNELS * width * 2**stage
            stride = 2 if stage > 0 and number == 0 else 1
            layers.append(Block(channels, outputs, kernel_size, stride, dropout))
            channels = outputs
    layers += [
        nn.BatchNorm2d(channels),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(channels, num_outputs),
    ]
    return nn.Sequential(*layers)


@hookimpl
def automl_architectures() -> list[Architecture]:
    """The architectures of this plugin."""
    return [wideresnet]
