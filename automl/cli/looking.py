"""Commands that look at what others may have written: whatever they find there, they end with a sentence."""

from __future__ import annotations

import functools
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import typer

from automl.errors import AutomlError, MachineFailed, RunError

P = ParamSpec("P")
R = TypeVar("R")


def looking(command: Callable[P, R]) -> Callable[P, R]:
    """The command, which raises `RunError` where a run or model, its first argument, holds what no search writes.

    Each file is checked where it is read; but a run has hundreds of values, and any of them may be anything.
    """

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        """The command itself, but for its errors."""
        try:
            return command(*args, **kwargs)
        except (AutomlError, ImportError, typer.Exit, typer.Abort, typer.BadParameter):
            raise
        except OSError as error:
            raise MachineFailed(
                f"the disk failed: {error.strerror or error} ({error.filename or 'no file'})"
            ) from error
        except Exception as error:
            subject: Any = kwargs.get("run", kwargs.get("model", ""))
            here = traceback.extract_tb(error.__traceback__)[-1]
            reason = f"{type(error).__name__}: {str(error)[:200]}, at {Path(here.filename).name}:{here.lineno}"
            raise RunError(
                f"{subject}: it holds what no search writes ({reason}); if nobody has changed it, please report a bug"
            ) from error

    return run
