"""Merges a YAML file and the `--set` overrides over what the plugins declare.

The same functions read a file's section and an override's value: `_names` (which architectures, optimizers,
schedules or augmentations, each with its own domains), `_group` (the domains of one of them) and `_fitted` (its
parameters). Each is given `at`, which turns the keys below it into the place of an error.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from automl.errors import SpaceError, did_you_mean
from automl.spaces.domains import Domain, fit_domain
from automl.spaces.first import fit_first, read_first
from automl.spaces.parameters import Parameter, Text
from automl.spaces.problems import Problems
from automl.spaces.space import GROUPS, NAMED, Catalogue, Group, Space
from automl.spaces.training import KNOWN, LIMITS, TECHNIQUES, TRAINING
from automl.spaces.yaml_file import Document, kind_of, parse_value, shortened

At = Callable[..., str]

TOP_LEVEL = ("architectures", "training", "first", "description")
CHOICES = ("architecture", *(f"train.{key}" for key in NAMED))


def merge(
    document: Document | None,
    catalogue: Catalogue,
    *,
    architectures: Sequence[str] = (),
    added: Sequence[str] = (),
    overrides: Sequence[str] = (),
    option: str = "--architecture",
) -> Space:
    """The space that `document` (None: nothing) describes with the architectures `added` on their own domains,
    restricted to `architectures` (empty: all), overridden.

    `overrides` are such as `resnet.depth=3`, `train.lr=[0.1, 0.01]`, `train.optimizer=sgd`; the last one for a name
    counts. `option` is what the user calls `architectures` in errors. Raises `SpaceError`, whose place is the file's
    line and key path, the option, or `--set` with the full name.
    """
    sections = _read_document(document, catalogue) if document is not None else _defaults(catalogue)
    if not architectures and (document is None or "architectures" not in document.value):
        sections["architectures"] = _without_texts(sections["architectures"])
    for name in added:
        if name not in catalogue.architectures:
            raise SpaceError(f"--add {shortened(name)}", _unknown("architecture", name, catalogue.architectures))
        sections["architectures"] = {name: dict(catalogue.architectures[name])} | sections["architectures"]
    if architectures:
        known = sections["architectures"]
        for name in architectures:
            if name not in known:
                raise SpaceError(f"{option} {shortened(name)}", _unknown_architecture(name, known, catalogue))
        sections["architectures"] = {name: known[name] for name in dict.fromkeys(architectures)}
    values = dict(_split_override(override) for override in overrides)
    problems = Problems()
    # the choices of names first: an override of `train.sgd.momentum` may come before `train.optimizer=sgd`
    for name in sorted(values, key=lambda name: name not in CHOICES):
        with problems.noted():
            _override(name, values[name], sections, catalogue)
        if name == "train.lr":
            with problems.noted():
                _refuse_unused_lr(values[name], sections["optimizers"])
    problems.raise_all()
    return Space(**sections | {"first": fit_first(sections["first"], Space(**sections).parameters())})


def place_of(document: Document | None, overrides: Sequence[str], kind: str, group: str, name: str) -> str:
    """Where the domain of a parameter was written: the last `--set` of it, else the file's line and key path.

    kind: one of `GROUPS`. group: the name of the architecture, optimizer, ..., that has the parameter `name`.
    """
    section = next((key for key, named in NAMED.items() if named == kind), "")
    full = f"train.{group}.{name}" if section else f"{group}.{name}"
    for override in reversed(overrides):
        if override.partition("=")[0].strip() == full:
            return f"--set {shortened(override)}"
    keys = ("training", section, group, name) if section else (kind, group, name)
    return full if document is None else document.place(keys)


def _defaults(catalogue: Catalogue) -> dict[str, Any]:
    """All that the plugins declare, but no augmentation: only a space that names one has it."""
    sections = _everything(catalogue)
    augmentations = sections["augmentations"]
    sections["first"] = ()
    return sections | {"augmentations": {"none": augmentations["none"]} if "none" in augmentations else augmentations}


def _everything(catalogue: Catalogue) -> dict[str, Any]:
    """All that the plugins declare, in plain dicts: a space must be picklable."""
    groups = {kind: getattr(catalogue, kind) for kind in GROUPS}
    return {kind: {name: dict(group) for name, group in groups[kind].items()} for kind in GROUPS} | {
        "training": dict(TRAINING)
    }


def _without_texts(groups: dict[str, Group]) -> dict[str, Group]:
    """Without the architectures that have a text, such as a file's name: they are searched where they are named."""
    return {n: g for n, g in groups.items() if not any(isinstance(d, Text) for d in g.values())} or groups


def _read_document(document: Document, catalogue: Catalogue) -> dict[str, Any]:
    def at(*keys: str | int) -> str:
        return document.place(keys)

    sections = _defaults(catalogue)
    problems = Problems()
    for key, value in document.value.items():
        with problems.noted():
            if key == "architectures":
                known = catalogue.architectures
                sections[key] = _names(value, known, "architecture", lambda *k: at("architectures", *k))
            elif key == "training":
                sections |= _read_training(value, catalogue, lambda *k: at("training", *k))
            elif key == "description" and not isinstance(value, str):
                raise SpaceError(at(key), f"must be a text, not {kind_of(value)}")
            elif key not in TOP_LEVEL:
                raise SpaceError(at(key), f"unknown key '{shortened(key)}'{did_you_mean(key, TOP_LEVEL)}")
    problems.raise_all()  # `first` is read when all domains are known
    if "first" in document.value:
        domains, every = Space(**sections).parameters(), Space(**_everything(catalogue)).parameters()
        sections["first"] = read_first(document.value["first"], domains, every, lambda *k: at("first", *k))
    return sections


def _read_training(value: Any, catalogue: Catalogue, at: At) -> dict[str, Any]:
    sections: dict[str, Any] = {}
    value = {} if value is None else value
    if not isinstance(value, dict):
        raise SpaceError(at(), f"must map training parameters to their domains, not {kind_of(value)}")
    domains = {key: inside for key, inside in value.items() if key not in NAMED}
    problems = Problems()
    for key in domains:
        if key not in KNOWN:
            problems.add(SpaceError(at(key), _unknown("training parameter", key, [*KNOWN, *NAMED])))
    for key, kind in NAMED.items():
        if key in value:
            with problems.noted():
                sections[kind] = _names(value[key], getattr(catalogue, kind), key, lambda *k, key=key: at(key, *k))
    with problems.noted():
        sections["training"] = _training({key: domains[key] for key in domains if key in KNOWN}, at)
    problems.raise_all()
    return sections


def _names(value: Any, known: Mapping[str, Mapping[str, Parameter]], kind: str, at: At) -> dict[str, Group]:
    """`resnet`, `[lenet, resnet]` or `{lenet: , resnet: {depth: 3}}`: the groups by name."""
    entries: list[tuple[Any, Any, str | int]] = []  # name, its domains, the key of its place
    if isinstance(value, dict):
        entries = [(name, inside, name) for name, inside in value.items()]
    elif isinstance(value, list):
        entries = [(name, None, index) for index, name in enumerate(value)]
    elif isinstance(value, str):
        entries = [(value, None, "")]
    if not entries:
        found = "nothing" if value in ({}, []) else kind_of(value)
        default = "none" if kind == "augmentation" else "all"
        raise SpaceError(
            at(), f"names no {kind}: give a name, a list or a mapping of names, not {found}; leave out for {default}"
        )
    groups: dict[str, Group] = {}
    problems = Problems()
    for name, inside, key in entries:
        place = at() if key == "" else at(key)
        with problems.noted():
            if not isinstance(name, str):
                raise SpaceError(place, f"must be the name of {_article(kind)}, not {kind_of(name)}")
            if name not in known:
                raise SpaceError(place, _unknown(kind, name, known))
            if name in groups:
                raise SpaceError(place, f"{kind} '{name}' is listed twice")
            groups[name] = _group(inside, known[name], lambda *k, name=name: at(name, *k))
    problems.raise_all()
    return groups


def _group(value: Any, own: Mapping[str, Parameter], at: At) -> Group:
    """The domains of one group: those of `value` (None: none) in the place of the plugin's own, in its order."""
    value = {} if value is None else value
    if not isinstance(value, dict):
        raise SpaceError(at(), f"must map parameters to their domains, or be empty, not {kind_of(value)}")
    problems = Problems()
    for key in value:
        if key not in own:
            problems.add(SpaceError(at(key), _unknown("parameter", key, own)))
    with problems.noted():
        fitted = _fitted({key: value[key] for key in value if key in own}, own, own, at)
    problems.raise_all()
    return fitted


def _training(value: Mapping[str, Any], at: At, base: Group = TRAINING) -> Group:
    """The training parameters: `value` over `base`, each of the kind in `KNOWN` and within its limits."""
    domains = _fitted(value, KNOWN, base, at, before=tuple(NAMED))
    problems = Problems()
    for name in value:
        domain = domains[name]
        for corner in domain.corners() if isinstance(domain, Parameter) else [domain]:
            if not isinstance(corner, int | float) or name not in LIMITS:
                continue
            least, most = LIMITS[name]
            if corner < least:
                problems.add(SpaceError(at(name), f"{corner:g} is too small: the least is {least:g}"))
            if corner > most:
                problems.add(SpaceError(at(name), f"{corner:g} is too large: the most is {most:g}"))
    problems.raise_all()
    return domains


def _fitted(
    value: Mapping[str, Any], own: Mapping[str, Parameter], base: Group, at: At, before: tuple[str, ...] = ()
) -> dict[str, Domain]:
    """`base` with each of `value` fitted to its `own` parameter, and its conditions checked.

    `before` are siblings that are suggested before the group.
    """
    domains = dict(base)
    problems = Problems()
    for name, inside in value.items():
        try:
            # A technique may be absent, so it may have a condition although none is declared.
            domains[name] = fit_domain(inside, own[name], optional=own is KNOWN and name in TECHNIQUES)
        except SpaceError as error:
            problems.add(SpaceError(at(name), error.problem))
    problems.raise_all()
    order = [*before, *own]
    for name, domain in domains.items():
        when = (domain.when if isinstance(domain, Parameter) else None) or {}
        for sibling, wanted in when.items():
            earlier = order[: order.index(name)]
            if sibling not in earlier:
                known = "comes later or is itself" if sibling in order else "is no parameter here"
                problem = f"the condition names '{shortened(sibling)}', which {known}"
                raise SpaceError(at(name), problem + did_you_mean(sibling, earlier))
            for each in wanted if name in value and sibling in own else ():
                if not own[sibling].accepts(each):
                    near = did_you_mean(each, map(str, own[sibling].corners())) if isinstance(each, str) else ""
                    raise SpaceError(at(name), f"the condition's {sibling}={each} cannot hold{near}")
    return {name: domains[name] for name in own if name in domains}  # a condition's parameter comes first


def _split_override(override: str) -> tuple[str, str]:
    name, equals, text = override.partition("=")
    name = name.strip()
    if not equals or not name or not text.strip():
        raise SpaceError(f"--set {shortened(override)}", "must be NAME=VALUE, e.g. train.lr=0.01")
    return name, text


def _override(name: str, text: str, sections: dict[str, Any], catalogue: Catalogue) -> None:
    """Puts the value of `--set name=text` into its section."""
    place = f"--set {shortened(name)}={shortened(text)}"
    value = parse_value(text, place)
    head, _, parameter = name.rpartition(".")

    def at(*_: str | int) -> str:
        return place

    if name in CHOICES:
        kind = NAMED.get(parameter, "architectures")
        named = _names(value, getattr(catalogue, kind), parameter, at)
        kept = {
            n: sections[kind][n] for n in named if n in sections[kind] and not (isinstance(value, dict) and value[n])
        }
        sections[kind] = {**named, **kept}
        return
    if head == "train" and parameter in KNOWN:
        sections["training"] = _training({parameter: value}, at, sections["training"])
        return
    for kind in GROUPS:
        groups, prefix = getattr(catalogue, kind), "train." if kind in NAMED.values() else ""
        group = head.removeprefix(prefix) if head.startswith(prefix) else ""
        if parameter not in groups.get(group, {}):
            continue
        if group not in sections[kind]:
            listed = ", ".join(sorted(sections[kind]))
            raise SpaceError(place, f"{kind[:-1]} '{group}' is not in the search space, which has {listed}")
        own = groups[group]
        sections[kind] = {**sections[kind], group: _fitted({parameter: value}, own, sections[kind][group], at)}
        return
    full = Space(**_everything(catalogue))
    raise SpaceError(place, _unknown("parameter", name, full.parameters()))


def _refuse_unused_lr(text: str, optimizers: Mapping[str, Group]) -> None:
    """Raises `SpaceError` where every optimizer has learning rates of its own, so that `train.lr` changes nothing."""
    if all("lr" in group for group in optimizers.values()):
        own = ", ".join(f"train.{name}.lr" for name in sorted(optimizers))
        raise SpaceError(
            f"--set train.lr={shortened(text)}", f"every optimizer has learning rates of its own: set {own}"
        )


def _unknown(kind: str, name: str, known: Any) -> str:
    return f"unknown {kind} '{shortened(name)}'{did_you_mean(name, known) or '; it has none'}"


def _unknown_architecture(name: str, known: Mapping[str, Any], catalogue: Catalogue) -> str:
    if name in catalogue.architectures:
        return f"the search space does not list '{name}', only {', '.join(known)}"
    return _unknown("architecture", name, known)


def _article(kind: str) -> str:
    return f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}"
