"""The JSON Schema (draft 2020-12) of search-space files: completion and checking in editors, for the plugins at hand.

Whatever `merge` accepts the schema accepts. The reverse does not hold: bounds in the wrong order, or a choice that
lists 1 and true, are found by `merge` alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from automl.spaces.domains import domain_text
from automl.spaces.parameters import Choice, Float, Int, Parameter, Text
from automl.spaces.space import Catalogue
from automl.spaces.training import KNOWN, LIMITS, TECHNIQUES

Schema = dict[str, Any]

_ANY_SCALAR: Schema = {"type": ["null", "boolean", "number", "string"]}


def json_schema(catalogue: Catalogue) -> Schema:
    """The schema of a YAML search space over the catalogue's declarations."""
    training = {
        "optimizer": _names(catalogue.optimizers, "The optimizers to choose from; left out: all."),
        "schedule": _names(catalogue.schedules, "The learning-rate schedules to choose from; left out: all."),
        "augmentation": _names(catalogue.augmentations, "The augmentations to choose from; left out: none."),
    }
    for name, parameter in KNOWN.items():
        training[name] = _domain(parameter, list(training), LIMITS.get(name), optional=name in TECHNIQUES)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "automl search space",
        "type": "object",
        "properties": {
            "description": {"type": "string", "description": "One line for `automl spaces`."},
            "architectures": _names(
                catalogue.architectures,
                "The architectures to choose from; left out: all but those with a text parameter.",
            ),
            "training": _object(training, "How every trial is trained."),
            "first": {
                "description": "Configs to try before any is drawn, by full names; what they leave out is drawn.",
                "type": "array",
                "items": {"type": "object", "additionalProperties": _ANY_SCALAR, "required": ["architecture"]},
            },
        },
        "additionalProperties": False,
    }


def _names(groups: Mapping[str, Mapping[str, Parameter]], description: str) -> Schema:
    """A name, a list of names, or a mapping of names to the domains of their parameters."""
    name: Schema = {"enum": sorted(groups)}
    mapping = {
        "type": "object",
        "properties": {each: _group(groups[each]) for each in sorted(groups)},
        "additionalProperties": False,
        "minProperties": 1,
    }
    return {"description": description, "anyOf": [name, _list(name), mapping]}


def _group(parameters: Mapping[str, Parameter]) -> Schema:
    names = list(parameters)
    return _object({name: _domain(parameters[name], names[:i]) for i, name in enumerate(names)}, "Its parameters.")


def _object(properties: Schema, description: str) -> Schema:
    return {
        "description": description,
        "type": ["object", "null"],
        "properties": properties,
        "additionalProperties": False,
    }


def _list(items: Schema) -> Schema:
    return {"type": "array", "items": items, "minItems": 1, "uniqueItems": True}


def _domain(
    own: Parameter, siblings: Iterable[str], limits: tuple[float, float] | None = None, optional: bool = False
) -> Schema:
    """A scalar, a list, or an int, float or choice mapping, as far as `own` accepts them; `when` if it has one."""
    value = _scalar(own, limits)
    siblings = siblings if optional or own.when is not None else ()
    forms = [value, _list(value), _kind("choice", _list(value), {}, siblings)]
    if isinstance(own, Text):
        forms.append(_kind("text", value, {}, siblings))
    bound = _within(limits)
    log: Schema = {"log": {"type": "boolean"}}
    if own.accepts(1):
        forms.append(
            _kind("int", _bounds("integer", bound), log | {"step": {"type": "integer", "minimum": 1}}, siblings)
        )
    if own.accepts(1.0):
        step = {"type": ["number", "null"], "exclusiveMinimum": 0}
        forms.append(_kind("float", _bounds("number", bound), log | {"step": step}, siblings))
    return {"description": f"The plugin's own domain: {domain_text(own)}", "anyOf": forms}


def _within(limits: tuple[float, float] | None) -> Schema:
    if limits is None:
        return {}
    least, most = limits
    return {"minimum": least} | ({"maximum": most} if math.isfinite(most) else {})


def _bounds(kind: str, bound: Schema) -> Schema:
    return {"type": "array", "items": {"type": kind} | bound, "minItems": 2, "maxItems": 2}


def _kind(key: str, inside: Schema, options: Schema, siblings: Iterable[str]) -> Schema:
    properties = {key: inside} | options
    if conditions := {sibling: {"anyOf": [_ANY_SCALAR, _list(_ANY_SCALAR)]} for sibling in siblings}:
        properties["when"] = {
            "description": "The parameter is used only when its siblings have (one of) these values.",
            "type": "object",
            "properties": conditions,
            "additionalProperties": False,
            "minProperties": 1,
        }
    return {"type": "object", "properties": properties, "required": [key], "additionalProperties": False}


def _scalar(own: Parameter, limits: tuple[float, float] | None) -> Schema:
    """The values that may pin the parameter: what `own.accepts`."""
    if isinstance(own, Text):
        return {"type": "string"}
    bound = _within(limits)
    if isinstance(own, Int | Float):
        return {"type": "integer" if isinstance(own, Int) else "number"} | bound
    forms: list[Schema] = []
    if isinstance(own, Choice):
        if words := [v for v in own.values if v is None or isinstance(v, str)]:
            forms.append({"enum": words})
        if any(isinstance(v, bool) for v in own.values):
            forms.append({"type": "boolean"})
        if own.accepts(1):
            forms.append({"type": "number" if own.accepts(1.0) else "integer"} | bound)
    return forms[0] if len(forms) == 1 else {"anyOf": forms}
