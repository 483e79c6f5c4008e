"""`automl search` and `automl resume`."""

from __future__ import annotations

import json
import shlex
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from automl.cli.output import go_on
from automl.cli.paths import require_run, require_search, require_settings
from automl.cli.runs import RunPlugins
from automl.errors import AutomlError, Interrupted, MachineFailed

if TYPE_CHECKING:
    from automl.api import MakeCallback, Run
    from automl.scheduling.callbacks import Callback

ALONE = ("trials", "timeout", "trial_timeout", "threads", "workers")
"""The settings of `automl resume` that are right or wrong whatever the run's own are."""

Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the leaderboard as JSON at the end, and nothing else.")]


def search(
    data: Annotated[
        str, typer.Argument(help="A folder of images, a table, an .npz, digits, torchvision:NAME, a plugin's data set.")
    ] = "digits",
    out: Annotated[Path | None, typer.Option("--out", "-o", help="The run's folder (default runs/NAME-N).")] = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
    columns: Annotated[
        bool, typer.Option("--columns", help="Also print how each column of a table is read, a line each.")
    ] = False,
    **settings: Any,
) -> None:
    """Search a network for DATA, fit it, test it once.

    Leaves a run folder with the model, the leaderboard and a report. Ctrl-C stops; `automl resume` goes on.
    """
    settings = _given(settings)
    require_search(data, out, settings)

    def begin(**watching: Any) -> Run:
        """Imports torch only now, when the search is to begin."""
        from automl import api

        return api.search(data, out=out, **watching, **settings)

    _run(begin, quiet, as_json, columns)


def resume(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The run's folder.", callback=require_run)],
    plugin: RunPlugins = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
    **settings: Any,
) -> None:
    """Go on with an interrupted run, or with a larger budget.

    The data and the search space must be those that the run was begun with.
    """

    changes = _given(settings)
    require_settings(**{name: value for name, value in changes.items() if name in ALONE})

    def begin_again(**watching: Any) -> Run:
        """Imports torch only now, as for a new search."""
        from automl import api

        return api.resume(run, plugins=plugin or (), **changes, **watching)

    _run(begin_again, quiet, as_json)


def _given(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings as the command line has them; of those that may be given several times, none is ()."""
    from automl.settings import Settings

    several = {name for name, field in Settings.model_fields.items() if field.default == ()}
    return {name: () if value is None and name in several else value for name, value in settings.items()}


def _run(go: Callable[..., Run], quiet: bool, as_json: bool, columns: bool = False) -> None:
    """Runs a search with signals, progress and the closing words."""
    from automl.cli.signals import Signals
    from automl.run.logs import set_up_logging

    started = time.monotonic()  # for the user, the time runs from here: torch, plugins and data come first
    set_up_logging()
    go_on()
    with ExitStack() as stack:
        signals = stack.enter_context(Signals())
        watch = None if quiet or as_json else _watch(stack, columns)
        try:
            run = go(watch=watch, interrupted=signals.interrupted, started=started)
        except Interrupted as stopped:
            stack.close()
            print(f"automl: stopped; {_how_to_go_on(stopped)}", file=sys.stderr)
            raise typer.Exit(128 + signals.received) from None
        except MachineFailed as failed:
            stack.close()
            print(f"automl: {failed}; {_how_to_go_on(failed)}", file=sys.stderr)
            raise typer.Exit(failed.exit_code) from None
    if as_json:
        typer.echo(json.dumps(run.summary))
    elif not quiet:
        from automl.cli.runs import print_answer

        print_answer(run)


def _how_to_go_on(ended: Interrupted | MachineFailed) -> str:
    """The command that resumes the run, to be copied, with its path from here and, where it had one, its timeout."""
    from automl.run.folder import RunFolder

    if ended.run is None:
        return "nothing was begun"
    timeout = None
    with suppress(AutomlError):  # the disk may be gone
        timeout = RunFolder(ended.run).read_record().settings.timeout
    deadline = "" if timeout is None else f" --timeout {timeout:g}s"
    near = ended.run.is_relative_to(Path.cwd())
    path = ended.run.relative_to(Path.cwd()) if near else ended.run
    return f"go on with: automl resume {shlex.quote(str(path))}{deadline}"


def _watch(stack: ExitStack, columns: bool) -> MakeCallback:
    """Live progress on a terminal, plain lines elsewhere. `columns`: each of them gets a line."""

    def make(context: Any, budget: Any, earlier: Any) -> Callback:
        """As `automl.scheduling.callbacks.MakeCallback`."""
        from automl.cli.progress import LiveProgress, PlainProgress, printable
        from automl.data.understood import sentences

        kind = LiveProgress if sys.stdout.isatty() else PlainProgress
        progress = kind(budget, context.ladder, context.objective)
        progress.tally.prime(earlier)
        for place, line in enumerate(sentences(context.dataset, len(context.splits.test))):
            typer.echo(f"{'' if place else 'data':10}{printable(line)}")
        for column in context.dataset.understood.columns if columns else ():
            typer.echo(f"column    {printable(str(column))}")
        for note in context.dataset.notes:
            typer.echo(f"note      {printable(note)}")
        if context.default_space is not None:
            listed = ", ".join(context.space.architectures)
            typer.echo(f"space     {context.default_space} ({listed}), chosen for these data; another one: --space")
        callback: Callback = stack.enter_context(progress)
        return callback

    return make
