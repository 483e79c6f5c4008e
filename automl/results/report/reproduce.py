"""The sections on how a run came about: the commands that make it again, its settings, the versions."""

from __future__ import annotations

import shlex

from automl.results.report.context import Context
from automl.results.report.formatting import given, plain
from automl.results.report.page import Html, render
from automl.settings import Settings, option_name


def commands(context: Context) -> Html:
    """What to type to go on, to begin anew, and to train the winner again."""
    run = str(context.summary["run"])
    lines = [f"automl resume {shlex.quote(run)}", search_command(context.settings)]
    if context.winner is not None:
        lines.append(f"automl replay {shlex.quote(run)} {context.winner['number']}")
    return render("commands", lines=lines, winner=context.winner is not None)


def search_command(settings: Settings) -> str:
    """The `automl search` that has these settings; those at their default are left out, the budget's are not."""
    words = ["automl", "search", settings.data]
    for name, field in Settings.model_fields.items():
        value = getattr(settings, name)
        if name in ("data", "storage", "study") or not given(value):
            continue
        if value == field.default and name not in ("trials", "folds", "epochs", "seed"):
            continue
        for each in value if isinstance(value, list | tuple) else [value]:
            words += [option_name(name)] if each is True else [option_name(name), f"{each}"]
    return shlex.join(words)


def settings(context: Context) -> Html:
    """The settings, as the command line calls them."""
    named = {option_name(name): plain(value) for name, value in context.settings if given(value)}
    return render("facts", facts=named)


def versions(context: Context) -> Html:
    """Versions of what it ran with, the device, and the search space's fingerprint."""
    record = context.record
    facts = {**record.versions, "device": record.device, "precision": record.precision}
    return render("facts", facts={**facts, "search space": record.space_fingerprint[:16]})
