"""What is logged by a search, and what libraries must not say on their own."""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager


def set_up_logging() -> None:
    """For the command line: warnings of automl go to stderr, Optuna's running commentary nowhere."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    # A trial that was killed between two checkpoints reports some epochs twice.
    warnings.filterwarnings("ignore", message="The reported value is ignored")
    logging.basicConfig(level=logging.WARNING, format="automl: %(message)s", stream=sys.stderr)


@contextmanager
def quiet_optuna() -> Iterator[None]:
    """Where Optuna would announce a new study, and that a feature which we chose is experimental."""
    import optuna

    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(max(verbosity, optuna.logging.WARNING))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            yield
    finally:
        optuna.logging.set_verbosity(verbosity)
