"""`automl dashboard`: a run in the Optuna dashboard, on this machine."""

from __future__ import annotations

import os
import sys
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
        typer.Option("--no-login-i-know", help="Let others reach it; there is no login, and they can delete trials."),
    ] = False,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Do not open a browser.")] = False,
) -> None:
    """Review a run in the Optuna dashboard, on this machine only, until Ctrl-C. The search may be going on."""
    from automl.api import serve_dashboard

    def ready(url: str) -> None:
        typer.echo(f"dashboard {url} (Ctrl-C ends it)")
        # Without a screen, a browser would be one that takes this terminal.
        screen = sys.platform == "darwin" or any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))
        if screen and not no_browser:
            import webbrowser

            webbrowser.open(url)

    serve_dashboard(run, port=port, ready=ready, host=host, no_login_i_know=no_login_i_know)
