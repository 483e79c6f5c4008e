"""`report.html`: what a search came to, in one file that loads nothing from anywhere."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from automl.data.atomic import write_atomic
from automl.errors import MachineFailed
from automl.results.report.columns import column_importances, columns
from automl.results.report.context import Context
from automl.results.report.data import data
from automl.results.report.formatting import duration
from automl.results.report.learning import learning_curves
from automl.results.report.out_of_fold import out_of_fold
from automl.results.report.page import render
from automl.results.report.parameters import importances, scores_by_parameter
from automl.results.report.photos import sample_photos, suspect_labels
from automl.results.report.reproduce import commands, search_command, settings, versions
from automl.results.report.summary import first_screen
from automl.results.report.test_set import test_set
from automl.results.report.trials import failures, leaderboard, race
from automl.run.folder import RunFolder
from automl.run.run_record import RunRecord

__all__ = ["duration", "search_command", "write_report"]

SECTIONS = {
    "Leaderboard": leaderboard,
    "Race": race,
    "Learning curves": learning_curves,
    "Parameter importances": importances,
    "Score by parameter": scores_by_parameter,
    "Column importances": column_importances,
    "Out-of-fold predictions": out_of_fold,
    "Test set": test_set,
    "Suspect labels": suspect_labels,
    "Photos as the network sees them": sample_photos,
    "What failed": failures,
    "Data": data,
    "Columns": columns,
    "Run it again": commands,
    "Settings": settings,
    "Versions": versions,
}
"""What follows the first screen: a function and its template each; None where there is nothing to say."""


def write_report(summary: Mapping[str, Any], record: RunRecord, folder: RunFolder, out: Path | None = None) -> Path:
    """Writes the report of a run and returns its path. A run without a model or a complete trial has one too.

    `summary` is what `automl leaderboard --json` prints, `record` the run's `run.yaml`, `out` the file, by default
    `report.html` in the run's folder. Raises `MachineFailed` when it cannot be written.
    """
    context = Context(summary, record, folder)
    sections = {title: write(context) for title, write in SECTIONS.items()}
    text = render(
        "page", title=f"{record.data.name}: automl report", first_screen=first_screen(context), sections=sections
    )
    try:
        write_atomic(out or folder.report, lambda file: file.write(text.encode()))
    except OSError as error:
        remedy = "" if out else "; write it to another place with --out"
        raise MachineFailed(f"the disk failed: {error.strerror or error} ({out or folder.report}){remedy}") from error
    return out or folder.report
