"""`automl spaces` lists the built-in search spaces; `automl space check FILE` and `automl space schema` look at one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from automl.cli.plugins import AsJson, Files, Folders

if TYPE_CHECKING:
    from automl.hooks.host import PluginHost

space_app = typer.Typer(help="Check a search space, or print the JSON Schema of one.", no_args_is_help=True)


def spaces(as_json: AsJson = False) -> None:
    """List the search spaces that come with automl."""
    from automl.spaces.library import list_spaces

    found = list_spaces()
    if as_json:
        rows = [{"name": name, "description": text, "file": str(path)} for name, text, path in found]
        typer.echo(json.dumps(rows, indent=2))
    else:
        _print_table(("name", "description"), [(name, text) for name, text, _ in found])


@space_app.command()
def check(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A YAML file, or the name of a built-in space.")],
    plugin: Files = None,
    plugins_dir: Folders = None,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="Replace a domain, e.g. resnet.depth=3.")
    ] = None,
    architecture: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Only this architecture; may be repeated.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Merge a search space with the plugins; print every parameter with its domain, and the fingerprint.

    The configs that a search begins with are printed too. Exit code 2: the file is wrong; the message says where.
    """
    from automl.run.tried_domains import check_domains
    from automl.spaces.domains import domain_text
    from automl.spaces.library import find_space
    from automl.spaces.merge import merge
    from automl.spaces.yaml_file import read

    document = read(find_space(file))
    host = _load(plugin, plugins_dir)
    merged = merge(document, host.catalogue(), architectures=architecture or (), overrides=overrides or ())
    check_domains(merged, host, document, tuple(overrides or ()))
    parameters = {name: domain_text(domain) for name, domain in merged.parameters().items()}
    if as_json:
        first = [dict(config) for config in merged.first]
        shown = {"space": file, "fingerprint": merged.fingerprint(), "parameters": parameters, "first": first}
        typer.echo(json.dumps(shown, indent=2))
    else:
        _print_table(("parameter", "domain"), list(parameters.items()))
        for config in merged.first:
            typer.echo("first " + ", ".join(f"{name}={json.dumps(value)}" for name, value in config.items()))
        typer.echo(f"fingerprint {merged.fingerprint()}")


@space_app.command()
def schema(plugin: Files = None, plugins_dir: Folders = None) -> None:
    """Print the JSON Schema of search-space files, for completion and checking in editors."""
    from automl.spaces.schema import json_schema

    typer.echo(json.dumps(json_schema(_load(plugin, plugins_dir).catalogue()), indent=2))


def _load(files: list[Path] | None, folders: list[Path] | None) -> PluginHost:
    """The plugins; those that are broken are named on stderr, where they spoil no JSON."""
    from automl.hooks.host import load_plugins

    host = load_plugins(files=files or [], folders=folders or [])
    for broken in host.broken:
        typer.echo(f"warning: {broken}", err=True)
    return host


def _print_table(headers: tuple[str, str], rows: list[tuple[str, str]]) -> None:
    from rich.table import Table
    from rich.text import Text

    from automl.cli.terminal import Terminal

    table = Table(*headers)
    for row in rows:  # Text, not markup: a description may hold [brackets]
        table.add_row(*(Text(cell, overflow="fold") for cell in row))
    Terminal().print(table)
