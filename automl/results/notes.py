"""The notes that the Optuna dashboard shows beside a study and its trials, in Markdown.

Names of classes, plugins and files are other people's text: they are escaped, so that none of it becomes markup.
"""

from __future__ import annotations

import math
import re
import shlex
from html import escape
from pathlib import Path

from automl.racing.objective import CALLED
from automl.results.report import duration, search_command
from automl.run.run_record import RunRecord
from automl.study.reasons import Reason
from automl.study.storage.opening import redact
from automl.study.trial_record import TrialRecord

Markdown = str
"""Text that is Markdown already."""

CLASSES = 20  # names shown
LONGEST = 1000  # letters of somebody else's text


def plain(text: object) -> Markdown:
    """Any text as Markdown that reads the same: no HTML, link, emphasis, table cell, formula or line of its own."""
    shown = re.sub(r"\s+", " ", str(text))[:LONGEST]
    return escape(re.sub(r"([\\`*_\[\]|~$]|:(?=//))", r"\\\1", shown), quote=False)


def study_note(record: RunRecord, run: Path) -> Markdown:
    """What a study is about: data, folds, ladder, space, versions, seed, and the commands to go on with it.

    `record` is the run's `run.yaml`. A storage URL is shown without its password.
    """
    settings, data = record.settings, record.data
    classes = [plain(str(name)[:60]) for name in data.classes]
    names = ", ".join(classes[:CLASSES]) + (", ..." if len(classes) > CLASSES else "")
    samples = f"{data.samples:,} samples, of which {data.test_samples:,} are the test set"
    facts = {
        "data": f"{plain(data.name)}: {plain(CALLED.get(data.task, data.task))} of {plain(data.kind)}s, {samples}",
        "one sample": " x ".join(str(n) for n in data.input_shape),
        "classes": f"{len(classes)}: {names}" if classes else "",
        "understood as": "; ".join(plain(line) for line in data.understood),
        "notes on the data": "; ".join(plain(note) for note in data.notes),
        "score": f"{plain(record.objective_name)} of the validation data; beside it {plain(record.metric)}",
        "folds": str(settings.folds),
        "ladder": f"{plain(', '.join(record.ladder))} (epochs x folds)",
        "search space": f"{plain(settings.space or 'the built-in one')}, "
        f"fingerprint {plain(record.space_fingerprint[:16])}",
        "seed": str(settings.seed),
        "device": f"{plain(record.device)}, {plain(record.precision)}",
        "storage": plain(redact(settings.storage)) if settings.storage else "",
        "versions": plain(", ".join(f"{name} {version}" for name, version in record.versions.items())),
    }
    again = search_command(settings)
    table = "\n".join(f"| {name} | {value} |" for name, value in facts.items() if value)
    return (
        f"## {plain(data.name)}\n\n| | |\n|---|---|\n{table}\n\n"
        f"Go on with this run, or begin it anew:\n\n{_code(f'automl resume {shlex.quote(str(run))}')}\n\n"
        f"{_code(again)}\n\n"
        "A trial's reason says why it ended; its picture shows train and validation loss.\n"
    )


def trial_note(trial: TrialRecord) -> Markdown:
    """What a COMPLETE trial or one pruned for overfitting came to, in words; "" for all others."""
    if trial.is_complete:
        title = "complete, early-stopped" if trial.reason == Reason.EARLY_STOPPED else "complete"
    elif trial.reason == Reason.OVERFITTING:
        title = "stopped for overfitting"
    else:
        return ""
    architecture = plain(trial.architecture or "")
    lines = [f"## Trial {trial.number}{f', {architecture}' if architecture else ''}: {title}"]
    if trial.detail:
        lines.append(f"{plain(trial.detail)}.")
    # Short lines: the dashboard does not break them.
    facts = []
    if trial.reason == Reason.OVERFITTING and (stopped := trial.overfitting):
        facts += [
            f"at epoch {stopped['epoch']}: train loss {stopped['train_loss']:.4g}, validation loss "
            f"{stopped['validation_loss']:.4g} (fold means)",
            f"{stopped['gap']:.0%} of the lowest validation loss above what the rule tolerates; "
            "the sampler was told so",
        ]
    if trial.score is not None:
        spread = f" ± {trial.spread:.2g}" if trial.spread is not None else ""
        facts += [
            f"**{plain(trial.objective.name)} {trial.score:.4g}{spread}**, {trial.folds} fold(s), at epoch "
            f"{trial.best_epoch} of the {trial.epochs} trained",
            f"{plain(trial.objective.beside)} {math.nan if trial.beside is None else trial.beside:.4g}",
            f"generalisation gap {math.nan if trial.gap is None else trial.gap:.4g} (validation loss minus train loss)",
        ]
    if trial.parameters is not None:
        facts.append(f"{trial.parameters:,} parameters")
    facts.append(f"{trial.fold_epochs:,} fold-epochs, {duration(trial.seconds)}")
    return "\n\n".join(lines) + "\n\n" + "".join(f"- {fact}\n" for fact in facts)


def _code(line: str) -> Markdown:
    """A command in a fence that the command cannot close."""
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", line)), default=0))
    return f"{fence}sh\n{line}\n{fence}"
