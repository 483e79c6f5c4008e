"""The command line: parse, call the api, print. `main` turns errors into exit codes.

Commands are imported when the program starts, so they import torch, optuna and the like only when they run.
"""

from __future__ import annotations

import faulthandler
import platform
import sys
from collections.abc import Callable
from importlib import metadata
from typing import Annotated

import typer

from automl.cli import dashboard, models, plugins, report, runs, search, spaces, trials, worker
from automl.cli.looking import looking


def make_app(*, with_settings: bool = True) -> typer.Typer:
    """All commands. `with_settings`: `search` and `resume` have the options of a search, which are made of pydantic's
    fields; the list of commands need not wait for its import.
    """
    app = typer.Typer(
        name="automl",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_options)
    if with_settings:
        from automl.cli.options import takes_settings

        begin, go_on = takes_settings(search.search), takes_settings(search.resume, only_changeable=True)
    else:
        begin, go_on = _listed(search.search), _listed(search.resume)
    app.command("search")(begin)
    app.command("resume")(go_on)
    app.command("worker")(worker.worker)
    app.command("leaderboard")(looking(runs.leaderboard))
    app.command("show")(looking(trials.show))
    app.command("replay")(looking(trials.replay))
    app.command("report")(looking(report.report))
    app.command("dashboard")(looking(dashboard.dashboard))
    app.command("fit")(looking(models.fit))
    app.command("evaluate")(looking(models.evaluate))
    app.command("predict")(looking(models.predict))
    app.command("export")(looking(models.export))
    app.add_typer(plugins.app, name="plugins")
    app.command("spaces")(spaces.spaces)
    app.add_typer(spaces.space_app, name="space")
    return app


def _print_version(asked: bool) -> None:
    """What a report of a bug needs to name, from the packages' metadata: torch takes seconds to import."""
    if asked:
        versions = [f"{name} {metadata.version(name)}" for name in ("automl", "torch", "torchvision", "optuna")]
        typer.echo(", ".join([*versions, f"Python {platform.python_version()}"]))
        raise typer.Exit


def _options(
    version: Annotated[
        bool,
        typer.Option("--version", help="Print the versions of automl and of what it runs on.", callback=_print_version),
    ] = False,
) -> None:
    """Finds a neural network for your data, and tells you honestly how good it is."""


def _listed(command: Callable[..., None]) -> Callable[..., None]:
    """The command as the list of commands shows it."""

    def listed() -> None: ...

    listed.__doc__ = command.__doc__
    return listed


def __getattr__(name: str) -> typer.Typer:
    if name == "app":
        return make_app()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def main() -> None:
    """Runs the command line; exits with 0, 1, 2, 3 or 128+n; see docs/cli.md."""
    from automl.cli.output import standard_streams
    from automl.cli.process_list import hide_passwords
    from automl.errors import AutomlError

    hide_passwords()
    if sys.stderr is sys.__stderr__:
        faulthandler.enable()  # a plugin that crashes in native code is named with its line
    with standard_streams():
        try:
            make_app(with_settings=not {"search", "resume"}.isdisjoint(sys.argv))()
        except AutomlError as error:
            print(f"automl: {error}", file=sys.stderr)
            sys.exit(error.exit_code)
        except KeyboardInterrupt:
            sys.exit(130)
