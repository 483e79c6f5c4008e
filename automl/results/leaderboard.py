"""The leaderboard: the machine's view of a run, as `automl leaderboard --json` prints it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import optuna
from optuna.trial import TrialState

from automl.run.folder import RunFolder
from automl.run.run_record import RunRecord
from automl.study.trial_record import TrialRecord, read_rescored, read_trials
from automl.training.guessing import HOW

ENOUGH = 2
"""Complete trials, from which on a factor saved is named."""

FINAL = ("kind", "epochs", "cut_short", "stand_in", "words")
"""What the summary says of the final model."""


def summarise(folder: RunFolder, study: optuna.Study, record: RunRecord) -> dict[str, Any]:
    """The whole run: its best score, model, test scores, trials (best first) and totals.

    `record` is the run's `run.yaml`. The schema stands in docs/cli.md and is stable.
    """
    objective = record.objective
    trials = ranked_trials(study, record)
    complete = [trial for trial in trials if trial.is_complete]
    final = record.final.model_dump(mode="json") if record.final else {}
    return {
        "run": str(folder.path),
        "data": record.data.model_dump(mode="json", exclude={"kept"}),
        "objective": objective.name,
        "direction": objective.direction,
        "best": complete[0].number if complete else None,
        "winner": final.get("trial"),
        "best_by_architecture": _best_by_architecture(trials),
        "model": str(folder.model) if final.get("model") else None,  # a run may have been moved
        "test": final.get("test", {}),
        "test_details": final.get("test_details"),
        "guessing": _guessing(record),
        "baseline": _baseline(record, _winner(trials, final)),
        "trials": [trial.to_row() for trial in trials],
        "choice": final.get("choice"),
        "final": {name: final.get(name) for name in FINAL} if final else None,
        "totals": {
            **_totals(trials, record),
            "fold_epochs_rescoring": sum(known.fold_epochs for known in read_rescored(study).values()),
        },
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


def _winner(trials: Sequence[TrialRecord], final: Mapping[str, Any]) -> TrialRecord | None:
    """The trial of the final model, or while there is none the first of the leaderboard."""
    first = trials[0] if trials else None
    return next((trial for trial in trials if trial.number == final.get("trial")), first)


def _baseline(record: RunRecord, winner: TrialRecord | None) -> dict[str, Any] | None:
    """What an untuned method scores on the same folds, and whether the networks beat it; see docs/cli.md."""
    if (known := record.baseline) is None:
        return None
    objective, words, done = record.objective, "", len(known.scores)
    own = None if winner is None or winner.folds != done else winner.score
    if record.final is not None and len(record.final.fold_scores) >= done:
        own = float(np.mean(record.final.fold_scores[:done]))  # on the same folds
    better = None if own is None else objective.cost(own) <= objective.cost(known.mean)
    if better is False:
        words = (
            f"{known.by} is better on the same folds: {known.metric} {known.mean:.4g} against {own:.4g}; give the "
            "search more time, or use it instead"
        )
    return {
        **{name: getattr(known, name) for name in ("by", "metric", "mean", "rows", "seconds")},
        "scores": list(known.scores),
        "better": better,
        "words": words,
    }


def describe_baseline(baseline: Mapping[str, Any], folds: int) -> str:
    """`gradient boosting on the same folds: rmse 158.8 (6 s)`; `baseline` is the summary's."""
    done, rows = len(baseline["scores"]), baseline["rows"]
    on = "on the same folds" if done == folds else f"on {done} of the {folds} folds"
    fitted = f", fitted to {rows:,} rows" if rows else ""
    return f"{baseline['by']} {on}: {baseline['metric']} {baseline['mean']:.4f} ({baseline['seconds']:.0f} s{fitted})"


def ranked_trials(study: optuna.Study, record: RunRecord) -> list[TrialRecord]:
    """Complete trials by score; then those that climbed furthest, by score where that is as far; broken ones last."""
    first_folds = record.rungs[0].folds if record.ladder else 0
    return sorted(read_trials(study, record.objective, first_folds), key=_rank)


def _rank(trial: TrialRecord) -> tuple[int, int, float, int]:
    order = 2 if trial.is_broken else int(not trial.is_complete)
    # Not by fold-epochs: a trial that was stopped between two rungs has more of them than its score stands on.
    climbed = 0 if order == 0 else -trial.epochs * trial.folds
    cost = math.inf if trial.score is None else trial.objective.cost(trial.score)
    return order, climbed, cost, trial.number


def without_race(fold_epochs: int, full: int, broken: bool) -> int:
    """What a trial that has cost `fold_epochs` would have cost without the race: all folds and epochs, `full`.

    What failed, diverged or cannot run would have broken off there too, at the earliest after as much.
    """
    return fold_epochs if broken else full


def _best_by_architecture(trials: Sequence[TrialRecord]) -> dict[str, int]:
    """The number of each architecture's first trial with a score; `trials` stand best first."""
    best: dict[str, int] = {}
    for trial in trials:
        if trial.score is not None and trial.architecture and not trial.is_broken:
            best.setdefault(trial.architecture, trial.number)
    return best


def _totals(trials: Sequence[TrialRecord], record: RunRecord) -> dict[str, Any]:
    states = Counter(trial.state for trial in trials)
    full = record.settings.folds * record.settings.epochs
    return {
        "trials": len(trials),
        "complete": states[TrialState.COMPLETE],
        "waiting": states[TrialState.RUNNING],
        "failed": states[TrialState.FAIL],
        "pruned": dict(Counter(trial.why for trial in trials if trial.state == TrialState.PRUNED)),
        "fold_epochs": sum(trial.cost for trial in trials),
        "fold_epochs_without_race": sum(without_race(trial.cost, full, trial.is_broken) for trial in trials),
        "seconds": record.seconds or 0.0,
    }
