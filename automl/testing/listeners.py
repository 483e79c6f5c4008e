"""Examines a listener: a small search is run, and whatever it raises at an event is reported."""

from __future__ import annotations

import logging
import tempfile
import time
from pathlib import Path

from automl.api import search
from automl.hooks.host import PluginHost
from automl.testing.check import Check

EVENTS = ("automl_search_started", "automl_trial_finished", "automl_search_finished")


def examine_listeners(file: str | Path, host: PluginHost) -> list[Check]:
    """One `Check` if the plugin `file`, which `host` has loaded, listens to events; else none.

    The search is real: two trials on the digits, in a folder that is deleted afterwards.
    """
    if not host.listens(EVENTS):
        return []
    start, said = time.perf_counter(), _Said()
    log = logging.getLogger("automl.plugins")
    log.addHandler(said)
    try:
        with tempfile.TemporaryDirectory() as folder:
            search(
                "digits",
                space="smoke",
                trials=2,
                folds=2,
                epochs=1,
                workers=1,
                plugins=[str(file)],
                out=Path(folder, "run"),
            )
    finally:
        log.removeHandler(said)
    problems = [text for text in said.texts if Path(file).stem in text]
    seconds = time.perf_counter() - start
    return [Check({}, "failed", "; ".join(problems), seconds=seconds) if problems else Check({}, "ok", seconds=seconds)]


class _Said(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(record.getMessage())
