"""The notes that the Optuna dashboard shows beside a study and its trials, in Markdown.

Names of classes, plugins and files are other people's text: they are escaped, so that none of it becomes markup.
"""

from __future__ import annotations

import re
import shlex
from html import escape
from pathlib import Path

from optuna.trial import FrozenTrial, TrialState

from automl.racing.objective import Objective
from automl.results.report import duration, search_command
from automl.study.run_record import RunRecord
from automl.study.storage.opening import redact

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
        "data": f"{plain(data.name)}: {plain(data.task)} of {plain(data.kind)}s, {samples}",
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
    again = search_command(settings.model_dump(mode="json"))
    table = "\n".join(f"| {name} | {value} |" for name, value in facts.items() if value)
    return (
        f"## {plain(data.name)}\n\n| | |\n|---|---|\n{table}\n\n"
        f"Go on with this run, or begin it anew:\n\n{_code(f'automl resume {shlex.quote(str(run))}')}\n\n"
        f"{_code(again)}\n\n"
        "A trial's reason says why it ended; its picture shows train and validation loss of each fold.\n"
    )


def trial_note(trial: FrozenTrial, objective: Objective) -> Markdown:
    """What a COMPLETE trial or one pruned for overfitting came to, in words; "" for all others."""
    known = trial.user_attrs
    if trial.state == TrialState.COMPLETE:
        title = "complete, early-stopped" if known.get("reason") == "early-stopped" else "complete"
    elif trial.state == TrialState.PRUNED and known.get("reason") == "overfitting":
        title = "stopped for overfitting"
    else:
        return ""
    architecture = plain(trial.params.get("architecture", ""))
    lines = [f"## Trial {trial.number}{f', {architecture}' if architecture else ''}: {title}"]
    if known.get("detail"):
        lines.append(f"{plain(known['detail'])}.")
    # Short lines: the dashboard does not break them.
    facts = []
    if title == "stopped for overfitting" and "overfitting_gap" in known:
        facts += [
            f"at epoch {known['overfitting_epoch']}: train loss {known['overfitting_train_loss']:.4g}, validation loss "
            f"{known['overfitting_validation_loss']:.4g} (fold means)",
            f"{known['overfitting_gap']:.0%} of the lowest validation loss above what the rule tolerates; "
            "the sampler was told so",
        ]
    if "score" in known:
        spread = f" ± {known['score_std']:.2g}" if known.get("score_std") is not None else ""
        facts += [
            f"**{plain(objective.name)} {known['score']:.4g}{spread}**, {known['folds']} fold(s), at epoch "
            f"{known['best_epoch']} of the {known['epochs']} trained",
            f"{plain(objective.beside)} {known.get(objective.beside, float('nan')):.4g}",
            f"generalisation gap {known['generalisation_gap']:.4g} (validation loss minus train loss)",
        ]
    if known.get("parameters") is not None:
        facts.append(f"{known['parameters']:,} parameters")
    facts.append(f"{known.get('fold_epochs', 0):,} fold-epochs, {duration(known.get('seconds') or 0.0)}")
    return "\n\n".join(lines) + "\n\n" + "".join(f"- {fact}\n" for fact in facts)


def _code(line: str) -> Markdown:
    """A command in a fence that the command cannot close."""
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", line)), default=0))
    return f"{fence}sh\n{line}\n{fence}"
