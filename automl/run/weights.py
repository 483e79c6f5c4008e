"""`--weights`: what the architecture `transfer` begins with, checked before a search begins."""

from __future__ import annotations

import dataclasses
import json
import logging
import random
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from automl.data.dataset import Dataset
from automl.errors import BadInput, Infeasible, SettingsError
from automl.hooks.host import PluginHost
from automl.open_file import check_file
from automl.settings import Settings
from automl.spaces.parameters import Choice, Parameter, Text
from automl.spaces.space import Space

log = logging.getLogger("automl.plugins")

TRANSFER, SAVED = "transfer", "saved"

PATIENCE = 10.0  # seconds to wait for the server that has the weights


def weights_override(settings: Settings) -> tuple[str, ...]:
    """`--weights` as an override of the search space. Raises `SettingsError` when the file cannot be read."""
    if settings.weights is None:
        return ()
    path = Path(settings.weights).expanduser()
    try:
        if path.is_dir():
            next(path.iterdir(), None)
        else:
            check_file(path)
    except OSError as error:
        law = "must be a file of weights or the folder of a run"
        raise SettingsError(f"--weights {settings.weights}: {law}: {error.strerror or error}") from None
    return (f"{TRANSFER}.weights={json.dumps(str(path), ensure_ascii=False)}",)


def without_lacking(space: Space, host: PluginHost, dataset: Dataset) -> Space:
    """The space without the architectures whose weights are not on this machine, which is logged.

    Those that bring weights have a `Text` among their parameters, and their `build` raises `BadInput` where these are
    not to be had; what is wrong with `transfer` says `keep_fitting`. Raises `BadInput` when none is left.
    """
    lacking: dict[str, str] = {}
    for name, group in space.architectures.items():
        brings = any(isinstance(p, Text) for p in host.architecture(name).parameters.values())
        if not brings or name == TRANSFER:
            continue
        drawn = dataclasses.replace(space, architectures={name: group}).sample(random.Random(0))
        config = {k.removeprefix(f"{name}."): v for k, v in drawn.items() if k.startswith(f"{name}.")}
        try:
            with torch.device("meta"):
                host.architecture(name).build(dataset.input_shape, dataset.num_outputs, **config)
        except Infeasible:
            continue  # not the fault of the weights: the trial will tell
        except BadInput as error:
            lacking[name] = str(error)
    left = {name: group for name, group in space.architectures.items() if name not in lacking}
    if not left:
        raise BadInput("; ".join(lacking.values()))
    for name, reason in lacking.items():
        log.warning("the search goes on without %s: %s", name, reason)
    first = tuple(config for config in space.first if config["architecture"] in left)
    return dataclasses.replace(space, architectures=left, first=first) if lacking else space


def keep_fitting(space: Space, host: PluginHost, dataset: Dataset) -> Space:
    """The space with only those backbones of `transfer` that its pinned weights fit: a folder is of a saved model.

    Each is built on meta. Raises `BadInput` with the reasons when none fits, or their weights cannot be downloaded.
    """
    group = space.architectures.get(TRANSFER)
    own = host.architecture(TRANSFER).parameters if group else {}
    text, weights = own.get("weights"), (group or {}).get("weights")
    pinned_weights = weights.default if isinstance(weights, Text) else weights
    if group is None or not isinstance(text, Text) or not isinstance(pinned_weights, str):
        return space
    listed = group["backbone"].corners() if isinstance(group["backbone"], Parameter) else [group["backbone"]]
    backbones = (
        [SAVED] if Path(pinned_weights).expanduser().is_dir() else [name for name in listed if name != SAVED] or listed
    )
    fitting: dict[str, Any] = {}
    reasons = []
    for backbone in map(str, backbones):
        pinned = dataclasses.replace(space, architectures={TRANSFER: {**group, "backbone": backbone}})
        drawn = pinned.sample(random.Random(0))
        config = {k.removeprefix(f"{TRANSFER}."): v for k, v in drawn.items() if k.startswith(f"{TRANSFER}.")}
        try:
            with torch.device("meta"):
                fitting[backbone] = host.architecture(TRANSFER).build(
                    dataset.input_shape, dataset.num_outputs, **config
                )
        except Infeasible:
            fitting[backbone] = None  # not the fault of the weights: the trial will tell
        except BadInput as error:
            reasons.append(str(error))
    if not fitting:
        raise BadInput("; ".join(dict.fromkeys(reasons)))
    _check_downloads(fitting)
    if pinned_weights == text.default:
        return space
    domain = Choice(*fitting) if len(fitting) > 1 else next(iter(fitting))
    return dataclasses.replace(space, architectures={**space.architectures, TRANSFER: {**group, "backbone": domain}})


def _check_downloads(networks: Mapping[str, Any]) -> None:
    """Whether the weights that are not on this machine yet can be downloaded: the first of them is asked for.

    Raises `BadInput` once for all of them, rather than every trial for its own.
    """
    urls = {name: network.weights_url() for name, network in networks.items() if hasattr(network, "weights_url")}
    missing = {name: url for name, url in urls.items() if url}
    if not missing:
        return
    name, url = next(iter(missing.items()))
    try:
        with urllib.request.urlopen(url, timeout=PATIENCE):
            return
    except (OSError, ValueError) as error:
        here = [name for name in networks if name not in missing]
        of_those = f"; those that are here: --set {TRANSFER}.backbone={here[0]}" if here else ""
        raise BadInput(
            f"the weights of {', '.join(missing)} are not on this machine and cannot be downloaded ({error}): fetch "
            f"{url} elsewhere and give the file with --weights FILE, with --set {TRANSFER}.backbone={name}; or train "
            f"from random weights with --set {TRANSFER}.weights=random{of_those}"
        ) from error
