"""The overfitting rule: a trial that has started to memorise is stopped, and its record says so."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from automl.racing.curves import TRAIN_LOSS, VALIDATION_LOSS, Curves
from automl.racing.worsening import TOLERANCE, WINDOW, averages, best_average, worsened_for

# Standard deviations of a curve's noise: twice what the score takes, for the rule asks at every epoch. On flat curves
# it fires in less than 1 % of 20-epoch trainings (benchmarks/scoring.py), with 2 in 6 %; where networks memorise, it
# fires half an epoch later than with 2.
NOISES = 4.0


@dataclass(frozen=True)
class OverfittingRule:
    """When a trial counts as overfitting, on its fold-mean curves.

    With T the train loss, V the validation loss and b the epoch of the lowest V (an average of three epochs), the
    verdict falls at epoch e when

    1. V has been clearly above V_b for `patience` epochs: by more than the `tolerance` and than its noise explains,
       see `worsening.py`;
    2. so has the error of what is optimised been above its own best, where that is not the loss;
    3. T < T_b in each of these epochs.

    One bad epoch is noise; with a flat or rising T a trial diverges or is stuck, which is left to the ladder.
    """

    patience: int
    tolerance: float = TOLERANCE

    @classmethod
    def of(cls, epochs: int, patience: int | None = None, tolerance: float = TOLERANCE) -> OverfittingRule:
        """The rule of a search whose trainings are laid out for so many `epochs`; patience None: the default one."""
        return cls(patience or default_patience(epochs), tolerance)


def default_patience(epochs: int) -> int:
    """A fifth of the `epochs` that a training is laid out for, at least 4.

    What is a trend and what is noise depends on that: a learning rate that falls later mends much of what an epoch of
    high learning rate does to the validation loss. On recorded tables of 20 epochs a patience of 3 stopped the second
    best config on its way; 4 stopped none of the good ones.
    """
    return max(4, round(0.2 * epochs))


@dataclass(frozen=True)
class Verdict:
    """Overfitting at `epoch`; around `best_epoch` the validation loss was lowest. `gap` is V_e / V_b - 1 - tolerance,
    above 0.

    The validation losses are averages of three epochs: the three up to `epoch`, and those around `best_epoch`. The
    train losses are those at `epoch` and at `best_epoch`. All are fold means.
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
    too_short = epoch < rule.patience + WINDOW  # an average to rise from, and as many above it
    if too_short or validation.size < epoch or not np.isfinite(validation).all():
        return None
    errors = curves.errors(folds, epoch)
    if any(worsened_for(curve, rule.tolerance, NOISES) < rule.patience for curve in (validation, errors)):
        return None
    best = best_average(validation) - 1
    if not (train[-rule.patience :] < train[best]).all():
        return None
    risen, lowest = float(averages(validation)[-1]), float(averages(validation).min())
    # A perfect fit (V_b = 0) has no relative gap; any rise above it counts.
    gap = risen / max(lowest, np.finfo(np.float64).tiny) - 1 - rule.tolerance
    return Verdict(
        epoch=epoch,
        best_epoch=best + 1,
        gap=min(gap, 1e6),
        train_loss=float(train[-1]),
        validation_loss=risen,
        best_train_loss=float(train[best]),
        best_validation_loss=lowest,
    )
