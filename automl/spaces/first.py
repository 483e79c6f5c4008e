"""`first`: configs that a search tries before it draws any, as a space's author knows them to be good.

    first:
      - {architecture: resnet, resnet.width: 32, train.optimizer: adamw, train.lr: 3e-3}

What a config leaves out is drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping
from typing import Any

from automl.errors import SpaceError, did_you_mean
from automl.spaces.domains import Domain, domain_text
from automl.spaces.parameters import Float, Parameter, Scalar
from automl.spaces.yaml_file import kind_of, shortened

Config = dict[str, Scalar]


def read_first(
    value: Any, domains: Mapping[str, Domain], known: Container[str], at: Callable[..., str]
) -> tuple[Config, ...]:
    """The configs of the section `first`, each a mapping of full names to values.

    `domains` are those of the file's space by full name, `known` the names of all that the plugins declare; `at` turns
    the keys below `first` into the place of an error. Raises `SpaceError`.
    """
    if not isinstance(value, list):
        raise SpaceError(
            at(), f"must be a list of configs, each a mapping of full names to values, not {kind_of(value)}"
        )
    configs: list[Config] = []
    for index, config in enumerate(value):
        if not isinstance(config, dict) or "architecture" not in config:
            raise SpaceError(at(index), "must be a mapping of full names to values, `architecture` among them")
        configs.append({n: _value(n, chosen, domains, known, at(index, n)) for n, chosen in config.items()})
    return tuple(configs)


def _value(name: Any, value: Any, domains: Mapping[str, Domain], known: Container[str], place: str) -> Scalar:
    if name not in domains:
        if isinstance(name, str) and name in known:
            raise SpaceError(place, f"'{name}' is not in this search space")
        raise SpaceError(place, f"unknown parameter '{shortened(str(name))}'{did_you_mean(str(name), domains)}")
    domain = domains[name]
    if not _draws(domain, value):
        raise SpaceError(place, f"{shortened(str(value))} is not in its domain: {domain_text(domain)}")
    return float(value) if isinstance(domain, Float) else value


def fit_first(first: Iterable[Config], domains: Mapping[str, Domain]) -> tuple[Config, ...]:
    """The configs as far as they are drawn from these `domains`: without what was pinned or narrowed since.

    A config of another architecture is left out, and one that was made for another optimizer: its learning rate is not
    that of this one.
    """
    there = [
        config
        for config in first
        if all(_draws(domains[name], config[name]) for name in ("architecture", "train.optimizer") if name in config)
    ]
    return tuple({n: v for n, v in config.items() if n in domains and _draws(domains[n], v)} for config in there)


def _draws(domain: Domain, value: Scalar) -> bool:
    return domain.contains(value) if isinstance(domain, Parameter) else domain == value
