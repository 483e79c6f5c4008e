"""What a report is made of: a run's summary, its record, its folder, and what several sections draw from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from automl.models.inspection import Inspection, load_inspection
from automl.models.photos import PhotoInspection, Pictures, load_pictures
from automl.models.test_predictions import Predictions, load_tested
from automl.racing.curves import Curves
from automl.racing.objective import Objective
from automl.run.curve_files import load_curves
from automl.run.folder import RunFolder
from automl.run.run_record import FinalRecord, RunRecord
from automl.settings import Settings

Row = Mapping[str, Any]
"""A trial, as a row of the leaderboard."""

STOPPED = ("overfitting", "early-stopped")
"""The reasons of a trial that the overfitting rule stopped."""


@dataclass(frozen=True, eq=False)
class Context:
    """`summary` is what `automl leaderboard --json` prints, `record` the run's `run.yaml`."""

    summary: Mapping[str, Any]
    record: RunRecord
    folder: RunFolder

    @property
    def rows(self) -> Sequence[Row]:
        """The trials, best first."""
        return self.summary["trials"]  # type: ignore[no-any-return]

    @property
    def final(self) -> FinalRecord | None:
        """What the record says of the final model."""
        return self.record.final

    @property
    def settings(self) -> Settings:
        """The run's settings."""
        return self.record.settings

    @property
    def objective(self) -> Objective:
        """What was optimised."""
        return self.record.objective

    @cached_property
    def rungs(self) -> list[tuple[int, int]]:
        """The ladder: epochs and folds of each rung."""
        return [(rung.epochs, rung.folds) for rung in self.record.rungs]

    @cached_property
    def winner(self) -> Row | None:
        """The trial behind the model; without a model, the best complete one."""
        number = self.final.trial if self.final else None
        for row in self.rows:
            if row["number"] == number or (number is None and row["state"] == "COMPLETE"):
                return row
        return None

    @cached_property
    def curves(self) -> Mapping[int, Curves]:
        """The curves of the trials that have some and did not fail, by the trial's number; best trial first."""
        found = {}
        for row in self.rows:
            curves = load_curves(self.folder, row["number"], self.objective) if row["state"] != "FAIL" else None
            if curves is not None and curves.folds:
                found[int(row["number"])] = curves
        return found

    @cached_property
    def scored(self) -> list[tuple[Row, list[float]]]:
        """The trials with a score, best first, each with its scores at the rungs that it has reached."""
        found = []
        for row in self.rows:
            curves = self.curves.get(row["number"])
            scores = scores_by_rung(curves, self.rungs, row) if curves is not None else []
            if scores:
                found.append((row, scores))
        return found

    @cached_property
    def tested(self) -> Predictions | None:
        """The final model's predictions on the test set; None when the run keeps none."""
        tested = load_tested(self.folder)
        return tested if tested is not None and len(tested.index) else None

    @cached_property
    def inspection(self) -> Inspection | None:
        """What is known of the data; None when the run keeps nothing, or that of an earlier model."""
        known = load_inspection(self.folder)
        return known if known is not None and self.final is not None and known.trial == self.final.trial else None

    @property
    def photos(self) -> PhotoInspection:
        """What is known of photos: nothing of other data."""
        known = self.inspection.photos if self.inspection is not None else None
        return known if known is not None and self.record.data.kind == "image" else PhotoInspection()

    @cached_property
    def pictures(self) -> Pictures:
        """The small pictures that the run keeps of its photos."""
        return load_pictures(self.folder)


def scores_by_rung(curves: Curves, rungs: Sequence[tuple[int, int]], row: Row) -> list[float]:
    """The scores of a trial at the rungs (epochs, folds) that it has reached, from the lowest up.

    One that the overfitting rule stopped has its best epoch behind it: the rung on which it was stopped counts as
    reached, and all rungs when it completed.
    """
    scores: list[float] = []
    for epochs, folds in rungs:
        done = curves.epochs(folds) if curves.folds >= folds else 0
        cut = done < epochs
        if not done or (cut and row["reason"] not in STOPPED):
            break
        scores.append(curves.objective.value(curves.score(folds, min(done, epochs))))
        if cut and row["state"] != "COMPLETE":
            break
    return scores


def stopped_at(curves: Curves, row: Row) -> int | None:
    """The epoch after which the overfitting rule stopped the trial; None when it did not."""
    from automl.racing.curves import VALIDATION_LOSS

    if row["reason"] not in STOPPED:
        return None
    trained = curves.values[:, :, VALIDATION_LOSS]
    return int((trained == trained).any(axis=0).sum())  # not NaN in any fold
