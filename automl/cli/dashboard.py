"""`automl dashboard`: a run in the Optuna dashboard, on this machine."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from html import escape
from pathlib import Path
from typing import Annotated

import typer

from automl.cli.runs import RunArgument


def dashboard(
    run: RunArgument,
    port: Annotated[
        int | None, typer.Option("--port", min=0, max=65535, help="The port; default the first free one from 8080.")
    ] = None,
    host: Annotated[str, typer.Option("--host", help="The address to listen on.")] = "127.0.0.1",
    no_login_i_know: Annotated[
        bool,
        typer.Option("--no-login-i-know", help="Ask for no token, and let others reach it where --host says so."),
    ] = False,
    edit: Annotated[bool, typer.Option("--edit", help="Let notes be written and trials be deleted.")] = False,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Do not open a browser.")] = False,
) -> None:
    """Review a run in the Optuna dashboard, on this machine only, until Ctrl-C. The search may be going on."""
    from automl.api import serve_dashboard

    with ExitStack() as until_the_end:

        def ready(url: str) -> None:
            typer.echo(f"dashboard {url} (Ctrl-C ends it)")
            # Without a screen, a browser would be one that takes this terminal.
            screen = sys.platform == "darwin" or any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))
            if screen and not no_browser:
                until_the_end.enter_context(_opened(url))

        serve_dashboard(run, port=port, ready=ready, host=host, no_login_i_know=no_login_i_know, edit=edit)


@contextmanager
def _opened(url: str) -> Iterator[None]:
    """Opens a browser on a private file that leads to `url`: other users can read the arguments of its process."""
    import tempfile
    import webbrowser

    with tempfile.NamedTemporaryFile("w", prefix="automl-", suffix=".html") as page:
        page.write(f'<!DOCTYPE html><title>automl</title><meta http-equiv="refresh" content="0; url={escape(url)}">\n')
        page.flush()
        webbrowser.open(Path(page.name).as_uri())
        yield
