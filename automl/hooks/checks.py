"""What a plugin may contain: the rules for hook functions and for what they return, checked before anything is used."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import pluggy

from automl.errors import did_you_mean
from automl.hooks import hookspecs
from automl.hooks.declarations import Architecture, Augmentation, DatasetSource, Declaration, Optimizer, Schedule
from automl.hooks.loading import Broken, Found

DECLARING: dict[str, type[Declaration]] = {
    "automl_architectures": Architecture,
    "automl_optimizers": Optimizer,
    "automl_schedules": Schedule,
    "automl_augmentations": Augmentation,
    "automl_datasets": DatasetSource,
}
"""The hooks that return declarations, and of which kind; the other hooks are events."""

HOOKS = tuple(name for name in vars(hookspecs) if name.startswith("automl_"))


def place_of(thing: Any, source: str, line: int = 0) -> tuple[str, int]:
    """The file and line of a function or declaration; `source` and `line` where it has none."""
    if isinstance(thing, Declaration):
        return thing.source, thing.line
    code = getattr(inspect.unwrap(thing) if callable(thing) else thing, "__code__", None)
    return (code.co_filename, code.co_firstlineno) if code else (source, line)


def check_declaration(item: Any, kind: type[Declaration], hook: str) -> str:
    """What is wrong with an item of the list that `hook` returned; "" when nothing is."""
    decorator = "@dataset" if kind is DatasetSource else f"@{kind.kind}(...)"
    if isinstance(item, kind):
        return ""
    if isinstance(item, Declaration):
        right = next(h for h, k in DECLARING.items() if isinstance(item, k))
        return f"{hook}() returned the {item.kind} '{item.name}'; return it from {right}()"
    if callable(item):
        shown = getattr(item, "__name__", repr(item))
        return f"{hook}() returned the plain function '{shown}'; decorate it with {decorator}"
    return f"{hook}() returned {item!r}; list functions decorated with {decorator}"


def check_hooks(found: Found, plugin: Any, manager: pluggy.PluginManager) -> tuple[list[Broken], bool]:
    """What is wrong with the hook functions of `plugin`, and whether it must not be registered for that."""
    problems: list[Broken] = []
    unusable = False
    for attribute in dir(plugin):
        function = getattr(plugin, attribute, None)
        if not inspect.isroutine(function):
            continue
        options = manager.parse_hookimpl_opts(plugin, attribute)
        at = place_of(function, found.source)
        if options is None:
            ours = getattr(function, "__module__", "") == getattr(plugin, "__name__", type(plugin).__module__)
            if attribute.startswith("automl_") and ours:
                known = attribute in HOOKS
                remedy = "add @hookimpl above it" if known else f"no hook has this name{did_you_mean(attribute, HOOKS)}"
                mark = "" if known else " and add @hookimpl, or give it a name that does not begin with automl_"
                problems.append(Broken(found.name, *at, f"{attribute}() is not marked as a hook: {remedy}{mark}"))
            continue
        hook = options.get("specname") or attribute
        if hook not in HOOKS:
            problems.append(Broken(found.name, *at, f"there is no hook '{hook}'{did_you_mean(hook, HOOKS)}"))
            continue
        problem = _check_arguments(hook, function, dict(options))
        if problem:
            unusable = True
            problems.append(Broken(found.name, *at, problem))
    return problems, unusable


def _check_arguments(hook: str, function: Any, options: Mapping[str, Any]) -> str:
    if options.get("wrapper") or options.get("hookwrapper"):
        return f"{hook}() is a hook wrapper; automl calls each plugin by itself: use a plain @hookimpl"
    given = list(inspect.signature(getattr(hookspecs, hook)).parameters)
    for name, argument in inspect.signature(function).parameters.items():
        if name not in given and argument.default is argument.empty:
            gives = ", ".join(given) if given else "no arguments"
            return f"{hook}() takes '{name}' but the hook gives {gives}"
    return ""
