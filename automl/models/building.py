"""The networks and modules that a description is of, before the weights of a saved model are loaded into them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from torch import Tensor, nn

from automl.data.tables.features import input_columns
from automl.errors import AutomlError, BadInput, RunError
from automl.hooks.declarations import Architecture
from automl.hooks.host import load_plugins
from automl.hooks.recorded import find_recorded, refusal
from automl.models.description import ModelDescription, NetworkDescription, problem_of
from automl.models.modules import Ensemble, Standardised
from automl.models.weights import ANSWERS, check_layout, empty_inputs, most_layers
from automl.training.input_layer import build_network as build_network_for
from automl.training.lazy import materialise
from automl.training.on_meta import Shapes, at_most, is_about_meta


def build_module(
    about: ModelDescription, weights: Mapping[str, Tensor], architecture: Architecture, prefixes: Sequence[str]
) -> Standardised | Ensemble:
    """The described module, with random weights; `weights` give the shapes of the preprocessing.

    A description may name any size: raises `ValueError` where the weights are not the network's, before a byte of it is
    allocated.
    """

    def build() -> Standardised | Ensemble:
        members, log, mirrored = [], about.target_transform == "log", about.tta == "mirror"
        for prefix in prefixes:
            y_mean, y_std = (torch.zeros_like(weights[prefix + name]) for name in ANSWERS)
            network, inputs = _network(about, architecture), empty_inputs(about, weights, prefix)
            one = Standardised(network, inputs, y_mean, y_std, log, mirrored=mirrored, task=about.task)
            members.append(one)
        return Ensemble(members) if about.members else members[0]

    most, too_many = most_layers(weights), ValueError("the network has many more layers than there are weights")
    try:
        with at_most(most, too_many), torch.device("meta"), Shapes():  # without memory and random numbers
            expected = build().state_dict()
    except Exception as error:
        if isinstance(error, AutomlError) or not is_about_meta(error):
            raise
    else:
        check_layout(weights, expected)
    with at_most(most, too_many):
        return build()  # not every plugin can build without memory


_loading: ContextVar[Path | None] = ContextVar("_loading", default=None)


@contextmanager
def loading(folder: Path) -> Iterator[None]:
    """Within it the networks that are built belong to the model in `folder`: plugin files in it have come with it."""
    before = _loading.set(folder)
    try:
        yield
    finally:
        _loading.reset(before)


def build_network(about: Mapping[str, Any], *, plugins: Sequence[str | Path] = ()) -> nn.Module:
    """The network that `about` describes as `model.json` does, with random weights and without preprocessing.

    `about` needs `architecture`, `architecture_config`, `input_shape` and `num_outputs`; `plugins` are as in
    `load_model`. Raises `PluginError` or `BadInput` when something of it is missing or wrong, or the architecture's
    plugin might be anybody's, and what `build` raises.
    """
    try:
        description = NetworkDescription(
            **{
                **about,
                "architecture_config": dict(about["architecture_config"]),
                "input_shape": [int(side) for side in about["input_shape"]],
                "num_outputs": int(about["num_outputs"]),
                "plugins": about.get("plugins") or [],
            }
        )
    except KeyError as error:
        raise BadInput(f"the description of a network lacks {error}") from None
    except ValidationError as error:
        raise BadInput(f"the description of a network: {problem_of(error)}") from None
    return _network(description, find_architecture(description, plugins, _loading.get()))


def find_architecture(
    about: NetworkDescription, plugins: Sequence[str | Path], folder: Path | None = None
) -> Architecture:
    """What builds the network; the plugin files that `about` names are imported only where nobody else has it."""
    name = about.architecture
    host = load_plugins(files=plugins)
    if name in host.architectures:
        return host.architectures[name]
    found, refused = find_recorded(
        [each if isinstance(each, str) else each.model_dump() for each in about.plugins], plugins, folder
    )
    if found:
        host = load_plugins(files=plugins, recorded=found)
    if refused and name not in host.architectures:
        raise RunError(f"the architecture '{name}' is not installed; {refusal(folder or 'the model', refused)}")
    return host.architecture(name)


def _network(about: NetworkDescription, architecture: Architecture) -> nn.Module:
    shape, columns = tuple(about.input_shape), input_columns(about.features)
    network: nn.Module = build_network_for(architecture, about.architecture_config, shape, about.num_outputs, columns)
    materialise(network, (len(columns),) if columns else shape)
    return network
