"""A trained backbone and a new head: what the plugins of pretrained networks have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from automl import Choice, Float

RANDOM = "random"
TUNING: dict[str, Any] = {
    "tuning": Choice("head", "last", "all"),
    "backbone_lr_ratio": Float(0.01, 1.0, log=True, when={"tuning": ("last", "all")}),
    "stage_lr_ratio": Float(0.5, 1.0, when={"tuning": ("last", "all")}),
    "statistics": Choice("frozen", "adapted", when={"tuning": ("last", "all")}),
    "hidden": Choice(0, 128, 512),
    "dropout": Float(0.0, 0.5),
}
"""How a network of stages is trained, for its plugin's parameters.

`tuning`: the new layers are trained alone (`head`), with the last stages, or with all of them. `backbone_lr_ratio`: the
learning rate of the last stage, as a share of that of the new layers; `stage_lr_ratio`: that of each stage before, as a
share of the next one's (Howard and Ruder, 2018). `statistics` of BatchNorm stay as they were, or are measured on.
`hidden`, `dropout`: as in `new_layers`.
"""

GREY = (0.299, 0.587, 0.114)  # ITU-R BT.601: the luma of red, green and blue


class Finetuned(nn.Module):
    """`backbone`, images -> features, and `head`, features -> outputs: [batch, channels, h, w] -> [batch, num_outputs].

    Images are resized to `size`; one channel is repeated to the `channels` of the backbone, three are made grey for a
    backbone of one. Where nothing of the backbone is trained, `frozen` names it: its features are computed once.
    """

    frozen: str
    lr_ratios: dict[str, float]
    pixel_mean: list[float]
    pixel_std: list[float]
    rebuild_config: dict[str, Any]

    def __init__(self, backbone: nn.Module, head: nn.Module, *, size: tuple[int, int], channels: int = 3):
        super().__init__()
        self.backbone, self.head = backbone, head
        self.image_size, self.channels = size, channels

    def features(self, x: Tensor) -> Tensor:
        """What the backbone makes of images."""
        if x.shape[1] == 1 and self.channels > 1:
            x = x.expand(-1, self.channels, -1, -1)
        elif x.shape[1] == 3 and self.channels == 1:
            x = (x * x.new_tensor(GREY).view(1, 3, 1, 1)).sum(1, keepdim=True)
        if tuple(x.shape[-2:]) != self.image_size:
            shrunk = self.image_size[0] < x.shape[-2] or self.image_size[1] < x.shape[-1]
            x = nn.functional.interpolate(x, self.image_size, mode="bilinear", antialias=shrunk)
        made = self.backbone(x)
        features: Tensor = made[0] if isinstance(made, tuple) else made  # else auxiliary classifiers
        return features

    def forward(self, x: Tensor) -> Tensor:
        """The outputs of the head on the features."""
        out: Tensor = self.head(self.features(x))
        return out

    def train(self, mode: bool = True) -> Finetuned:
        """Training mode for what is trained: frozen parts keep the statistics of BatchNorm and have no dropout."""
        super().train(mode)
        for module in self.backbone.modules():
            parameters = list(module.parameters())
            if parameters and not any(p.requires_grad for p in parameters):
                module.eval()
        return self


class TunedStages(nn.Sequential):
    """The last stages of a trained network, as the first layers of a head."""

    statistics = "adapted"

    def train(self, mode: bool = True) -> TunedStages:
        """Training mode, but for BatchNorm whose statistics are frozen."""
        super().train(mode)
        if self.statistics == "frozen":
            for module in self.modules():
                if isinstance(module, _BatchNorm):
                    module.eval()
        return self


def without_inplace(network: nn.Module) -> None:
    """Its layers leave their inputs as they are: a gradient needs what was there before."""
    for module in network.modules():
        if getattr(module, "inplace", False):
            vars(module)["inplace"] = False


def new_layers(features: int, num_outputs: int, hidden: int, dropout: float) -> nn.Sequential:
    """Dropout and a linear layer, with `hidden` units between where they are not 0: [b, features] -> [b, num_outputs].

    The linear layer begins with zeros: the first gradients that a backbone gets are not those of random classes.
    """
    last = nn.Linear(hidden or features, num_outputs)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    layers = [nn.Linear(features, hidden, bias=False), nn.BatchNorm1d(hidden), nn.ReLU()] if hidden else []
    return nn.Sequential(*layers, nn.Dropout(dropout), last)


def split_stages(
    stages: Sequence[nn.Module],
    tuned: int,
    new: nn.Module,
    *,
    backbone_lr_ratio: float,
    stage_lr_ratio: float,
    statistics: str,
) -> tuple[nn.Module, nn.Module, dict[str, float]]:
    """(backbone, head, lr_ratios) for `Finetuned`, where the last `tuned` of the `stages` are trained with `new`."""
    kept, trained = list(stages[: len(stages) - tuned]), list(stages[len(stages) - tuned :])
    backbone = nn.Sequential(*kept).requires_grad_(False)
    if not trained:
        return backbone, new, {}
    last = TunedStages(*trained)
    last.statistics = statistics
    depths = range(len(trained) - 1, -1, -1)
    ratios = {f"head.0.{n}.": backbone_lr_ratio * stage_lr_ratio**depth for n, depth in enumerate(depths)}
    return backbone, nn.Sequential(last, new), ratios


def scaled_size(input_shape: tuple[int, ...], size: int) -> tuple[int, int]:
    """Height and width of images of this shape once their shorter side is `size`."""
    _, height, width = input_shape
    scale = size / min(height, width)
    return round(height * scale), round(width * scale)
