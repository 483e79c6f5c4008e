"""Transfer learning: a backbone that was trained on other images, with a new head (Yosinski et al., 2014)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from automl import Architecture, Choice, Float, Infeasible, Text, architecture, hookimpl

from .backbones import (
    RANDOM,
    SAVED,
    TORCHVISION,
    build_backbone,
    describe_saved,
    download_url,
    expected_pixels,
    find_parts,
    is_downloaded,
    read_weights,
)
from .finetuning import Finetuned, scaled_size, without_inplace


class Transfer(Finetuned):
    """`backbone`, which has nothing in the place of the modules of its own head `end`, and a new head.

    `load_weights` fills the backbone `name` with `weights`.
    """

    def __init__(
        self, name: str, weights: str, backbone: nn.Module, end: tuple[str, ...], head: nn.Module, **shape: Any
    ):
        for module_name in end:
            backbone.set_submodule(module_name, nn.Identity())
        super().__init__(backbone, head, **shape)
        self.name, self.weights, self.end = name, weights, end
        without_inplace(backbone)

    def read_weights(self) -> dict[str, Tensor]:
        """The backbone's weights. Raises `BadInput` when they cannot be read or do not fit."""
        state: dict[str, Tensor] = read_weights(self.name, self.weights, self.backbone, self.end)
        return state

    def weights_url(self) -> str:
        """Where `load_weights` would download the weights from; "" when they are on this machine."""
        return download_url(self.name, self.weights) if self.weights != RANDOM else ""

    def load_weights(self) -> None:
        """Fills the backbone and takes over the preprocessing of its weights. Raises `BadInput` as `read_weights`."""
        if self.weights != RANDOM:
            self.backbone.load_state_dict(self.read_weights(), strict=False)  # what may lack is known to be harmless
        pixels = expected_pixels(self.name, self.weights)
        if pixels is not None:
            self.pixel_mean, self.pixel_std = pixels


@architecture(
    backbone=Choice(TORCHVISION[0], SAVED, *TORCHVISION[1:]),
    weights=Text("DEFAULT"),
    size=Choice(64, 128, 224, when={"backbone": TORCHVISION}),
    tuning=Choice("all", "last", "head"),
    backbone_lr_ratio=Float(0.01, 1.0, log=True, when={"tuning": ("all", "last")}),
    dropout=Float(0.0, 0.5),
)
def transfer(
    input_shape: tuple[int, ...],
    num_outputs: int,
    *,
    backbone: str,
    weights: str,
    size: int = 224,
    tuning: str,
    backbone_lr_ratio: float = 1.0,
    dropout: float,
    saved: Mapping[str, Any] | None = None,
) -> nn.Module:
    """A backbone of torchvision or of a saved model, trained on other images, with a new head.

    `weights` are DEFAULT or others of torchvision by name, a file, the folder of a run (backbone `saved`), or random.
    The shorter side of images is resized to `size`; a saved model gets its own size. `tuning` says what is trained:
    all, the last stage and the head, or the head alone. `saved` describes a saved model whose folder may be gone.
    """
    if len(input_shape) != 3:
        raise Infeasible(f"transfer needs images (channels, height, width), not the shape {tuple(input_shape)}")
    if backbone == SAVED and saved is None:
        if weights in ("DEFAULT", RANDOM):
            raise Infeasible(f"transfer: backbone '{SAVED}' needs the folder of a run as its weights: --weights RUN")
        saved = describe_saved(weights)
    end, features, last = find_parts(backbone, saved)
    network = build_backbone(backbone, saved)
    head = nn.Linear(features, num_outputs)
    given = input_shape[0]
    channels, *own = saved["input_shape"] if saved else (3, *scaled_size(input_shape, size))
    if given not in (channels, 1) and (given, channels) != (3, 1):
        raise Infeasible(f"transfer: images of {given} channels do not suit a backbone of {channels}")
    shape = {"size": (own[0], own[1]), "channels": channels}
    whole = Transfer(backbone, weights, network, end, nn.Sequential(nn.Dropout(dropout), head), **shape)
    for name, module in network.named_modules():
        for parameter in module.parameters(recurse=False):
            parameter.requires_grad_(tuning == "all" or (tuning == "last" and name in last))
    if tuning == "head" and weights != RANDOM:
        whole.frozen = f"{backbone} {weights} {shape}"
    if tuning != "head" and backbone_lr_ratio != 1 and list(network.parameters()):
        whole.lr_ratios = {"backbone.": backbone_lr_ratio}
    whole.rebuild_config = {"weights": RANDOM, "saved": saved} if saved else {"weights": RANDOM}
    if head.weight.is_meta and weights != RANDOM and not is_downloaded(backbone, weights):
        whole.read_weights()  # on meta only, so that a wrong file is told before anything is trained
    return whole.train()


@hookimpl
def automl_architectures() -> list[Architecture]:
    """The architectures of this plugin."""
    return [transfer]
