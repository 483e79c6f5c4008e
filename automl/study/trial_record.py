"""What a trial is and has come to, between Optuna's storage and us: the only place that knows the attributes' names.

The attributes are plain numbers and texts, so that the dashboard shows them; the config, which it shows as parameters,
and curves, which are longer than an attribute may be, are kept apart (`curve_files.py`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import optuna
from optuna.trial import FrozenTrial, TrialState

from automl.racing.curves import VALIDATION_LOSS, Curves
from automl.racing.ladder import Rung
from automl.racing.objective import Objective
from automl.racing.overfitting import Verdict
from automl.racing.race import Standing
from automl.study.reasons import BROKEN, Reason
from automl.study.standings import REPEATED, decode_standing, standing_attribute
from automl.study.storage.cache import StudyCache
from automl.study.storage.journal import JournalStudies

CONFIG = "automl:config"
RESCORED = "rescored:"
"""A study's attribute of this name and a trial's number: what the trial came to on fresh folds."""

FoldScore = tuple[float, float]
"""(the score, what stands beside it) of one fold at the score's epoch."""


@dataclass(frozen=True)
class Rescored:
    """A finalist's score over its own and its `fresh` folds, and the `fold_epochs` that these cost."""

    mean: float
    std: float
    folds: int
    repeats: int
    fold_epochs: int
    fresh: tuple[FoldScore, ...]

    @classmethod
    def of(cls, scores: Sequence[float], fresh: Sequence[FoldScore], epochs: int, k: int) -> Rescored:
        """From the `scores` on all folds, own and fresh; each fresh one was trained for so many `epochs`."""
        values = np.asarray(scores, dtype=np.float64)
        return cls(
            mean=float(values.mean()),
            std=float(values.std(ddof=1)),
            folds=len(values),
            repeats=1 + math.ceil(len(fresh) / k),
            fold_epochs=len(fresh) * epochs,
            fresh=tuple(fresh),
        )

    def write(self, study: optuna.Study, trial: int) -> None:
        """With the study, for the attributes of an ended trial are closed."""
        study.set_user_attr(f"{RESCORED}{trial}", asdict(self))


def read_rescored(study: optuna.Study) -> dict[int, Rescored]:
    """What the finalists came to on fresh folds, by trial."""
    known = {key: about for key, about in study.user_attrs.items() if key.startswith(RESCORED)}
    return {
        int(key.removeprefix(RESCORED)): Rescored(**{**about, "fresh": tuple(map(tuple, about["fresh"]))})
        for key, about in known.items()
    }


@dataclass(frozen=True)
class TrialRecord:
    """A trial as the storage has it.

    reason: why it was pruned, or completed early; WAITING while it races. cause: why it failed. score, spread (over the
    folds), beside, best_epoch, gap, epochs, folds: what `Curves.summary` says, of a racing trial at its last rung.
    fold_epochs: those that count in the curves; repeated: those that were lost with a worker. overfitting: `epoch`,
    `gap`, `train_loss` and `validation_loss` where the rule stopped it.
    """

    number: int
    state: TrialState
    objective: Objective
    config: Mapping[str, Any] = field(default_factory=dict)
    reason: Reason | None = None
    cause: str = ""
    detail: str = ""
    score: float | None = None
    spread: float | None = None
    beside: float | None = None
    best_epoch: int | None = None
    gap: float | None = None
    epochs: int = 0
    folds: int = 0
    fold_epochs: int = 0
    repeated: int = 0
    seconds: float = 0.0
    parameters: int | None = None
    executor: str | None = None
    threads: int | None = None
    overfitting: Mapping[str, float] = field(default_factory=dict)
    standing: Standing = field(default_factory=Standing)
    rescored: Rescored | None = None

    @classmethod
    def of(
        cls, trial: FrozenTrial, objective: Objective, *, first_folds: int = 0, rescored: Rescored | None = None
    ) -> TrialRecord:
        """The record of Optuna's trial. `first_folds`: of the lowest rung, for a trial on its way there."""
        attributes: Mapping[str, Any] = trial.user_attrs
        reported = trial.intermediate_values
        if not trial.state.is_finished() and "score" not in attributes and reported:
            last = max(reported)
            attributes = {**attributes, "epochs": last, "folds": first_folds, "score": reported[last]}
        config = trial.system_attrs.get(CONFIG) or trial.params
        return cls.decode(trial.number, trial.state, objective, config, attributes, rescored)

    @classmethod
    def decode(
        cls,
        number: int,
        state: TrialState,
        objective: Objective,
        config: Mapping[str, Any],
        attributes: Mapping[str, Any],
        rescored: Rescored | None = None,
    ) -> TrialRecord:
        """The record whose attributes `rest_attributes` or `result_attributes` have made."""
        reason, cause = _reason_of(state, str(attributes.get("reason") or ""))
        prefix = "overfitting_"
        return cls(
            number=number,
            state=state,
            objective=objective,
            config=config,
            reason=reason,
            cause=cause,
            detail=attributes.get("detail", ""),
            score=_finite(attributes.get("score")),
            spread=attributes.get("score_std"),
            beside=attributes.get(objective.beside),
            best_epoch=attributes.get("best_epoch"),
            gap=attributes.get("generalisation_gap"),
            epochs=attributes.get("epochs", 0),
            folds=attributes.get("folds", 0),
            fold_epochs=attributes.get("fold_epochs", 0),
            repeated=int(attributes.get(REPEATED, (0, 0))[0]),
            seconds=attributes.get("seconds", 0.0),
            parameters=attributes.get("parameters"),
            executor=attributes.get("executor"),
            threads=attributes.get("threads"),
            overfitting={k.removeprefix(prefix): v for k, v in attributes.items() if k.startswith(prefix)},
            standing=decode_standing(state, attributes),
            rescored=rescored,
        )

    @property
    def architecture(self) -> str | None:
        """Its name; None for a trial that broke off before it had one."""
        return self.config.get("architecture")

    @property
    def is_complete(self) -> bool:
        """Whether it was trained to the end, or well enough before."""
        return self.state == TrialState.COMPLETE

    @property
    def is_broken(self) -> bool:
        """Whether it failed, diverged or cannot run: a score it may have is of a training that broke off."""
        return self.state == TrialState.FAIL or self.reason in BROKEN

    @property
    def why(self) -> str:
        """The reason or the cause; "" for a plainly complete trial."""
        return str(self.reason or self.cause)

    @property
    def cost(self) -> int:
        """All fold-epochs that it was trained for."""
        return self.fold_epochs + self.repeated

    def to_row(self) -> dict[str, Any]:
        """The row of `automl leaderboard --json`; see docs/cli.md."""
        rescored = self.rescored
        shown = ("mean", "std", "folds", "repeats")
        return {
            "number": self.number,
            "state": self.state.name,
            "reason": self.why,
            "detail": self.detail,
            "architecture": self.architecture,
            "config": dict(self.config),
            "score": self.score,
            "score_std": self.spread,
            "rescored": rescored and {name: getattr(rescored, name) for name in shown},
            "metrics": {} if self.beside is None else {self.objective.beside: self.beside},
            "epochs": self.epochs,
            "best_epoch": self.best_epoch,
            "folds": self.folds,
            "fold_epochs": self.cost,
            "parameters": self.parameters,
            "seconds": self.seconds,
            "executor": self.executor,
            "threads": self.threads,
        }


def read_trials(study: optuna.Study, objective: Objective, first_folds: int = 0) -> list[TrialRecord]:
    """The records of a study's trials, by number."""
    rescored = read_rescored(study)
    return [
        TrialRecord.of(trial, objective, first_folds=first_folds, rescored=rescored.get(trial.number))
        for trial in study.get_trials(deepcopy=False)
    ]


def _reason_of(state: TrialState, text: str) -> tuple[Reason | None, str]:
    if not state.is_finished():
        return Reason.WAITING, ""
    if state == TrialState.FAIL:
        return None, text
    return (Reason(text), "") if text in {*Reason} else (None, text)


def _finite(score: float | None) -> float | None:
    return score if score is not None and math.isfinite(score) else None


def known_config(trial: optuna.Trial) -> dict[str, Any] | None:
    """The trial's config; None before it has one."""
    config: dict[str, Any] | None = trial.storage.get_trial(trial._trial_id).system_attrs.get(CONFIG)
    return config


def store_config(trial: optuna.Trial, config: Mapping[str, Any]) -> None:
    """Keeps the config with its trial, its constants included, which Optuna does not know."""
    trial.storage.set_trial_system_attr(trial._trial_id, CONFIG, dict(config))


def config_of(trial: FrozenTrial) -> dict[str, Any] | None:
    """The config; None before it is stored."""
    config: dict[str, Any] | None = trial.system_attrs.get(CONFIG)
    return config


def write_attributes(trial: optuna.Trial, values: Mapping[str, Any]) -> None:
    """Sets user attributes of a trial, in their order: at once where the storage can, which saves milliseconds each.

    What is None is left out: a column of the dashboard with a None in it cannot be sorted as numbers.
    """
    values = {name: value for name, value in values.items() if value is not None}
    if isinstance(trial.storage, StudyCache | JournalStudies):
        trial.storage.set_trial_user_attrs(trial._trial_id, values)
    else:
        for name, value in values.items():
            trial.set_user_attr(name, value)


def summary_attributes(curves: Curves, folds: int | None = None, epochs: int | None = None) -> dict[str, Any]:
    """Epochs, folds, fold-epochs, and what `Curves.summary` says of the first `folds` folds and `epochs` epochs: the
    score and its spread over the folds, what stands beside it (by its name), the generalisation gap, and the epoch for
    which a model is to be trained. Nothing of empty curves: what is known of an earlier rung stays.
    """
    if (summary := curves.summary(folds, epochs)) is None:
        return {}
    return {
        # A fold that joined late may be shorter.
        "epochs": epochs or int(np.isfinite(curves.values[0, :, VALIDATION_LOSS]).sum()),
        "folds": folds or curves.folds,
        "fold_epochs": curves.fold_epochs,
        "best_epoch": summary.best_epoch,
        "score": summary.score,
        "score_std": summary.spread,
        curves.objective.beside: summary.beside,
        "generalisation_gap": summary.gap,
    }


def rest_attributes(curves: Curves, rung: Rung, costs: Mapping[str, Any], standing: Standing) -> dict[str, Any]:
    """What is written of a trial that waits at its rung, for others to go on with, and for the dashboard."""
    return {**summary_attributes(curves, rung.folds, rung.epochs), **costs, **standing_attribute(standing)}


def result_attributes(curves: Curves, state: TrialState, facts: Mapping[str, Any]) -> dict[str, Any]:
    """What is written of a trial that ends: what its curves tell, and `facts` (reason, parameters, seconds, ...).

    Of one that is not complete those folds count that were trained longest; they cost what all of them cost.
    """
    counted = curves if state == TrialState.COMPLETE else curves.longest
    spent = {"fold_epochs": curves.fold_epochs} if curves.fold_epochs else {}
    return {**summary_attributes(counted), **spent, **facts}


def overfitting_attributes(verdict: Verdict) -> dict[str, float]:
    """Where the overfitting rule stopped a trial."""
    return {
        "overfitting_epoch": verdict.epoch,
        "overfitting_gap": verdict.gap,
        "overfitting_train_loss": verdict.train_loss,
        "overfitting_validation_loss": verdict.validation_loss,
    }


def is_overfitting(trial: FrozenTrial) -> bool:
    """Whether the overfitting rule has pruned it."""
    return bool(trial.user_attrs.get("reason") == Reason.OVERFITTING)


def seconds_so_far(trial: FrozenTrial | optuna.Trial) -> float:
    """What the trial took on its way to the rungs that it has reached."""
    return float(trial.user_attrs.get("seconds", 0.0))


def seconds_per_fold_epoch(trial: FrozenTrial) -> float | None:
    """What a fold-epoch of the trial took; None before that is known."""
    seconds, fold_epochs = trial.user_attrs.get("seconds"), trial.user_attrs.get("fold_epochs")
    return seconds / fold_epochs if seconds and fold_epochs else None


def best_epoch(trial: FrozenTrial) -> int | None:
    """The epoch that its score is of; None before there is one."""
    known = trial.user_attrs.get("best_epoch")
    return known if isinstance(known, int) else None


def seconds_per_prediction(trial: FrozenTrial) -> float:
    """What its network takes for a sample; 0 where that is not known, or nothing."""
    known = trial.user_attrs.get("seconds_per_prediction")
    return float(known) if isinstance(known, int | float) else 0.0
