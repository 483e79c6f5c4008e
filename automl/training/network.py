"""What a network may say of itself, beside what it computes: attributes that the training reads.

    load_weights()            fills a network that was built with random weights; called once, before the training
    lr_ratios                 {prefix of parameters' names: factor on the learning rate}
    pixel_mean, pixel_std     what the network expects its pixels to be normalised with
    image_size                (height, width) to which it resizes images: of large ones fewer are evaluated at a time
    frozen                    names the part that is not trained: forward(x) is head(features(x)), a method and a module
    rebuild_config            config with which `build` makes this network again when a saved model is loaded
    fit_input(x)              takes what it needs to know of its inputs; called once, before the training
    ensemble_size             of a network of many members, which answer each for itself: see `automl.training.losses`
    auxiliary_weight          of the losses of auxiliary classifiers, see `automl.training.losses`

All are optional. For authors they are described in docs/plugins.md, "What a network may say of itself".
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from automl.data.resident import Normalisation, PixelInputs, Resident
from automl.errors import TrialFailed, did_you_mean

LOOKED_AT = 50_000  # rows of a table that a network may look at before it is trained
VALUES_LOOKED_AT = 2**23  # of images: 2,730 of 3 x 32 x 32


def seen_shape(network: nn.Module, input_shape: Sequence[int]) -> tuple[int, ...]:
    """The shape of a sample as the network's layers see it: an image has its `image_size`, where it says one."""
    size = getattr(network, "image_size", None)
    return tuple(input_shape) if size is None else (*input_shape[:-2], *size)


def load_weights(network: nn.Module) -> None:
    """Calls the network's `load_weights()`, if it has one."""
    load = getattr(network, "load_weights", None)
    if load is not None:
        load()


def fit_input(network: nn.Module, resident: Resident, normalisation: Normalisation, train: NDArray[np.int64]) -> None:
    """Calls the network's `fit_input(x)`, if it has one, with inputs of the training part: float32 [m, columns] of a
    table, [m, c, h, w] of images.

    train: the numbers of the samples that may be looked at; of many, `LOOKED_AT` rows, or images
    of `VALUES_LOOKED_AT` in all.
    """
    fit = getattr(network, "fit_input", None)
    if fit is None:
        return
    table = normalisation.rows is not None
    most = LOOKED_AT if table else max(1, VALUES_LOOKED_AT // math.prod(resident.input_shape))
    chosen = train[np.linspace(0, len(train) - 1, min(len(train), most)).astype(np.int64)]
    x, _ = resident.batch(torch.from_numpy(chosen).to(resident.device), normalisation.rows)
    with torch.no_grad():
        fit((x if table else normalisation.inputs(x)).cpu())


def parameters_by_ratio(network: nn.Module) -> dict[float, list[nn.Parameter]]:
    """The parameters that are trained (`requires_grad`) by their factor on the learning rate, in the network's order.

    A parameter has the factor of the longest prefix in `network.lr_ratios` that its name begins with; else 1.

    Raises `TrialFailed` for a prefix that no parameter has.
    """
    ratios: Mapping[str, float] = getattr(network, "lr_ratios", {})
    names = [name for name, _ in network.named_parameters()]
    for prefix in ratios:
        if not any(name.startswith(prefix) for name in names):
            near = did_you_mean(prefix, {name.partition(".")[0] for name in names})
            raise TrialFailed(f"lr_ratios names '{prefix}', but no parameter's name begins so{near}")
    found: dict[float, list[nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        longest = max((prefix for prefix in ratios if name.startswith(prefix)), key=len, default=None)
        if parameter.requires_grad:
            found.setdefault(1.0 if longest is None else float(ratios[longest]), []).append(parameter)
    return found


def expected_normalisation(network: nn.Module, own: Normalisation) -> Normalisation:
    """`own`, the training part's, with the network's `pixel_mean` and `pixel_std` (units of 0..255) where it has them.

    They hold one number per channel, or one for all. Images of one channel are repeated to as many channels as there
    are numbers, for `(x - mean) / std` is broadcast.

    Raises `TrialFailed` when they do not fit the images, or only one of them is there.
    """
    mean, std = (getattr(network, name, None) for name in ("pixel_mean", "pixel_std"))
    if mean is None and std is None:
        return own
    if mean is None or std is None:
        raise TrialFailed("pixel_mean and pixel_std belong together: the network has only one of them")
    if not isinstance(own.inputs, PixelInputs):
        raise TrialFailed("the network has pixel_mean and pixel_std, but the data are no images")
    channels = own.inputs.mean.shape[1]
    if len(mean) != len(std) or (len(mean) != channels and 1 not in (len(mean), channels)):
        raise TrialFailed(
            f"pixel_mean has {len(mean)} numbers and pixel_std {len(std)}; images of {channels} channels need as many"
        )
    tensors = (
        torch.tensor(v, dtype=torch.float32, device=own.inputs.mean.device).view(1, -1, 1, 1) for v in (mean, std)
    )
    return dataclasses.replace(own, inputs=PixelInputs(next(tensors), next(tensors)))


def rebuild_config(network: nn.Module, config: Mapping[str, Any]) -> dict[str, Any]:
    """The keyword arguments with which `build` makes the network again: `config`, then `network.rebuild_config`."""
    return {**config, **getattr(network, "rebuild_config", {})}
