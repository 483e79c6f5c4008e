"""`automl report`: what a run came to, as a page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from automl.cli.runs import RunArgument


def report(
    run: RunArgument,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="The file to write [RUN/report.html].")] = None,
) -> None:
    """Write a run's report anew from what it holds, also while it goes on, and print its path."""
    from automl.results.run import open_run

    typer.echo(open_run(run).report(out))
