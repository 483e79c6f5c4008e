"""`automl plugins` lists what is installed, `plugins check` examines an architecture, `plugins new` begins one."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from automl.hooks.declarations import Declaration
    from automl.hooks.host import PluginHost
    from automl.testing import Check

app = typer.Typer(help="List the plugins, check an architecture, or begin a new one.", invoke_without_command=True)

Files = Annotated[list[Path] | None, typer.Option("--plugin", metavar="FILE", help="Load this plugin too.")]
Folders = Annotated[
    list[Path] | None, typer.Option("--plugins-dir", metavar="DIR", help="Load every *.py of this folder too.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.callback()
def plugins(context: typer.Context, plugin: Files = None, plugins_dir: Folders = None, as_json: AsJson = False) -> None:
    """List what the plugins declare, and the plugins that are broken, with the reason."""
    context.obj = (plugin or [], plugins_dir or [], as_json)
    if context.invoked_subcommand is not None:
        return
    from automl.hooks.host import load_plugins

    host = load_plugins(files=plugin or [], folders=plugins_dir or [])
    if as_json:
        typer.echo(json.dumps(listing(host), indent=2))
    else:
        _print_plugins(host)


@app.command()
def check(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME|FILE", help="What a plugin declares, or a plugin's file.")],
    input_shape: Annotated[str, typer.Option(metavar="C,H,W", help="One sample's shape.")] = "1,28,28",
    outputs: Annotated[int, typer.Option(min=1, help="Classes; 1 for a regression.")] = 10,
    plugin: Files = None,
    plugins_dir: Folders = None,
    as_json: AsJson = False,
) -> None:
    """Try what a plugin declares, at the corners of its search space and at random configs, as a search uses it.

    Exit code 0: all is well; 1: a check failed; 2: the name is unknown, or its plugin is broken.
    """
    shape = _shape(input_shape)
    files, folders, json_before = context.obj
    host, found = _declarations(name, [*files, *(plugin or [])], [*folders, *(plugins_dir or [])])

    from automl.testing import examine_any
    from automl.testing.listeners import examine_listeners

    same = len({d.name for d in found}) < len(found)  # an optimizer may be called as an architecture is
    checks = {f"{d.kind} {d.name}" if same else d.name: examine_any(d, shape, outputs) for d in found}
    if name.endswith(".py") and (heard := examine_listeners(name, host)):
        checks["events"] = heard
    if as_json or json_before:
        rows = {key: [dataclasses.asdict(c) for c in value] for key, value in checks.items()}
        typer.echo(json.dumps(rows, indent=2))
    else:
        for key, value in checks.items():
            _print_checks(key, value)
    # No feasible config is a failure too: nothing was shown to work.
    for each in checks.values():
        outcomes = {c.outcome for c in each}
        if "failed" in outcomes or outcomes == {"infeasible"}:
            raise typer.Exit(1)


@app.command()
def new(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The new architecture, e.g. wide-net.")],
    folder: Annotated[Path, typer.Option("--dir", metavar="DIR", help="Where the folder NAME is made.")] = Path(),
) -> None:
    """Write a small complete package: a plugin with an architecture, its test, a search space and a README.

    Exit code 2: the name is taken or cannot be used, or the folder exists; nothing was written.
    """
    from automl.hooks.host import load_plugins
    from automl.hooks.scaffold import write_package

    files, folders, _ = context.obj
    written = write_package(name, folder, load_plugins(files=files, folders=folders))
    for path in written:
        typer.echo(path)
    package = folder / name
    where = package if package.is_absolute() else f"./{package}"
    typer.echo("\nNow install it, test it, and search over it:")
    search = f"automl search digits --space {package}/search_space.yaml"
    for command in (f"pip install {where}", f"pytest {package}", search):
        typer.echo(f"  {command}")


def listing(host: PluginHost) -> dict[str, Any]:
    """What `automl plugins --json` prints."""
    return {
        "plugins": [
            {
                "name": d.name,
                "kind": d.kind,
                "summary": d.summary,
                "parameters": {name: str(parameter) for name, parameter in d.parameters.items()},
                "plugin": d.plugin,
                "source": f"{d.source}:{d.line}",
                "version": host.version(d),
            }
            for d in host.declarations()
        ],
        "broken": [dataclasses.asdict(b) | {"message": str(b)} for b in host.broken],
    }


def _shape(text: str) -> tuple[int, ...]:
    from automl.errors import SettingsError

    parts = text.replace("x", ",").split(",")
    if not all(part.strip().isdecimal() and int(part) > 0 for part in parts) or len(parts) not in (1, 3):
        raise SettingsError(
            f"--input-shape {text}: must be channels,height,width (e.g. 3,32,32) or one number of features"
        )
    return tuple(int(part) for part in parts)


def _declarations(name: str, files: list[Path], folders: list[Path]) -> tuple[PluginHost, list[Declaration]]:
    """The host, and what is declared as `name`, of whatever kind, or all that the file `name` declares.

    Raises `BadInput`.
    """
    from automl.errors import BadInput
    from automl.hooks.checks import HOOKS
    from automl.hooks.host import load_plugins

    if not name.endswith(".py"):
        host = load_plugins(files=files, folders=folders)
        return host, [d for d in host.declarations() if d.name == name] or [host.architecture(name)]
    host = load_plugins(files=[name], entry_points=False)
    if len(host.broken) == 1:
        raise host.broken[0].error()
    if host.broken:
        raise BadInput("\n".join(map(str, host.broken)))
    if not host.declarations() and not host.listens(HOOKS):
        raise BadInput(f"{name}: declares nothing and listens to nothing; there is nothing to check")
    return host, host.declarations()


def _print_plugins(host: PluginHost) -> None:
    from rich.table import Table
    from rich.text import Text

    from automl.cli.terminal import Terminal

    # Text, not markup: a summary may hold [brackets].
    console = Terminal()
    table = Table("name", "kind", "summary", "parameters", "plugin")
    for d in host.declarations():
        parameters = "\n".join(f"{name}: {parameter}" for name, parameter in d.parameters.items())
        version = host.version(d)
        plugin = f"{d.plugin} {version}" if version else d.plugin
        table.add_row(*(Text(cell, overflow="fold") for cell in (d.name, d.kind, d.summary, parameters, plugin)))
    console.print(table)
    if host.broken:
        console.print(Text(f"\n{len(host.broken)} broken:", style="bold red"))
        for broken in host.broken:
            console.print(Text(str(broken)), soft_wrap=True)


def _print_checks(name: str, checks: list[Check]) -> None:
    from rich.table import Table
    from rich.text import Text

    from automl.cli.terminal import Terminal

    console = Terminal()
    table = Table("config", "outcome", "parameters", "trained", "ms", title=Text(name))
    for c in checks:
        outcome = f"{c.outcome}: {c.problem}" if c.problem else c.outcome
        config = ", ".join(f"{k}={v:.3g}" if isinstance(v, float) else f"{k}={v}" for k, v in c.config.items())
        trained = "yes" if c.trained else f"not: {c.untrained}" if c.untrained else ""
        cells = (config, outcome, f"{c.parameters:,}", trained, f"{1000 * c.seconds:.0f}")
        style = {"failed": "red", "infeasible": "yellow"}.get(c.outcome, "")
        table.add_row(*(Text(cell, overflow="fold") for cell in cells), style=style)
    console.print(table)
    for c in checks:
        if c.outcome == "failed":  # once more, exactly, to be copied
            console.print(Text(f"failed: {json.dumps(dict(c.config))}: {c.problem}"), soft_wrap=True)
    counts = [f"{sum(c.outcome == o for c in checks)} {o}" for o in ("ok", "infeasible", "failed")]
    console.print(Text(f"{name}: {', '.join(counts)}"))
