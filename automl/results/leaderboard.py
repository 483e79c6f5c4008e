"""The leaderboard: the machine's view of a run, as `automl leaderboard --json` prints it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from automl.racing.objective import Objective
from automl.spaces.space import Space
from automl.study.folder import RunFolder
from automl.study.reasons import BROKEN
from automl.study.trial_records import recall_standing

Row = dict[str, Any]

RESCORED = "rescored:"
"""A study's attribute of this name and a trial's number: what the trial came to on fresh folds."""


FINAL = ("kind", "epochs", "cut_short", "stand_in", "words")
"""What the summary says of the final model."""


def summarise(folder: RunFolder, study: optuna.Study, record: Mapping[str, Any]) -> dict[str, Any]:
    """The whole run: its best score, model, test scores, trials (best first) and totals.

    `record` is the run's `run.yaml`. The schema stands in docs/cli.md and is stable.
    """
    space = Space.from_json(record["space"], str(folder.record_path))
    objective = Objective.named(record["objective"], record["metric"])
    rescored = {
        key.removeprefix(RESCORED): known for key, known in study.user_attrs.items() if key.startswith(RESCORED)
    }
    rows = [
        make_row(trial, objective, space, rescored.get(str(trial.number))) for trial in study.get_trials(deepcopy=False)
    ]
    rows.sort(key=lambda row: _rank(row, objective))
    complete = [row for row in rows if row["state"] == "COMPLETE"]
    final = record.get("final") or {}
    return {
        "run": str(folder.path),
        "data": {name: fact for name, fact in record["data"].items() if name != "kept"},
        "objective": objective.name,
        "direction": objective.direction,
        "best": complete[0]["number"] if complete else None,
        "winner": final.get("trial"),
        "best_by_architecture": _best_by_architecture(rows),
        "model": final.get("model"),
        "test": final.get("test", {}),
        "test_details": final.get("test_details"),
        "trials": rows,
        "choice": final.get("choice"),
        "final": {name: final.get(name) for name in FINAL} if final else None,
        "totals": {
            **_totals(rows, record),
            "fold_epochs_rescoring": sum(known["fold_epochs"] for known in rescored.values()),
        },
    }


def make_row(trial: FrozenTrial, objective: Objective, space: Space, rescored: Mapping[str, Any] | None = None) -> Row:
    """One trial as the leaderboard shows it; `waiting` is the reason of a trial that still races.

    `rescored` is what the study knows of the trial on fresh folds.
    """
    known = trial.user_attrs
    score = trial.value if trial.state == TrialState.COMPLETE else known.get("score")
    if score is None and (reached := recall_standing(trial).scores):
        score = objective.value(reached[max(reached)])
    if score is None and trial.intermediate_values:
        score = trial.intermediate_values[max(trial.intermediate_values)]  # on its way to its first rung
    reason = known.get("reason", "") if trial.state.is_finished() else "waiting"
    config = full_config(trial, space)
    return {
        "number": trial.number,
        "state": trial.state.name,
        "reason": reason,
        "detail": known.get("detail", ""),
        "architecture": config.get("architecture"),
        "config": config,
        "score": score if score is not None and math.isfinite(score) else None,
        "score_std": known.get("score_std"),
        "rescored": rescored and {name: rescored[name] for name in ("mean", "std", "folds", "repeats")},
        "metrics": {objective.beside: known[objective.beside]} if objective.beside in known else {},
        "epochs": known.get("epochs", 0),
        "best_epoch": known.get("best_epoch"),
        "folds": known.get("folds", 0),
        "fold_epochs": known.get("fold_epochs", 0),
        "parameters": known.get("parameters"),
        "seconds": known.get("seconds", 0.0),
        "executor": known.get("executor"),
        "threads": known.get("threads"),
    }


def full_config(trial: FrozenTrial, space: Space) -> dict[str, Any]:
    """The trial's config with the pinned constants, which Optuna does not know; all it knows, if it broke off."""
    try:
        return dict(space.suggest(optuna.trial.FixedTrial(trial.params)))  # type: ignore[arg-type]
    except ValueError:
        return dict(trial.params)


def _rank(row: Row, objective: Objective) -> tuple[int, int, float, int]:
    """Complete trials by score; then those that climbed furthest, by score where that is as far; broken ones last."""
    order = 2 if _is_broken(row) else int(row["state"] != "COMPLETE")
    # Not by fold-epochs: a trial that was stopped between two rungs has more of them than its score stands on.
    climbed = 0 if order == 0 else -row["epochs"] * row["folds"]
    return order, climbed, objective.cost(row["score"]) if row["score"] is not None else math.inf, row["number"]


def _is_broken(row: Row) -> bool:
    """Whether the trial failed, diverged or cannot run: what score it may have is that of a training that broke off."""
    return row["state"] == "FAIL" or row["reason"] in BROKEN


def _best_by_architecture(rows: list[Row]) -> dict[str, int]:
    """The number of each architecture's first trial with a score; `rows` stand best first."""
    best: dict[str, int] = {}
    for row in rows:
        if row["score"] is not None and row["architecture"] and not _is_broken(row):
            best.setdefault(row["architecture"], row["number"])
    return best


def _totals(rows: list[Row], record: Mapping[str, Any]) -> dict[str, Any]:
    pruned: dict[str, int] = {}
    for row in rows:
        if row["state"] == "PRUNED":
            pruned[row["reason"]] = pruned.get(row["reason"], 0) + 1
    full = record["settings"]["folds"] * record["settings"]["epochs"]
    # What failed or could not run at all would have cost nothing without the race either.
    trained = sum(not _is_broken(row) for row in rows)
    return {
        "trials": len(rows),
        "complete": sum(row["state"] == "COMPLETE" for row in rows),
        "waiting": sum(row["state"] == "RUNNING" for row in rows),
        "failed": sum(row["state"] == "FAIL" for row in rows),
        "pruned": pruned,
        "fold_epochs": sum(row["fold_epochs"] for row in rows),
        "fold_epochs_without_race": trained * full,
        "seconds": record.get("seconds", 0.0),
    }
