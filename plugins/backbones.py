"""Backbones for `transfer`: trained networks of torchvision or of a saved model, their parts, and their weights."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import torch
from torch import Tensor, nn

import automl
from automl import BadInput

TORCHVISION = (
    "resnet18", "resnet50", "mobilenet_v3_small", "mobilenet_v3_large", "shufflenet_v2_x1_0", "efficientnet_b0",
    "densenet121", "convnext_tiny",
)  # fmt: skip
SAVED = "saved"
RANDOM = "random"
NUMBER = "num_batches_tracked"  # BatchNorm has it since PyTorch 0.4.1: older files lack it, and nothing needs it
REBUILT = {"architecture", "architecture_config", "input_shape", "num_outputs", "plugins"}

About = Mapping[str, Any]
"""What `automl.build_network` needs of a saved model's description."""


def describe_saved(weights: str) -> dict[str, Any]:
    """The description of the model that automl saved in the folder `weights`. Raises `BadInput`."""
    about = _load_saved(weights).description
    if about.kind != "image":
        raise BadInput(f"{weights}: this model is of a table; backbone '{SAVED}' needs one of images")
    rebuilt: dict[str, Any] = about.model_dump(mode="json", include=REBUILT)
    return rebuilt


def _load_saved(weights: str) -> Any:
    with torch.device("cpu"):  # also while a network is being built on meta
        return automl.load_model(Path(weights).expanduser())


def build_backbone(name: str, about: About | None) -> nn.Module:
    """The network with random weights and its own head."""
    if about is not None:
        return automl.build_network(about)
    from torchvision import models

    network: nn.Module = models.get_model(name, weights=None)
    return network


class Parts(NamedTuple):
    """What of a backbone gives way to the new head, how many features come out before it, and the last stage.

    `head` and `last` are names of modules. The last stage begins with the first convolution that gives out maps of the
    size of the last ones (maps of a single pixel, as in squeeze-and-excitation, do not count); in a network without
    convolutions it is the layer before the head.
    """

    head: tuple[str, ...]
    features: int
    last: frozenset[str]


def find_parts(name: str, about: About | None) -> Parts:
    """Found by sending an empty image through the network on meta.

    The head of a network of torchvision is its last dense layer. Of a saved model it is everything from the first dense
    layer behind the convolutions on: the upper layers know only their own classes (Yosinski et al., 2014, fig. 2),
    which were few. On a LeNet of five classes of CIFAR-10 a linear classifier for the other five, with 20 images each,
    was right in 62 % on the convolutions' features and in 57 % on those of the last but one dense layer.

    Raises `BadInput` when the network does not end in a dense layer.
    """
    return _find_parts(name, json.dumps(about) if about is not None else "")


@functools.lru_cache(maxsize=32)
def _find_parts(name: str, about: str) -> Parts:
    saved = json.loads(about) if about else None
    order: list[tuple[str, nn.Module, torch.Size]] = []
    with torch.device("meta"), torch.no_grad():
        network = build_backbone(name, saved).eval()
        for key, module in network.named_modules():
            if next(module.children(), None) is None or next(module.parameters(recurse=False), None) is not None:
                module.register_forward_hook(lambda m, _, out, key=key: order.append((key, m, out.shape)))
        network(torch.empty(1, *(saved["input_shape"] if saved else (3, 224, 224))))
    dense = [place for place, (_, module, _) in enumerate(order) if isinstance(module, nn.Linear)]
    trained = [place for place, (_, module, _) in enumerate(order) if list(module.parameters())]
    if not dense or dense[-1] != trained[-1] or not order[dense[-1]][0]:
        raise BadInput(
            f"'{saved['architecture'] if saved else name}' ends in no dense layer: there is no head to replace"
        )
    convolutions = [place for place, (_, module, _) in enumerate(order) if isinstance(module, nn.Conv2d)]
    behind = [place for place in dense if convolutions and place > convolutions[-1]]
    cut = behind[0] if saved and behind else dense[-1]
    features = [order[place] for place in trained if place < cut]
    maps = [(key, size[2:]) for key, m, size in features if isinstance(m, nn.Conv2d) and size[2:].numel() > 1]
    first = next((key for key, size in maps if size == maps[-1][1]), features[-1][0] if features else "")
    keys = [key for key, _, _ in features]
    first_dense = order[cut][1]
    assert isinstance(first_dense, nn.Linear)
    last = frozenset(keys[keys.index(first) :] if keys else ())
    return Parts(tuple(key for key, _, _ in order[cut:]), first_dense.in_features, last)


def expected_pixels(name: str, weights: str) -> tuple[list[float], list[float]] | None:
    """Mean and deviation of the pixels (0..255) that the weights were trained with; None for random weights."""
    if weights == RANDOM:
        return None
    if name == SAVED:
        module = _load_saved(weights).module
        return module.inputs.mean.flatten().tolist(), module.inputs.std.flatten().tolist()
    from torchvision import models

    preset = models.get_model_weights(name).DEFAULT.transforms()
    return [255 * v for v in preset.mean], [255 * v for v in preset.std]


def is_downloaded(name: str, weights: str) -> bool:
    """Whether `weights` names some of torchvision's, e.g. DEFAULT, and not a file. Raises `BadInput` for neither."""
    if name == SAVED or Path(weights).expanduser().is_file():
        return False
    from torchvision import models

    known = ["DEFAULT", *models.get_model_weights(name).__members__]
    if weights not in known:
        raise BadInput(f"{weights}: no such file, and no weights of {name}, which are {', '.join(known)}")
    return True


def download_url(name: str, weights: str) -> str:
    """Where torchvision would download the weights from; "" when they are here, or are not torchvision's."""
    if not is_downloaded(name, weights):
        return ""
    from torchvision import models

    url = str(models.get_model_weights(name)[weights].url)
    kept = Path(torch.hub.get_dir(), "checkpoints", Path(urlsplit(url).path).name)
    return "" if kept.is_file() else url


def read_weights(name: str, weights: str, backbone: nn.Module, head: tuple[str, ...]) -> dict[str, Tensor]:
    """The state dict of `backbone`, which is `name` without the modules of `head`. Raises `BadInput` when it does not
    fit.
    """
    gone = tuple(f"{module}." for module in head)
    state = {k: v for k, v in _read_state(name, weights).items() if not k.startswith(gone)}
    mine, theirs = (
        {key: value.shape for key, value in each.items() if not key.endswith(NUMBER)}
        for each in (backbone.state_dict(), state)
    )
    wrong = [key for key in {**mine, **theirs} if mine.get(key) != theirs.get(key)]
    if wrong:
        raise BadInput(
            f"{weights}: these are not the weights of {name}: {len(wrong)} tensors are missing, unknown or of another "
            f"shape, e.g. '{wrong[0]}'"
        )
    return state


def _read_state(name: str, weights: str) -> dict[str, Tensor]:
    state: Any
    if name == SAVED:
        state = _load_saved(weights).module.network.state_dict()
    elif is_downloaded(name, weights):
        from torchvision import models

        try:
            state = models.get_model(name, weights=weights).state_dict()
        except (OSError, RuntimeError) as error:
            remedy = "fetch the file elsewhere and give it with --weights FILE"
            raise BadInput(f"the weights of {name} cannot be downloaded ({error}): {remedy}") from error
    else:
        state = _read_file(Path(weights).expanduser())
    return state  # type: ignore[no-any-return]


def _read_file(path: Path) -> dict[str, Tensor]:
    if not path.is_file():  # a named pipe would be waited for, and a device has no end
        raise BadInput(f"{path}: there is no such file of weights")
    try:
        with torch.device("cpu"):
            if path.suffix == ".safetensors":
                from safetensors.torch import load_file

                return load_file(path)
            state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a foreign file: pickle, zip and safetensors have many ways to fail
        problem = (str(error) or type(error).__name__).partition("\n")[0]
        raise BadInput(
            f"{path}: no weights can be read from it (a state dict in .pth or .safetensors): {problem}"
        ) from error
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise BadInput(f"{path}: holds no state dict, which maps names to tensors: save model.state_dict()")
    return state
