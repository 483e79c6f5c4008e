"""Configs to try a search space with: its corners, and random ones, both without Optuna and respecting `when`."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping

from automl.spaces.parameters import Choice, Float, Int, Parameter, Scalar, Text

Config = dict[str, Scalar]


def corner_configs(parameters: Mapping[str, Parameter], *, most: int = 64, seed: int = 0) -> list[Config]:
    """All parameters at their first corner, all at their last, and each at each corner with the others at the first.

    A conditional parameter is tried with its condition fulfilled. At most `most` configs, then drawn with `seed`.
    """
    low = {name: p.corners()[0] for name, p in parameters.items()}
    high = {name: p.corners()[-1] for name, p in parameters.items()}
    wishes = [low, high]
    for name, parameter in parameters.items():
        for corner in parameter.corners():
            wishes.append(low | _conditions(name, parameters) | {name: corner})
    configs: list[Config] = []
    for wish in wishes:
        config = _active(parameters, wish)
        if config not in configs:
            configs.append(config)
    if len(configs) <= most:
        return configs
    return configs[:2] + random.Random(seed).sample(configs[2:], most - 2)


def config_with(parameters: Mapping[str, Parameter], name: str, value: Scalar = None) -> Config:
    """A config in which `name` is active, with `value` (None: the first corner); the others are at their first."""
    low = {each: p.corners()[0] for each, p in parameters.items()} | _conditions(name, parameters)
    return _active(parameters, low if value is None else low | {name: value})


def random_config_list(parameters: Mapping[str, Parameter], number: int, seed: int) -> list[Config]:
    """`number` configs, each parameter drawn from its domain."""
    rng = random.Random(seed)
    return [_active(parameters, {name: _draw(p, rng) for name, p in parameters.items()}) for _ in range(number)]


def _active(parameters: Mapping[str, Parameter], values: Mapping[str, Scalar]) -> Config:
    """Without the parameters whose condition is not fulfilled. A parameter stands after those it depends on."""
    config: Config = {}
    for name, parameter in parameters.items():
        if parameter.active(config):
            config[name] = values[name]
    return config


def _conditions(name: str, parameters: Mapping[str, Parameter]) -> Config:
    """Values of other parameters that make `name` active, their own conditions included."""
    needed: Config = {}
    for sibling, wanted in (parameters[name].when or {}).items():
        possible = [value for value in wanted if parameters[sibling].contains(value)]
        needed |= _conditions(sibling, parameters) | ({sibling: possible[0]} if possible else {})
    return needed


def _draw(parameter: Parameter, rng: random.Random) -> Scalar:
    if isinstance(parameter, Text):
        return parameter.default
    if isinstance(parameter, Choice):
        return rng.choice(parameter.values)
    if isinstance(parameter, Int):
        if parameter.log:
            drawn = int(math.exp(rng.uniform(math.log(parameter.low), math.log(parameter.high + 1))))
            return max(parameter.low, min(parameter.high, drawn))
        return rng.randrange(parameter.low, parameter.high + 1, parameter.step)
    assert isinstance(parameter, Float), f"{type(parameter).__name__} is none of Int, Float, Choice and Text"
    if parameter.log:
        value = math.exp(rng.uniform(math.log(parameter.low), math.log(parameter.high)))
        return min(max(value, parameter.low), parameter.high)
    if parameter.step is not None:
        steps = math.floor((parameter.high - parameter.low) / parameter.step + 1e-9)
        return parameter.low + rng.randint(0, steps) * parameter.step
    return rng.uniform(parameter.low, parameter.high)
