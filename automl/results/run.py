"""A run on disk, opened: its leaderboard, its best trial, its model.

Imports no torch: who looks at a leaderboard need not wait for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import optuna
from numpy.typing import NDArray

from automl.errors import RunError
from automl.results.leaderboard import summarise
from automl.run.curve_files import load_curves
from automl.run.folder import RunFolder
from automl.run.run_record import RunRecord
from automl.study.storage.looking import look_at_storage
from automl.study.storage.opening import load_study

if TYPE_CHECKING:
    from automl.models.model import Model


@dataclass(frozen=True)
class Run:
    """A run on disk. `summary` is what `automl leaderboard --json` prints; `record` is its `run.yaml`."""

    folder: RunFolder
    summary: Mapping[str, Any]
    record: RunRecord

    @property
    def path(self) -> Path:
        """The run's folder."""
        return self.folder.path

    @property
    def best(self) -> Mapping[str, Any] | None:
        """The complete trial with the best score, as a row of the leaderboard; None while there is none."""
        number = self.summary["best"]
        return next((row for row in self.summary["trials"] if row["number"] == number), None)

    @property
    def test(self) -> Mapping[str, float]:
        """The final model's scores on the test set, by metric."""
        return self.summary["test"]  # type: ignore[no-any-return]

    def leaderboard(self) -> list[dict[str, Any]]:
        """The trials, best first."""
        return list(self.summary["trials"])

    def trial(self, number: int) -> Mapping[str, Any]:
        """A trial as a row of the leaderboard. Raises `RunError` when there is none of this number."""
        rows = {row["number"]: row for row in self.summary["trials"]}
        if number not in rows:
            known = f"0 to {len(rows) - 1}" if rows else "none"
            raise RunError(f"{self.path} has no trial {number}; it has: {known}")
        return rows[number]  # type: ignore[no-any-return]

    @property
    def model(self) -> Model:
        """The final model. Raises `RunError` when the search has not come so far."""
        from automl.models.model import load_model

        return load_model(self.folder.model)

    def curves(self, number: int) -> NDArray[np.float64] | None:
        """The curves of an ended trial, [fold, epoch, 4]; None when it has none.

        The last axis is train loss, train metric, validation loss, validation metric; NaN where nothing was trained.
        """
        self.trial(number)
        curves = load_curves(self.folder, number, self.record.objective)
        return None if curves is None else curves.values

    def report(self, out: str | Path | None = None) -> Path:
        """Writes the report anew from what is on disk to `out`, by default `report.html` in the run's folder, and
        returns its path. Raises `MachineFailed`."""
        from automl.results.report import write_report

        return write_report(self.summary, self.record, self.folder, None if out is None else Path(out))


def open_run(run: str | Path) -> Run:
    """A run as it is, without going on with it or changing anything. Raises `RunError` when there is none."""
    folder = RunFolder(run)
    record = folder.read_record()
    study = load_study(look_at_storage(record, folder.journal), record.study, optuna.samplers.RandomSampler())
    return Run(folder, summarise(folder, study, record), record)


def data_of(model: str | Path) -> Path | None:
    """The data that the model of a run (its folder, or `RUN/model`) was searched on, when they are still there."""
    for folder in (RunFolder(model), RunFolder(Path(model).absolute().parent)):
        if folder.exists:
            data = Path(folder.read_record().settings.data)
            return data if data.is_absolute() and data.exists() else None
    return None
