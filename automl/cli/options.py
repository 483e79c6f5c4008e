"""The settings of a search as options of a command: made from the fields of `automl.settings.Settings`."""

from __future__ import annotations

from collections.abc import Callable
from inspect import Parameter, signature
from types import UnionType
from typing import TYPE_CHECKING, Annotated, Any, Union, get_args, get_origin

import typer

from automl.settings import CHANGEABLE, Settings, option_name

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

Command = Callable[..., None]


def takes_settings(command: Command, *, only_changeable: bool = False) -> Command:
    """The command with an option for each setting but `data`, which is an argument, in the place of its `**settings`.

    only_changeable: for those alone that may change when a run is resumed.
    """
    names = CHANGEABLE if only_changeable else [name for name in Settings.model_fields if name != "data"]
    seen = signature(command, eval_str=True)
    own = [each for each in seen.parameters.values() if each.kind is not Parameter.VAR_KEYWORD]
    options = [_option_of(name, Settings.model_fields[name]) for name in names]

    def with_options(**given: Any) -> None:
        command(**given)

    with_options.__doc__ = command.__doc__
    with_options.__signature__ = seen.replace(parameters=[*own, *options])  # type: ignore[attr-defined]
    return with_options


def _option_of(name: str, field: FieldInfo) -> Parameter:
    extra: Any = field.json_schema_extra
    kind, repeatable = _kind_of(field.annotation, text=extra["text"])
    shown = "" if field.default in (None, False, ()) else f" (default {field.default})"
    option = typer.Option(
        option_name(name),
        metavar=extra["metavar"],
        help=f"{field.description}{shown}.{' Repeatable.' if repeatable else ''}",
        rich_help_panel=extra["panel"],
    )
    default = False if kind is bool else None
    annotation: Any = Annotated[kind if kind is bool else kind | None, option]
    return Parameter(name, Parameter.POSITIONAL_OR_KEYWORD, default=default, annotation=annotation)


def _kind_of(annotation: Any, *, text: bool) -> tuple[Any, bool]:
    """The type that the command line reads, and whether the option may be given several times."""
    if text:
        return str, False
    parts = {_plain(part) for part in get_args(annotation)} if _is_union(annotation) else {_plain(annotation)}
    if tuple in parts:
        return list[str], True
    return next((kind for kind in (bool, int, float) if kind in parts), str), False


def _is_union(annotation: Any) -> bool:
    return get_origin(annotation) in (Union, UnionType)


def _plain(annotation: Any) -> Any:
    origin = get_origin(annotation)
    return _plain(get_args(annotation)[0]) if origin is Annotated else origin or annotation
