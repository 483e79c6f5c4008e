"""One domain as it is written in a YAML file, on the command line or in `run.yaml`: reading it and fitting it in.

3                                        a scalar pins the parameter
[sgd, adam]                              a list is a choice
{int: [1, 5], step: 2}                   the kinds of `automl.spaces.parameters`, with their options
{float: [1e-4, 1e-1], log: true}
{choice: [4, 8], when: {norm: group}}
{text: DEFAULT}                          any text, DEFAULT where nothing else is said
"""

from __future__ import annotations

import reprlib
from typing import Any

from automl.errors import SpaceError, did_you_mean
from automl.spaces.parameters import Choice, Float, Int, Parameter, Scalar, Text
from automl.spaces.yaml_file import kind_of, shortened

Domain = Parameter | Scalar
"""A parameter, or the constant it is pinned to."""

OPTIONS = {"int": ("log", "step", "when"), "float": ("log", "step", "when"), "choice": ("when",), "text": ("when",)}
"""The options that may stand beside each kind of domain."""


def read_domain(value: Any) -> Domain:
    """The domain that a YAML value means. Raises `SpaceError` (without a place: the caller knows it)."""
    if isinstance(value, list):
        return Choice(*value)
    if not isinstance(value, dict):
        return value  # type: ignore[no-any-return]
    kinds = [kind for kind in OPTIONS if kind in value]
    if len(kinds) != 1:
        found = " and ".join(kinds) if kinds else shortened(", ".join(list(value)[:8])) or "nothing"
        near = did_you_mean(next(iter(value)), OPTIONS) if len(value) == 1 else ""
        raise SpaceError("", f"a domain has exactly one of int, float, choice and text, not {found}{near}")
    kind = kinds[0]
    for option in value:
        if option != kind and option not in OPTIONS[kind]:
            raise SpaceError("", f"{kind}: unknown option '{shortened(option)}'{did_you_mean(option, OPTIONS[kind])}")
    if not isinstance(value.get("log", False), bool):
        raise SpaceError("", f"{kind}: log must be true or false, not {kind_of(value['log'])}")
    options = {option: value[option] for option in OPTIONS[kind] if option in value}
    if options.get("when", ...) is None:
        raise SpaceError("", "when must map a sibling's name to its value(s), e.g. {norm: group}, not null")
    inside = value[kind]
    if kind == "choice":
        if not isinstance(inside, list):
            raise SpaceError("", f"choice must be a list of values, not {kind_of(inside)}")
        return Choice(*inside, **options)
    if kind == "text":
        return Text(inside, **options)
    if not isinstance(inside, list) or len(inside) != 2:
        raise SpaceError(
            "",
            f"{kind} must be [low, high], not {reprlib.repr(inside) if isinstance(inside, list) else kind_of(inside)}",
        )
    return Int(*inside, **options) if kind == "int" else Float(*inside, **options)


def write_domain(domain: Domain) -> Any:
    """The domain as a JSON value; `read_domain` gives it back."""
    return domain.to_json() if isinstance(domain, Parameter) else domain


def domain_text(domain: Domain) -> str:
    """The domain for a person: `1..5 log`, `sgd|adam`, `0.9`."""
    return str(domain if isinstance(domain, Parameter) else Choice(domain))


def fit_domain(value: Any, own: Parameter, *, optional: bool = False) -> Domain:
    """The domain that the YAML `value` puts in the place of `own`, the plugin's domain.

    It must be of the same kind (whole numbers are fine for a float). It keeps the condition of `own` unless it has one
    itself; a parameter without a condition gets none, for nothing says that `build` can do without it, unless it is
    `optional`. A pinned parameter under a condition is a choice of one value, so that it stays absent while inactive.

    Raises `SpaceError` (without a place).
    """
    domain = read_domain(value)
    values = domain.corners() if isinstance(domain, Parameter) else [domain]
    for each in values:
        if not own.accepts(each):
            raise SpaceError("", _misfit(each, own))
    if isinstance(own, Float):
        domain = _as_float(domain)
    if not isinstance(domain, Parameter):
        return domain if own.when is None else Choice(domain, when=own.when)
    if domain.when is not None and own.when is None and not optional:
        raise SpaceError(
            "", "takes no condition `when`: it is always needed (only a conditional parameter may be absent)"
        )
    return domain if domain.when is not None else domain.under(own.when)


def _misfit(value: Scalar, own: Parameter) -> str:
    domain = own.under(None)
    if isinstance(own, Choice) and not any(own.accepts(number) for number in (1, 1.0)):
        near = did_you_mean(value, [v for v in own.values if isinstance(v, str)]) if isinstance(value, str) else ""
        return f"{kind_of(value)} is none of {domain}{near}"
    wanted = "a text" if isinstance(own, Text) else "a number" if own.accepts(0.5) else "a whole number"
    hint = "; leave the key out to keep that domain" if value is None else ""
    return f"must be {wanted} (the domain to replace is {domain}), not {kind_of(value)}{hint}"


def _as_float(domain: Domain) -> Domain:
    """The same domain with whole numbers as floats, so that a plugin's `Float` always gets one."""
    if isinstance(domain, Choice):
        return Choice(*(float(v) for v in domain.values), when=domain.when)  # type: ignore[arg-type]
    if isinstance(domain, Parameter):
        return domain
    return float(domain)  # type: ignore[arg-type]
