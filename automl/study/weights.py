"""`--weights`: what the architecture `transfer` begins with, checked before a search begins."""

from __future__ import annotations

import dataclasses
import json
import random
from pathlib import Path

import torch

from automl.data.dataset import Dataset
from automl.errors import BadInput, Infeasible, SettingsError
from automl.hooks.host import PluginHost
from automl.settings import Settings
from automl.spaces.parameters import Choice, Parameter, Text
from automl.spaces.space import Space

TRANSFER, SAVED = "transfer", "saved"


def weights_override(settings: Settings) -> tuple[str, ...]:
    """`--weights` as an override of the search space. Raises `SettingsError` when the file cannot be read."""
    if settings.weights is None:
        return ()
    path = Path(settings.weights).expanduser()
    try:
        if path.is_dir():
            next(path.iterdir(), None)
        else:
            path.open("rb").close()
    except OSError as error:
        law = "must be a file of weights or the folder of a run"
        raise SettingsError(f"--weights {settings.weights}: {law}: {error.strerror or error}") from None
    return (f"{TRANSFER}.weights={json.dumps(str(path), ensure_ascii=False)}",)


def keep_fitting(space: Space, host: PluginHost, dataset: Dataset) -> Space:
    """The space with only those backbones of `transfer` that its pinned weights fit: a folder is of a saved model.

    Each is built on meta. Raises `BadInput` with the reasons when none fits.
    """
    group = space.architectures.get(TRANSFER)
    own = host.architecture(TRANSFER).parameters if group else {}
    text, weights = own.get("weights"), (group or {}).get("weights")
    if group is None or not isinstance(text, Text) or not isinstance(weights, str) or weights == text.default:
        return space
    listed = group["backbone"].corners() if isinstance(group["backbone"], Parameter) else [group["backbone"]]
    backbones = [SAVED] if Path(weights).expanduser().is_dir() else [name for name in listed if name != SAVED] or listed
    fitting, reasons = [], []
    for backbone in backbones:
        pinned = dataclasses.replace(space, architectures={TRANSFER: {**group, "backbone": backbone}})
        drawn = pinned.sample(random.Random(0))
        config = {k.removeprefix(f"{TRANSFER}."): v for k, v in drawn.items() if k.startswith(f"{TRANSFER}.")}
        try:
            with torch.device("meta"):
                host.architecture(TRANSFER).build(dataset.input_shape, dataset.num_outputs, **config)
        except Infeasible:
            pass  # not the fault of the weights: the trial will tell
        except BadInput as error:
            reasons.append(str(error))
            continue
        fitting.append(backbone)
    if not fitting:
        raise BadInput("; ".join(dict.fromkeys(reasons)))
    domain = Choice(*fitting) if len(fitting) > 1 else fitting[0]
    return dataclasses.replace(space, architectures={**space.architectures, TRANSFER: {**group, "backbone": domain}})
