"""What the curves of a trial say, in a word and a sentence with its figures.

T and V are the fold-mean train and validation loss, b the epoch of the lowest V, G the loss of guessing
by the class frequencies or the mean. The first of these rules that holds gives the word:

1. `diverged`: the last T is above 2 G; or it is more than 10 % above the lowest T and has lost more than half of what T
   had won since the first epoch; or a loss was no number.
2. `stuck`: neither T nor V ever fell more than 5 % below G.
3. `overfitting`: the overfitting rule of the search (`racing.overfitting`) holds at the last epoch.
4. `underfitting`: at b, T and V are both above half of G.
5. `healthy`: none of these. A trial without curves is `untrained`.

Train losses are measured on the batches as trained, with dropout and augmentation, so T may lie above V: rules 2 and 4
look at the lower one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from automl.racing.curves import TRAIN_LOSS, VALIDATION_LOSS, Curves
from automl.racing.overfitting import OverfittingRule, verdict_at

Word = Literal["untrained", "diverged", "stuck", "overfitting", "underfitting", "healthy"]
Losses = NDArray[np.float64]

FAR, REBOUND, LOST = 2.0, 0.10, 0.5
LITTLE = 0.05
HIGH = 0.5


@dataclass(frozen=True)
class Diagnosis:
    """The word, and a sentence with the figures that it rests on."""

    word: Word
    sentence: str

    def __str__(self) -> str:
        return f"{self.word}: {self.sentence}"


def diagnose(
    curves: Curves | None, guessing: float | None = None, *, reason: str = "", rule: OverfittingRule | None = None
) -> Diagnosis:
    """The diagnosis of a trial.

    Args:
        curves: of the trial; None or empty when it has none.
        guessing: G, the loss of the best answer that ignores the input, as `run.yaml` keeps it. None: not known;
            the larger loss of the first epoch stands in for it.
        reason: why the trial ended, as the leaderboard says.
        rule: the overfitting rule of the search. None: the default one.
    """
    if curves is None or not curves.fold_epochs:
        if reason.startswith("non-finite"):
            return Diagnosis("diverged", f"{reason}; no epoch was finished.")
        return Diagnosis("untrained", f"no epoch was finished{f' ({reason})' if reason else ''}.")
    train, valid = longest_means(curves)
    level, name = (guessing, "guessing") if guessing else (max(train[0], valid[0]), "the first epoch")
    return (
        _diverged(train, level, name, reason)
        or _stuck(train, valid, level, name)
        or _overfitting(curves, rule)
        or _underfitting(train, valid, level, name)
        or _healthy(train, valid)
    )


def longest_means(curves: Curves) -> tuple[Losses, Losses]:
    """T and V [epoch] of the folds that were trained longest: others may have joined late and ended early."""
    longest = curves.longest
    return longest.mean(TRAIN_LOSS), longest.mean(VALIDATION_LOSS)


def _diverged(train: Losses, level: float, name: str, reason: str) -> Diagnosis | None:
    first, last, lowest = float(train[0]), float(train[-1]), float(train.min())
    at = int(train.argmin()) + 1
    if reason.startswith("non-finite"):
        return Diagnosis("diverged", f"{reason}; the train loss was {last:.4g} at epoch {train.size} before that.")
    if last > FAR * level:
        text = f"the train loss is {last:.4g} at epoch {train.size}, more than twice that of {name} ({level:.4g})."
        return Diagnosis("diverged", text)
    if last > (1 + REBOUND) * lowest and last - lowest > LOST * (first - lowest):
        return Diagnosis(
            "diverged", f"the train loss rose from {lowest:.4g} at epoch {at} to {last:.4g} at epoch {train.size}."
        )
    return None


def _stuck(train: Losses, valid: Losses, level: float, name: str) -> Diagnosis | None:
    lowest = min(float(train.min()), float(valid.min()))
    # Without the level of guessing, the first epoch is its own yardstick: there must be another one.
    if lowest >= (1 - LITTLE) * level and (name == "guessing" or train.size > 1):
        return Diagnosis(
            "stuck",
            f"after {_epochs(train.size)} the lowest train loss is {train.min():.4g}, the lowest validation loss "
            f"{valid.min():.4g}: hardly below that of {name} ({level:.4g}).",
        )
    return None


def _overfitting(curves: Curves, rule: OverfittingRule | None) -> Diagnosis | None:
    longest = curves.longest
    rule = rule or OverfittingRule.of(curves.values.shape[1])
    verdict = verdict_at(longest, rule, longest.folds, longest.epochs())
    if verdict is None:
        return None
    return Diagnosis(
        "overfitting",
        f"from epoch {verdict.best_epoch} to {verdict.epoch} the train loss fell {verdict.best_train_loss:.4g} -> "
        f"{verdict.train_loss:.4g} while the validation loss rose {verdict.best_validation_loss:.4g} -> "
        f"{verdict.validation_loss:.4g}.",
    )


def _underfitting(train: Losses, valid: Losses, level: float, name: str) -> Diagnosis | None:
    best = int(valid.argmin())
    if min(train[best], valid[best]) <= HIGH * level:
        return None
    more = ", and still at its best in its last epoch" if best == valid.size - 1 and best else ""
    return Diagnosis(
        "underfitting",
        f"at its best epoch, {best + 1} of {valid.size}{more}, the train loss is {train[best]:.4g} and the validation "
        f"loss {valid[best]:.4g}: above half of that of {name} ({level:.4g}).",
    )


def _healthy(train: Losses, valid: Losses) -> Diagnosis:
    best = int(valid.argmin())
    return Diagnosis(
        "healthy",
        f"at its best epoch, {best + 1} of {valid.size}, the train loss is {train[best]:.4g} and the validation loss "
        f"{valid[best]:.4g}, a gap of {valid[best] - train[best]:.4g}.",
    )


def _epochs(count: int) -> str:
    return f"{count} epoch{'s' * (count > 1)}"
