"""Domains that a network, an optimizer, a schedule or an augmentation cannot take, found by trying their ends.

A plugin answers for its own domains. A search space may put others in their place: `dropout: [-1, 2]`. Each value at
the end of such a domain is given to the plugin once, with plain values beside it, and without memory for the weights.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from automl.data.tables.features import InputColumn
from automl.errors import Infeasible, SpaceError
from automl.hooks.configs import Config, config_with
from automl.hooks.declarations import Architecture, Declaration, Optimizer, Schedule
from automl.hooks.host import PluginHost
from automl.spaces.merge import place_of
from automl.spaces.parameters import Parameter
from automl.spaces.problems import Problems
from automl.spaces.space import GROUPS, Space
from automl.spaces.yaml_file import Document
from automl.training.on_meta import Shapes, at_most, is_about_meta

SAMPLES: tuple[tuple[int, ...], ...] = ((3, 64, 64), (8,))  # an image, and a row of a table
COLUMNS = (InputColumn("number", "number"), InputColumn("category", "category", 3))
MOST_LAYERS = 2_000  # layers and parameters: whether more can be trained, the first trial tells


def check_domains(space: Space, host: PluginHost, document: Document | None, overrides: tuple[str, ...] = ()) -> None:
    """Raises `SpaceError`, at the file's line and key or at the `--set`, for values that a plugin refuses."""
    problems = Problems()
    for kind in GROUPS:
        for group, domains in getattr(space, kind).items():
            declared: Declaration = getattr(host, kind)[group]
            for name, domain in domains.items():
                own = declared.parameters[name]
                values = domain.corners() if isinstance(domain, Parameter) else [domain]
                for value in (each for each in values if not own.contains(each)):
                    if refusal := _refusal(declared, declared.parameters, name, value):
                        place = place_of(document, overrides, kind, group, name)
                        problems.add(SpaceError(place, f"{declared.kind} '{group}' cannot take {value}: {refusal}"))
    problems.raise_all()


def _refusal(declared: Declaration, own: Mapping[str, Parameter], name: str, value: Any) -> str:
    """What `build` says of the value, where it takes plain ones; "" where it takes this one too."""
    plain, config = config_with(own, name), config_with(own, name, value)
    for build in _ways(declared):
        if not _said(build, plain):
            return _said(build, config)
    return ""


def _ways(declared: Declaration) -> list[Callable[[Config], object]]:
    """How `build` may be called: an architecture may be for images or for tables only."""
    if isinstance(declared, Architecture) and declared.takes_columns:
        return [lambda config: declared.build((len(COLUMNS),), 2, columns=COLUMNS, **config)]
    if isinstance(declared, Architecture):
        return [lambda config, shape=shape: declared.build(shape, 2, **config) for shape in SAMPLES]  # type: ignore[misc]
    if isinstance(declared, Optimizer):
        return [lambda config: declared.build([{"params": _parameters()}], 0.1, **config)]
    if isinstance(declared, Schedule):
        return [lambda config: declared.build(torch.optim.SGD(_parameters(), 0.1), 10, 10, **config)]
    return [lambda config: declared.build(**config)]


def _parameters() -> list[nn.Parameter]:
    return [nn.Parameter(torch.zeros(1))]


def _said(build: Callable[[Config], object], config: Config) -> str:
    try:
        with torch.device("meta"), Shapes(), at_most(MOST_LAYERS, Infeasible("too many layers to try them")):
            build(config)
    except Infeasible:
        return ""  # that depends on the data
    except Exception as error:  # a plugin's, or torch's: a ValueError, a RuntimeError, an assertion without words
        if is_about_meta(error):
            return ""
        return str(error).partition("\n")[0] or type(error).__name__
    return ""
