"""What is logged by a search, and what libraries must not say on their own."""

from __future__ import annotations

import logging
import sys
import warnings


def set_up_logging() -> None:
    """For the command line: warnings of automl go to stderr, Optuna's running commentary nowhere."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    logging.basicConfig(level=logging.WARNING, format="automl: %(message)s", stream=sys.stderr)
