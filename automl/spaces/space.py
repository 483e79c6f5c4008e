"""The merged search space of a run: what it holds, how a config is drawn from it, and its fingerprint.

A config is a flat mapping of full names to values, the pinned ones included, the inactive ones absent:

    {"architecture": "resnet", "resnet.depth": 3, "train.optimizer": "sgd", "train.schedule": "step",
     "train.augmentation": "none", "train.lr": 0.01, "train.batch_size": 64, "train.sgd.momentum": 0.9,
     "train.step.gamma": 0.1}
"""

from __future__ import annotations

import hashlib
import json
import math
import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any, cast

from automl.errors import SpaceError, did_you_mean
from automl.spaces.domains import Domain, domain_text, read_domain, write_domain
from automl.spaces.parameters import Choice, Float, Int, Parameter, Scalar, Text
from automl.spaces.yaml_file import kind_of

if TYPE_CHECKING:
    import optuna

Group = Mapping[str, Domain]
"""The domains of one architecture, optimizer, schedule or augmentation, by parameter, in the order of suggestion."""

Config = dict[str, Scalar]

NAMED = {"optimizer": "optimizers", "schedule": "schedules", "augmentation": "augmentations"}
"""The training parameters that choose a group by its name, and where the groups stand."""

GROUPS = ("architectures", *NAMED.values())


@dataclass(frozen=True)
class Catalogue:
    """What the plugins declare: by name, the parameters of each architecture, optimizer, schedule and augmentation."""

    architectures: Mapping[str, Mapping[str, Parameter]]
    optimizers: Mapping[str, Mapping[str, Parameter]]
    schedules: Mapping[str, Mapping[str, Parameter]]
    augmentations: Mapping[str, Mapping[str, Parameter]]


@dataclass(frozen=True)
class Space:
    """A search space: the architectures, optimizers, schedules and augmentations to choose from, with their domains.

    `training` holds the domains of `train.lr` and the like; those of `train.optimizer`, `train.schedule` and
    `train.augmentation` follow from `optimizers`, `schedules` and `augmentations`. `first` are configs to begin with,
    by full names; what they leave out is drawn. Raises `SpaceError` when there is
    nothing to choose from or two names collide.
    """

    architectures: Mapping[str, Group]
    training: Group
    optimizers: Mapping[str, Group]
    schedules: Mapping[str, Group]
    augmentations: Mapping[str, Group]
    first: tuple[Config, ...] = ()

    def __post_init__(self) -> None:
        for kind in GROUPS:
            if not getattr(self, kind):
                raise SpaceError("", f"the search space has no {kind[:-1]}: no plugin declares one")
        if "train" in self.architectures:
            raise SpaceError("", "an architecture cannot be called 'train': `train.` begins the training parameters")
        for (one, first), (other, second) in combinations(NAMED.items(), 2):
            for name in getattr(self, first).keys() & getattr(self, second).keys():
                for parameter in getattr(self, first)[name].keys() & getattr(self, second)[name].keys():
                    raise SpaceError("", f"`train.{name}.{parameter}` is of the {one} and of the {other}: rename one")

    def suggest(self, trial: optuna.Trial) -> Config:
        """Draws a config through `trial`; what has only one value is not suggested, but is in the config."""
        return self._draw(lambda name, domain: _suggest(trial, name, domain))

    def sample(self, rng: random.Random) -> Config:
        """Draws a config at random, without Optuna, e.g. to check a plugin."""
        return self._draw(lambda _, domain: draw(domain, rng))

    def parameters(self) -> dict[str, Domain]:
        """Every domain by its full name, in the order of suggestion; a constant where there is one value."""
        found: dict[str, Domain] = {"architecture": _choice(self.architectures)}
        for name in sorted(self.architectures):
            found |= _prefixed(name, self.architectures[name])
        found |= _prefixed("train", self._training())
        for kind in NAMED.values():
            for name, group in sorted(getattr(self, kind).items()):
                found |= _prefixed(f"train.{name}", group)
        return found

    def to_json(self) -> dict[str, Any]:
        """The space as a JSON value, each domain as in YAML; `from_json` gives an equal space back."""
        groups = {kind: {name: _write(group) for name, group in getattr(self, kind).items()} for kind in GROUPS}
        first = {"first": [dict(config) for config in self.first]} if self.first else {}
        return groups | {"training": _write(self.training)} | first

    @classmethod
    def from_json(cls, value: Any, place: str = "search space") -> Space:
        """The space that `to_json` wrote, also when the keys were sorted since. Raises `SpaceError` at `place`."""
        try:
            groups = {kind: {name: _read(group) for name, group in value[kind].items()} for kind in GROUPS}
            first = tuple(dict(config) for config in value.get("first", ()))
            return cls(training=_read(value["training"], before=NAMED), first=first, **groups)
        except SpaceError as error:
            raise SpaceError(place, f"is damaged: {error}") from error
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise SpaceError(place, f"is damaged: {type(error).__name__}: {error}") from error

    def fingerprint(self) -> str:
        """The SHA-256 of the domains' canonical JSON, in hexadecimal: equal domains have the same one."""
        domains = {key: value for key, value in self.to_json().items() if key != "first"}
        canonical = json.dumps(domains, sort_keys=True, separators=(",", ":"), allow_nan=False)
        return hashlib.sha256(canonical.encode()).hexdigest()

    def difference(self, other: Space) -> list[str]:
        """What `other` changes, one line per full name: `resnet.depth: 1..5 -> 1..3`. Empty for equal spaces."""
        old, new = self.parameters(), other.parameters()
        lines = []
        for name in [*old, *(name for name in new if name not in old)]:
            before, after = (
                json.dumps(write_domain(side[name])) if name in side else "(absent)" for side in (old, new)
            )
            if before != after:
                texts = [domain_text(side[name]) if name in side else "(absent)" for side in (old, new)]
                if texts[0] == texts[1]:  # 0.1 and "0.1", or a difference in the seventh digit
                    texts = [before, after]
                lines.append(f"{name}: {texts[0]} -> {texts[1]}")
        return lines

    def _training(self) -> dict[str, Domain]:
        """The choices of names first: other training parameters may depend on them."""
        return {key: _choice(getattr(self, kind)) for key, kind in NAMED.items()} | dict(self.training)

    def _draw(self, value_of: Callable[[str, Parameter], Scalar]) -> Config:
        config: Config = {}

        def fill(prefix: str, group: Group, before: Mapping[str, Scalar] | None = None) -> dict[str, Scalar]:
            """Values of the active domains of a group; the config has them by their full names."""
            values: dict[str, Scalar] = {**(before or {})}
            for name, domain in group.items():
                if not isinstance(domain, Parameter):
                    values[name] = domain
                elif domain.active(values):
                    single = len(domain.corners()) == 1
                    values[name] = domain.corners()[0] if single else value_of(prefix + name, domain)
                if name in values:
                    config[prefix + name] = values[name]
            return values

        architecture = cast(str, fill("", {"architecture": _choice(self.architectures)})["architecture"])
        fill(f"{architecture}.", self.architectures[architecture])
        names = fill("train.", {key: _choice(getattr(self, kind)) for key, kind in NAMED.items()})
        groups = {key: (cast(str, names[key]), getattr(self, kind)[names[key]]) for key, kind in NAMED.items()}
        # One learning rate is drawn: the optimizer's own, else the schedule's, else the search space's.
        owner = next((key for key in ("optimizer", "schedule") if "lr" in groups[key][1]), "training")
        fill("train.", _without_lr(self.training, owner != "training"), names)
        for key, (name, group) in groups.items():
            fill(f"train.{name}.", _without_lr(group, owner != key and key != "augmentation"))
        return config


def learning_rate(config: Mapping[str, Any]) -> float:
    """The learning rate of a config: the optimizer's own, else the schedule's, else `train.lr`."""
    owners = (f"train.{config['train.optimizer']}.lr", f"train.{config['train.schedule']}.lr", "train.lr")
    return float(next(config[name] for name in owners if name in config))


def _without_lr(group: Group, left_out: bool) -> Group:
    return {name: domain for name, domain in group.items() if name != "lr"} if left_out else group


def draw(domain: Parameter, rng: random.Random) -> Scalar:
    """A random value of the domain, logarithmically where it says so. Raises `TypeError` for a foreign kind."""
    if isinstance(domain, Text):
        return domain.default
    if isinstance(domain, Choice):
        return rng.choice(domain.values)
    if isinstance(domain, Int):
        if domain.log:
            drawn = math.exp(rng.uniform(math.log(domain.low - 0.5), math.log(domain.high + 0.5)))
            return min(max(round(drawn), domain.low), domain.high)
        return rng.randrange(domain.low, domain.high + 1, domain.step)
    if isinstance(domain, Float):
        if domain.step is not None:
            return min(domain.low + domain.step * rng.randint(0, domain.steps()), domain.high)
        if domain.log:
            drawn = math.exp(rng.uniform(math.log(domain.low), math.log(domain.high)))
            return min(max(drawn, domain.low), domain.high)
        return rng.uniform(domain.low, domain.high)
    raise TypeError(f"{domain!r} is none of Int, Float, Choice and Text")


def ordered(group: Mapping[str, Domain], before: Iterable[str] = ()) -> dict[str, Domain]:
    """The group with every parameter after those that its condition names, else as it stands. Raises `SpaceError`.

    `before` are siblings that are suggested before the group.
    """
    waiting, done, known = dict(group), dict[str, Domain](), set(before)
    while waiting:
        ready = [n for n, d in waiting.items() if not isinstance(d, Parameter) or known >= (d.when or {}).keys()]
        if not ready:
            name, domain = next(iter(waiting.items()))
            unknown = next(n for n in cast(Parameter, domain).when or {} if n not in known)
            raise SpaceError("", f"'{name}' depends on '{unknown}'{did_you_mean(unknown, group)}")
        done[ready[0]] = waiting.pop(ready[0])
        known.add(ready[0])
    return done


def _suggest(trial: optuna.Trial, name: str, domain: Parameter) -> Scalar:
    if isinstance(domain, Int):
        return trial.suggest_int(name, domain.low, domain.high, step=domain.step, log=domain.log)
    if isinstance(domain, Float):
        return trial.suggest_float(name, domain.low, domain.high, step=domain.step, log=domain.log)
    if isinstance(domain, Choice):
        return trial.suggest_categorical(name, domain.values)
    raise TypeError(f"{domain!r} is none of Int, Float and Choice")


def _choice(names: Mapping[str, Any]) -> Domain:
    """The choice between names, sorted: Optuna refuses a choice whose order changed, and plugins come in any order."""
    return Choice(*sorted(names)) if len(names) > 1 else next(iter(names))


def _prefixed(prefix: str, group: Group) -> dict[str, Domain]:
    return {f"{prefix}.{name}": domain for name, domain in group.items()}


def _write(group: Group) -> dict[str, Any]:
    return {name: write_domain(domain) for name, domain in group.items()}


def _read(group: Any, before: Iterable[str] = ()) -> dict[str, Domain]:
    if not isinstance(group, dict):
        raise SpaceError("", f"parameters must be a mapping, not {kind_of(group)}")
    return ordered({name: read_domain(value) for name, value in group.items()}, before)
