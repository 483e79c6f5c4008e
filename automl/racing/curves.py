"""The learning curves of one trial: losses and metrics by fold and epoch."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from automl.racing.objective import TRAIN_LOSS, TRAIN_METRIC, VALIDATION_LOSS, VALIDATION_METRIC, Objective

__all__ = ["TRAIN_LOSS", "TRAIN_METRIC", "VALIDATION_LOSS", "VALIDATION_METRIC", "Curves", "FoldEpoch"]


@dataclass(frozen=True)
class FoldEpoch:
    """What one fold showed in one epoch. `fold` counts from 0, `epoch` from 1; losses are means over the samples."""

    fold: int
    epoch: int
    train_loss: float
    train_metric: float
    validation_loss: float
    validation_metric: float


class Curves:
    """The curves of one trial. `values` is [fold, epoch, 4], NaN where nothing was trained yet.

    The last axis is (train loss, train metric, validation loss, validation metric), as in the tables of benchmarks/.
    Folds start together, so a fold that was trained at all has its first epoch; they may differ in length.
    """

    def __init__(self, folds: int, epochs: int, objective: Objective = Objective()):  # noqa: B008 (immutable)
        self.values: NDArray[np.float64] = np.full((folds, epochs, 4), np.nan)
        self.objective = objective

    @classmethod
    def of(cls, values: NDArray[np.float64], objective: Objective = Objective()) -> Curves:  # noqa: B008
        """Curves from an array [fold, epoch, 4], which is not copied."""
        curves = cls(0, 0, objective)
        curves.values = values
        return curves

    def add(self, results: Iterable[FoldEpoch]) -> None:
        """Enters what the folds showed."""
        for r in results:
            self.values[r.fold, r.epoch - 1] = (r.train_loss, r.train_metric, r.validation_loss, r.validation_metric)

    @property
    def fold_epochs(self) -> int:
        """How many fold-epochs were trained: the cost so far."""
        return int(np.isfinite(self.values[:, :, VALIDATION_LOSS]).sum())

    @property
    def longest(self) -> Curves:
        """Of the first folds, those as long as the first one: what counts of a trial that was stopped midway."""
        lengths = np.isfinite(self.values[:, :, VALIDATION_LOSS]).sum(axis=1)
        shorter = np.flatnonzero(lengths < lengths[:1])
        return Curves.of(self.values[: shorter[0] if shorter.size else len(lengths)], self.objective)

    @property
    def folds(self) -> int:
        """How many folds were trained at all."""
        return int(np.isfinite(self.values[:, :, VALIDATION_LOSS]).any(axis=1).sum())

    def epochs(self, folds: int | None = None) -> int:
        """How many epochs all of the first `folds` folds have (default: of the folds trained at all)."""
        count = self.folds if folds is None else folds
        if count == 0:
            return 0
        return int(np.isfinite(self.values[:count, :, VALIDATION_LOSS]).all(axis=0).sum())

    def mean(self, which: int, folds: int | None = None, epochs: int | None = None) -> NDArray[np.float64]:
        """The fold-mean curve [epoch] of one of the four values, over the first `folds` folds and `epochs` epochs."""
        count = self.folds if folds is None else folds
        length = self.epochs(count) if epochs is None else epochs
        if count == 0:
            return np.empty(0)
        mean: NDArray[np.float64] = self.values[:count, :length, which].mean(axis=0)
        return mean

    def best_epoch(self, folds: int | None = None, epochs: int | None = None) -> int:
        """The epoch (from 1) with the best fold-mean score: one epoch for all folds. 0: nothing trained."""
        costs = self._costs(folds, epochs)
        return int(costs.argmin()) + 1 if costs.size else 0

    def score(self, folds: int | None = None, epochs: int | None = None) -> float:
        """The cost of the best epoch's fold mean, over the first `folds` folds and `epochs` epochs; infinite for none.

        A cost: where greater is better, it is minus the metric.
        """
        costs = self._costs(folds, epochs)
        return float(costs.min()) if costs.size else float("inf")

    def _costs(self, folds: int | None, epochs: int | None) -> NDArray[np.float64]:
        return self.objective.cost(1.0) * self.mean(self.objective.column, folds, epochs)
