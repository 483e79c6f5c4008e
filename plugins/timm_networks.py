"""Any pretrained image network of timm (Wightman, 2019) with a new head: `pip install 'automl[timm]'`."""

from __future__ import annotations

import difflib
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from automl import Architecture, BadInput, Choice, Float, Infeasible, Int, Text, architecture, hookimpl

from .finetuning import RANDOM, TUNING, Finetuned, TunedStages, new_layers, scaled_size, split_stages, without_inplace

PRETRAINED = "pretrained"


class TimmNetwork(Finetuned):
    """The network `name` of timm without its classes, and a head; `load_weights` fills it."""

    def __init__(self, name: str, weights: str, *parts: nn.Module, size: tuple[int, int]):
        super().__init__(*parts, size=size)
        self.name, self.weights = name, weights

    def load_weights(self) -> None:
        """Weights of a file, or those of timm: from its cache, else downloaded. Raises `BadInput` without them."""
        if self.weights == RANDOM:
            return
        assert isinstance(self.backbone, nn.Sequential)
        assert isinstance(self.head, nn.Sequential)
        network = self.head[0][0] if isinstance(self.head[0], TunedStages) else self.backbone[0]
        state = _read_weights(self.name, self.weights, self.image_size)
        own = network.state_dict()
        wrong = [key for key, value in own.items() if key not in state or state[key].shape != value.shape]
        if wrong:
            raise BadInput(
                f"timm: {self.weights}: these are not the weights of {self.name}: {len(wrong)} tensors are missing or "
                f"of another shape, e.g. '{wrong[0]}'"
            )
        network.load_state_dict({key: state[key] for key in own})


def create(name: str, size: tuple[int, int], **more: Any) -> Any:
    """timm's network without its classes, for images of this size."""
    import timm

    fixed = timm.get_pretrained_cfg(name)
    if fixed is not None and fixed.fixed_input_size:  # transformers have an embedding for each place
        more["img_size"] = size
    return timm.create_model(name, num_classes=0, **more)


def _read_weights(name: str, weights: str, size: tuple[int, int]) -> dict[str, Tensor]:
    with torch.device("cpu"):
        if weights == PRETRAINED:
            try:
                state: dict[str, Tensor] = create(name, size, pretrained=True).state_dict()
            except (OSError, RuntimeError) as error:
                remedy = "fetch the file elsewhere and name it: --set timm.weights=FILE"
                raise BadInput(f"timm: the weights of {name} are not to be had ({error}): {remedy}") from error
            return state
        from timm.models import load_state_dict

        path = Path(weights).expanduser()
        if not path.is_file():
            raise BadInput(f"timm: weights {weights}: must be a file, {PRETRAINED} or {RANDOM}")
        try:
            loaded: dict[str, Tensor] = load_state_dict(str(path), use_ema=False, weights_only=True)
        except Exception as error:  # a file of anybody's: torch and safetensors raise almost anything
            raise BadInput(f"{path}: no weights can be read from it ({error})") from error
        return loaded


@architecture(
    network=Text("mobilenetv3_small_100"),
    weights=Text(PRETRAINED),
    size=Int(32, 384, step=32),
    tuning=Choice("head", "all"),
    backbone_lr_ratio=Float(0.01, 1.0, log=True, when={"tuning": "all"}),
    statistics=Choice("frozen", "adapted", when={"tuning": "all"}),
    hidden=TUNING["hidden"],
    dropout=TUNING["dropout"],
)
def timm(
    input_shape: tuple[int, ...],
    num_outputs: int,
    *,
    network: str,
    weights: str,
    size: int,
    tuning: str,
    backbone_lr_ratio: float = 1.0,
    statistics: str = "frozen",
    hidden: int,
    dropout: float,
) -> nn.Module:
    """An image network of timm by its name, pretrained, with a new head; needs the extra timm.

    `weights` are timm's (`pretrained`: from its cache, else downloaded), a file, or `random`. The shorter side of
    images is resized to `size`. `tuning` trains the head alone, or all of it.
    """
    if len(input_shape) != 3:
        raise Infeasible(f"timm needs images (channels, height, width), not the shape {tuple(input_shape)}")
    if input_shape[0] not in (1, 3):
        raise Infeasible(f"timm: images of {input_shape[0]} channels do not suit a backbone of 3")
    if find_spec("timm") is None:
        raise BadInput("timm: the package timm is not installed: pip install 'automl[timm]'")
    import timm as package

    if not package.is_model(network):
        near = difflib.get_close_matches(network, package.list_models(), n=1)
        raise BadInput(f"timm has no network '{network}'" + (f"; did you mean '{near[0]}'?" if near else ""))
    side = scaled_size(input_shape, size)
    backbone = create(network, side)
    without_inplace(backbone)
    with torch.no_grad():
        features = backbone.eval()(torch.zeros(1, 3, *side)).shape[1]
    new = new_layers(features, num_outputs, hidden, dropout)
    tuned = 1 if tuning == "all" else 0
    rates = {"backbone_lr_ratio": backbone_lr_ratio, "stage_lr_ratio": 1.0}
    kept, head, lr_ratios = split_stages([backbone], tuned, new, **rates, statistics=statistics)
    whole = TimmNetwork(network, weights, kept, head, size=side)
    known = package.get_pretrained_cfg(network)
    if known is not None:
        whole.pixel_mean, whole.pixel_std = ([255 * v for v in values] for values in (known.mean, known.std))
    whole.rebuild_config, whole.lr_ratios = {"weights": RANDOM}, lr_ratios
    if tuning == "head" and weights != RANDOM:
        whole.frozen = f"{network} {weights} {side}"
    return whole.train()


@hookimpl
def automl_architectures() -> list[Architecture]:
    """The architectures of this plugin."""
    return [timm]
