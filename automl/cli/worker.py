"""`automl worker`: takes part in a search that was begun on another machine."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from automl.cli.output import go_on
from automl.cli.paths import require_worker

if TYPE_CHECKING:
    from automl.scheduling.callbacks import Callback


def worker(
    study: Annotated[str, typer.Option("--study", help="Name of the study: the search's --study, or its folder's.")],
    storage: Annotated[
        str | None, typer.Option("--storage", help="The search's storage URL (also $AUTOML_STORAGE).")
    ] = None,
    data: Annotated[
        str | None, typer.Option("--data", metavar="DATA", help="The data, where they lie elsewhere than there.")
    ] = None,
    run: Annotated[
        Path | None,
        typer.Option("--run", metavar="FOLDER", help="The run's folder as this machine sees it, to share checkpoints."),
    ] = None,
    threads: Annotated[int | None, typer.Option("--threads", help="CPU threads of this worker [all].")] = None,
    device: Annotated[str | None, typer.Option("--device", help="auto, cpu, cuda or cuda:N [auto].")] = None,
    plugin: Annotated[
        list[str] | None,
        typer.Option("--plugin", metavar="FILE", help="A plugin of the search, where it lies here. Repeatable."),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")] = False,
) -> None:
    """Join a search from any machine: its storage and the data are all that it needs.

    Ends when the race is over. Ctrl-C gives back what it is working on; others go on with it.
    """
    require_worker(data, run, plugin or [])
    from automl import api
    from automl.cli.signals import Signals
    from automl.errors import Interrupted
    from automl.run.logs import set_up_logging

    set_up_logging()
    go_on()
    with ExitStack() as stack:
        signals = stack.enter_context(Signals())

        def watch(context: Any, budget: Any, earlier: Any) -> Callback:
            from automl.cli.progress import PlainProgress

            progress = PlainProgress(budget, context.ladder, context.objective)
            progress.tally.prime(earlier)
            typer.echo(f"joined the search {study}: {len(earlier)} of {budget.trials} trials were begun")
            return stack.enter_context(progress)

        try:
            took_part = api.worker(
                storage, study, data=data, run=run, threads=threads, device=device, plugins=tuple(plugin or ()),
                watch=None if quiet else watch, interrupted=signals.interrupted,
            )  # fmt: skip
        except Interrupted:
            stack.close()
            print("automl: stopped; others go on with what this worker had", file=sys.stderr)
            raise typer.Exit(128 + signals.received) from None
    if not quiet:
        typer.echo("the search is over" if took_part else "the search was over already")
