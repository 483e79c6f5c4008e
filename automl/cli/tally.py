"""Counts what a watcher is told: where each trial stands, the best one, and what the race has cost and saved."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from automl.study.trial_records import describe, recall_facts, recall_standing

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

    from automl.racing.curves import Curves
    from automl.racing.objective import Objective
    from automl.racing.race import Race

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
    """The trials of a search by number. `folds` and `epochs` are what every trial would cost without the race."""

    def __init__(self, folds: int, epochs: int, objective: Objective):
        self.full = folds * epochs
        self.objective = objective
        self.rows: dict[int, Row] = {}
        self.primed = 0
        self.now = "starting"

    def prime(self, trials: Iterable[FrozenTrial]) -> None:
        """Enters the trials of earlier sessions."""
        for trial in trials:
            if trial.state.is_finished():
                self.ended(trial)
            elif trial.state.name == "RUNNING":
                self.rows[trial.number] = self._unfinished(trial)
        self.primed = self.reached

    def climbing(self, trial: int, config: Mapping[str, Any]) -> None:
        """A trial sets out, for the first time or again."""
        architecture = str(config.get("architecture", ""))
        self.rows[trial] = replace(self.rows.get(trial, Row()), state="training", architecture=architecture)
        self.now = f"trial {trial}, {architecture}"

    def epoch(self, trial: int, curves: Curves) -> None:
        """An epoch is done; its score counts when the trial rests."""
        facts = describe(curves)
        self.rows[trial] = replace(self.rows[trial], fold_epochs=facts["fold_epochs"])
        epochs, folds = facts["epochs"], facts["folds"]
        self.now = f"trial {trial}, {self.rows[trial].architecture}: epoch {epochs}, {folds} fold{'s' * (folds > 1)}"

    def waiting(self, trial: int, race: Race, facts: Mapping[str, Any]) -> None:
        """A trial rests at its rung."""
        standing = race.standings[trial]
        self.rows[trial] = replace(
            self.rows.get(trial, Row()),
            state="waiting",
            rung=standing.rung,
            score=self.objective.value(standing.scores[standing.rung]),
            metric=facts.get(self.objective.beside),
            fold_epochs=facts.get("fold_epochs", 0),
        )

    def ended(self, trial: FrozenTrial) -> None:
        """A trial is complete, pruned or failed."""
        known = trial.user_attrs
        before = self.rows.get(trial.number, Row())
        pruned = str(known.get("reason") or "pruned")
        self.rows[trial.number] = Row(
            state={"COMPLETE": "complete", "FAIL": "failed"}.get(trial.state.name, pruned),
            architecture=before.architecture or architecture_of(trial),
            score=trial.value if trial.state.name == "COMPLETE" else known.get("score"),
            metric=known.get(self.objective.beside),
            epochs=known.get("epochs", 0),
            folds=known.get("folds", 0),
            fold_epochs=known.get("fold_epochs", before.fold_epochs),
        )

    def rescoring(self, trial: int, repeat: int, folds: Sequence[int]) -> None:
        """The race is over, and the finalists are scored again."""
        numbers = " and ".join(filter(None, (", ".join(str(fold + 1) for fold in folds[:-1]), str(folds[-1] + 1))))
        self.now = f"trial {trial} is scored again: repeat {repeat}, fold{'s' * (len(folds) > 1)} {numbers}"

    def fitting(self, trial: int, epochs: int) -> None:
        """The race is over."""
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

    def _unfinished(self, trial: FrozenTrial) -> Row:
        """A trial of an earlier session that waits at its rung, or was broken off on its way."""
        standing, facts = recall_standing(trial), recall_facts(trial, self.objective)
        return Row(
            state="waiting" if standing.waiting else "training",
            architecture=architecture_of(trial),
            rung=standing.rung,
            score=self.objective.value(standing.scores[standing.rung]) if standing.scores else None,
            metric=facts.get(self.objective.beside),
            fold_epochs=facts["fold_epochs"],
        )


def architecture_of(trial: FrozenTrial) -> str:
    """The architecture of a trial; where it is pinned Optuna does not know it, but its parameters begin with it."""
    prefixes = (name.partition(".")[0] for name in trial.params if "." in name)
    return str(trial.params.get("architecture") or next((name for name in prefixes if name != "train"), ""))
