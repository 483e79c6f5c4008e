"""`automl report`: what a run came to, as a page."""

from __future__ import annotations

import typer

from automl.cli.runs import RunArgument


def report(run: RunArgument) -> None:
    """Write RUN/report.html anew from what the run holds, also while it goes on, and print its path."""
    from automl.run import open_run

    typer.echo(open_run(run).report())
