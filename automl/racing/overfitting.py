"""The overfitting rule: a trial that has started to memorise is stopped, and its record says so."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from automl.racing.curves import TRAIN_LOSS, VALIDATION_LOSS, Curves


@dataclass(frozen=True)
class OverfittingRule:
    """When a trial counts as overfitting, on its fold-mean curves.

    With T the train loss, V the validation loss and b the epoch of the lowest V so far, the verdict falls at epoch e
    when e - b >= `patience` and, in each of the last `patience` epochs, V > (1 + `tolerance`) * V_b and T < T_b. One
    bad epoch is noise; a flat or rising T is diverging or being stuck, not overfitting. Both are left to the ladder.
    """

    patience: int
    tolerance: float = 0.05


def default_patience(epochs: int) -> int:
    """A fifth of the `epochs` that a training is laid out for, at least 4.

    What is a trend and what is noise depends on that: a learning rate that falls later mends much of what an epoch of
    high learning rate does to the validation loss. On recorded tables of 20 epochs a patience of 3 stopped the second
    best config on its way; 4 stopped none of the good ones.
    """
    return max(4, round(0.2 * epochs))


@dataclass(frozen=True)
class Verdict:
    """Overfitting at `epoch`; `best_epoch` had the lowest validation loss. `gap` is V_e / V_b - 1 - tolerance, above 0.

    `train_loss` and `validation_loss` are the fold means at `epoch`, `best_train_loss` and `best_validation_loss` those
    at `best_epoch`.
    """

    epoch: int
    best_epoch: int
    gap: float
    train_loss: float
    validation_loss: float
    best_train_loss: float
    best_validation_loss: float

    def __str__(self) -> str:
        return (
            f"overfitting at epoch {self.epoch}: since epoch {self.best_epoch} the train loss fell "
            f"{self.best_train_loss:.4g} -> {self.train_loss:.4g} while the validation loss rose "
            f"{self.best_validation_loss:.4g} -> {self.validation_loss:.4g}"
        )


def verdict_at(curves: Curves, rule: OverfittingRule, folds: int, epoch: int) -> Verdict | None:
    """The verdict on the first `folds` folds at `epoch` (from 1), or None."""
    train = curves.mean(TRAIN_LOSS, folds, epoch)
    validation = curves.mean(VALIDATION_LOSS, folds, epoch)
    if validation.size < epoch or not np.isfinite(validation).all():
        return None
    best, last = int(validation.argmin()), epoch - 1
    recent = slice(max(0, epoch - rule.patience), epoch)
    # A perfect fit (V_b = 0) has no relative gap; any rise above it counts.
    risen = (validation[recent] > (1 + rule.tolerance) * validation[best]).all()
    if last - best < rule.patience or not risen or not (train[recent] < train[best]).all():
        return None
    floor = max(float(validation[best]), np.finfo(np.float64).tiny)
    return Verdict(
        epoch=epoch,
        best_epoch=best + 1,
        gap=min(float(validation[last]) / floor - 1 - rule.tolerance, 1e6),
        train_loss=float(train[last]),
        validation_loss=float(validation[last]),
        best_train_loss=float(train[best]),
        best_validation_loss=float(validation[best]),
    )
