"""The leaderboard: the machine's view of a run, as `automl leaderboard --json` prints it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from automl.racing.objective import Objective
from automl.spaces.space import Space
from automl.study.folder import RunFolder
from automl.study.reasons import BROKEN
from automl.study.run_record import RunRecord
from automl.study.trial_records import recall_facts, recall_standing, repeated_fold_epochs
from automl.training.guessing import HOW

Row = dict[str, Any]

RESCORED = "rescored:"
"""A study's attribute of this name and a trial's number: what the trial came to on fresh folds."""


ENOUGH = 2
"""Complete trials, from which on a factor saved is named."""

FINAL = ("kind", "epochs", "cut_short", "stand_in", "words")
"""What the summary says of the final model."""


def summarise(folder: RunFolder, study: optuna.Study, record: RunRecord) -> dict[str, Any]:
    """The whole run: its best score, model, test scores, trials (best first) and totals.

    `record` is the run's `run.yaml`. The schema stands in docs/cli.md and is stable.
    """
    space = record.read_space(str(folder.record_path))
    objective = record.objective
    rescored = {
        key.removeprefix(RESCORED): known for key, known in study.user_attrs.items() if key.startswith(RESCORED)
    }
    rows = [
        make_row(trial, objective, space, rescored.get(str(trial.number)), record.ladder)
        for trial in study.get_trials(deepcopy=False)
    ]
    rows.sort(key=lambda row: _rank(row, objective))
    complete = [row for row in rows if row["state"] == "COMPLETE"]
    final = record.final.model_dump(mode="json") if record.final else {}
    return {
        "run": str(folder.path),
        "data": record.data.model_dump(mode="json", exclude={"kept"}),
        "objective": objective.name,
        "direction": objective.direction,
        "best": complete[0]["number"] if complete else None,
        "winner": final.get("trial"),
        "best_by_architecture": _best_by_architecture(rows),
        "model": final.get("model"),
        "test": final.get("test", {}),
        "test_details": final.get("test_details"),
        "guessing": _guessing(record),
        "trials": rows,
        "choice": final.get("choice"),
        "final": {name: final.get(name) for name in FINAL} if final else None,
        "totals": {
            **_totals(rows, record),
            "fold_epochs_rescoring": sum(known["fold_epochs"] for known in rescored.values()),
        },
    }


def make_row(
    trial: FrozenTrial,
    objective: Objective,
    space: Space,
    rescored: Mapping[str, Any] | None = None,
    ladder: Sequence[str] = (),
) -> Row:
    """One trial as the leaderboard shows it; `waiting` is the reason of a trial that still races.

    `rescored` is what the study knows of the trial on fresh folds. A trial that has not ended is shown at its rung of
    the `ladder`.
    """
    known: Mapping[str, Any] = trial.user_attrs
    if not trial.state.is_finished():
        known = {**known, **_at_its_rung(trial, objective, ladder)}
    score = trial.value if trial.state == TrialState.COMPLETE else known.get("score")
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
        "fold_epochs": known.get("fold_epochs", 0) + repeated_fold_epochs(trial),
        "parameters": known.get("parameters"),
        "seconds": known.get("seconds", 0.0),
        "executor": known.get("executor"),
        "threads": known.get("threads"),
    }


def _at_its_rung(trial: FrozenTrial, objective: Objective, ladder: Sequence[str]) -> dict[str, Any]:
    """Epochs, folds, score and what stands beside it of a trial that waits, or is on its way to the next rung."""
    standing, reported = recall_standing(trial), trial.intermediate_values
    if not ladder or standing.rung >= len(ladder) or not (standing.scores or reported):
        return {}
    if not standing.scores:  # on its way to its first rung
        last = max(reported)
        return {"epochs": last, "folds": int(ladder[0].partition("x")[2]), "score": reported[last]}
    epochs, _, folds = ladder[standing.rung].partition("x")
    beside = recall_facts(trial, objective)[objective.beside]
    return {
        "epochs": int(epochs),
        "folds": int(folds),
        "score": objective.value(standing.scores[standing.rung]),
        **({} if beside is None else {objective.beside: beside}),
    }


def basis(row: Mapping[str, Any]) -> tuple[float, float | None, str]:
    """The score of a trial, its spread over the folds, and on what it rests: `5-fold cross-validation, 2 times`."""
    score, spread, how = row["score"], row["score_std"], f"{row['folds']}-fold cross-validation"
    if again := row["rescored"]:
        score, spread, fresh = again["mean"], again["std"], again["folds"] - row["folds"]
        whole = again["folds"] == again["repeats"] * row["folds"]
        how += f", {again['repeats']} times" if whole else f" and {fresh} fresh fold{'s' * (fresh > 1)}"
    if row["state"] != "COMPLETE":
        folds = "a single fold, no cross-validation," if row["folds"] == 1 else f"{row['folds']} folds"
        how = f"{folds} and {row['epochs']} epoch{'s' * (row['epochs'] != 1)} only; {row['reason']}"
    return score, spread, how


def _guessing(record: RunRecord) -> dict[str, Any]:
    """What guessing scores on the same folds, and whether the final model is better; see docs/cli.md."""
    judged = record.final.guessing if record.final else {}
    return {
        "by": HOW.get(record.data.task, ""),
        "cross_validated": record.guessing,
        "test": judged.get("test"),
        "better": judged.get("better"),
        "words": judged.get("words", ""),
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


def without_race(fold_epochs: int, full: int, broken: bool) -> int:
    """What a trial that has cost `fold_epochs` would have cost without the race: all folds and epochs, `full`.

    What failed, diverged or cannot run would have broken off there too, at the earliest after as much.
    """
    return fold_epochs if broken else full


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


def _totals(rows: list[Row], record: RunRecord) -> dict[str, Any]:
    pruned: dict[str, int] = {}
    for row in rows:
        if row["state"] == "PRUNED":
            pruned[row["reason"]] = pruned.get(row["reason"], 0) + 1
    full = record.settings.folds * record.settings.epochs
    return {
        "trials": len(rows),
        "complete": sum(row["state"] == "COMPLETE" for row in rows),
        "waiting": sum(row["state"] == "RUNNING" for row in rows),
        "failed": sum(row["state"] == "FAIL" for row in rows),
        "pruned": pruned,
        "fold_epochs": sum(row["fold_epochs"] for row in rows),
        "fold_epochs_without_race": sum(without_race(row["fold_epochs"], full, _is_broken(row)) for row in rows),
        "seconds": record.seconds or 0.0,
    }
