"""Counts what a search tells: where each trial stands, the best one, and what the race has cost and saved."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from automl.racing.objective import Objective
from automl.scheduling.callbacks import (
    EpochEnded,
    Event,
    FeaturesComputed,
    FinalFitStarted,
    FinalistTrained,
    TrialEnded,
    TrialRested,
    TrialStarted,
)
from automl.study.trial_record import TrialRecord

BROKEN = ("diverged", "infeasible", "failed")  # would have broken off without the race as well: nothing was saved


@dataclass(frozen=True)
class Row:
    """One trial: `state` is training, waiting, complete, failed, or the reason why it was pruned.

    `score` and `metric` are those of its last rest, at `rung` (from 0; -1 before the first); `epochs` and `folds` are
    what an ended trial has seen, `fold_epochs` all that it has cost.
    """

    state: str = "training"
    architecture: str = ""
    rung: int = -1
    score: float | None = None
    metric: float | None = None
    epochs: int = 0
    folds: int = 0
    fold_epochs: int = 0


class Tally:
    """The trials of a search by number; a callback. `full`: fold-epochs that each would cost without the race."""

    def __init__(self, full: int, objective: Objective):
        self.full = full
        self.objective = objective
        self.rows: dict[int, Row] = {}
        self.primed = 0
        self.now = "starting"
        self.pieces = 0, 0
        """How many of how many pieces of frozen features are computed."""

    def prime(self, trials: Iterable[TrialRecord]) -> None:
        """Enters the trials of earlier sessions."""
        self.rows |= {trial.number: _row(trial) for trial in trials if trial.state.name != "WAITING"}
        self.primed = self.reached

    def __call__(self, event: Event) -> None:
        """Counts what has happened."""
        match event:
            case TrialStarted(trial, _, config):
                architecture = str(config.get("architecture", ""))
                self.rows[trial] = replace(self.rows.get(trial, Row()), state="training", architecture=architecture)
                self.now = f"trial {trial}, {architecture}"
            case EpochEnded(trial, _, curves):  # its score counts when the trial rests
                self.rows[trial] = replace(self.rows[trial], fold_epochs=curves.fold_epochs)
                epochs, folds = curves.epochs(1), curves.folds
                where = f"epoch {epochs}, {folds} fold{'s' * (folds > 1)}"
                self.now = f"trial {trial}, {self.rows[trial].architecture}: {where}"
            case TrialRested(record) | TrialEnded(record):
                before = self.rows.get(record.number, Row())
                now = _row(record)
                self.rows[record.number] = replace(
                    now,
                    architecture=now.architecture or before.architecture,
                    fold_epochs=now.fold_epochs or before.fold_epochs,
                )
            case FeaturesComputed(done, total):
                self.pieces = done, total
            case FinalistTrained(trial, repeat, folds):
                numbers = [str(fold + 1) for fold in folds]
                listed = " and ".join(filter(None, (", ".join(numbers[:-1]), numbers[-1])))
                self.now = f"trial {trial} is scored again: repeat {repeat}, fold{'s' * (len(folds) > 1)} {listed}"
            case FinalFitStarted(trial, epochs):
                self.now = f"fitting the final model: the config of trial {trial}, {epochs} epochs"

    @property
    def reached(self) -> int:
        """How many trials have rested or ended at least once."""
        return sum(row.state != "training" or row.score is not None for row in list(self.rows.values()))

    @property
    def counts(self) -> dict[str, int]:
        """How many trials are complete, waiting, pruned (by reason) and failed, in this order; zeros are left out."""
        states = [row.state for row in list(self.rows.values())]
        order = ["complete", "waiting", *sorted({*states} - {"complete", "waiting", "training", "failed"}), "failed"]
        return {state: states.count(state) for state in order if state in states}

    @property
    def spent(self) -> int:
        """Fold-epochs trained."""
        return sum(row.fold_epochs for row in list(self.rows.values()))

    @property
    def saved(self) -> int:
        """Fold-epochs that the same trials would have cost more without the race."""
        rows = list(self.rows.values())
        return max(0, sum(self.full - row.fold_epochs for row in rows if row.state not in BROKEN))

    @property
    def leader(self) -> tuple[int, Row] | None:
        """The complete trial with the best score; while there is none, the best of those that climbed furthest."""
        racing = [
            (
                row.state != "complete",
                0 if row.state == "complete" else -row.rung,
                self.objective.cost(row.score),
                number,
            )
            for number, row in list(self.rows.items())
            if row.score is not None and row.state in ("complete", "waiting", "training")
        ]
        if not racing:
            return None
        number = min(racing)[-1]
        return number, self.rows[number]


def _row(trial: TrialRecord) -> Row:
    if trial.state.is_finished():
        states = {"COMPLETE": "complete", "FAIL": "failed"}
        state = states.get(trial.state.name, trial.why or "pruned")
    else:
        state = "waiting" if trial.standing.waiting else "training"
    return Row(
        state=state,
        architecture=trial.architecture or "",
        rung=trial.standing.rung,
        score=trial.score,
        metric=trial.beside,
        epochs=trial.epochs,
        folds=trial.folds,
        fold_epochs=trial.fold_epochs,
    )
