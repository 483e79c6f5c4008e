"""The learning curves of one trial: losses and metrics by fold and epoch."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from automl.racing.objective import TRAIN_LOSS, TRAIN_METRIC, VALIDATION_LOSS, VALIDATION_METRIC, Objective
from automl.racing.worsening import epoch_that_counts

__all__ = ["TRAIN_LOSS", "TRAIN_METRIC", "VALIDATION_LOSS", "VALIDATION_METRIC", "Curves", "FoldEpoch", "Summary"]


NAMES = ("train_loss", "train_metric", "validation_loss", "validation_metric")
"""The last axis of the curves."""


@dataclass(frozen=True)
class FoldEpoch:
    """What one fold showed in one epoch. `fold` counts from 0, `epoch` from 1; losses are means over the samples."""

    fold: int
    epoch: int
    train_loss: float
    train_metric: float
    validation_loss: float
    validation_metric: float


@dataclass(frozen=True, eq=False)
class Summary:
    """What curves come to: the score, and all that is said beside it.

    No epoch is chosen on the fold that it is reported on. The epoch of fold k is the one that counts (the last, unless
    the curve has clearly worsened by then: see `worsening.py`) on the mean of the other folds.

    `by_fold` [fold, 4] are the values of each fold at its epoch. `best_epoch` is the epoch that counts on the mean of
    all folds: for so many a network is to be trained with this config. A single fold has no others: there, and only
    there, the epoch is chosen on the fold itself.
    """

    objective: Objective
    by_fold: NDArray[np.float64]
    best_epoch: int

    @property
    def scores(self) -> NDArray[np.float64]:
        """[fold]: the score of each fold, as a value."""
        return self.by_fold[:, self.objective.column]

    @property
    def score(self) -> float:
        """The mean of the folds' scores, as a value."""
        return float(self.scores.mean())

    @property
    def spread(self) -> float | None:
        """The standard deviation of the folds' scores; None for a single fold."""
        return float(self.scores.std(ddof=1)) if len(self.scores) > 1 else None

    @property
    def beside(self) -> float:
        """The mean of what stands beside the score, at the same epochs."""
        return float(self.by_fold[:, self.objective.beside_column].mean())

    @property
    def gap(self) -> float:
        """The generalisation gap: validation loss minus train loss, at the same epochs."""
        return float((self.by_fold[:, VALIDATION_LOSS] - self.by_fold[:, TRAIN_LOSS]).mean())


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
    def by_name(self) -> dict[str, NDArray[np.float64]]:
        """`train_loss`, `train_metric`, `validation_loss` and `validation_metric`, each [fold, epoch]."""
        return {name: self.values[:, :, column] for column, name in enumerate(NAMES)}

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

    def summary(self, folds: int | None = None, epochs: int | None = None) -> Summary | None:
        """What the first `folds` folds come to in their first `epochs` epochs; None where nothing was trained.

        It is the only place where a score is computed.
        """
        count = self.folds if folds is None else folds
        length = self.epochs(count) if epochs is None else epochs
        if not count or not length:
            return None
        values = self.values[:count, :length]
        others = [np.delete(values, fold, axis=0) if count > 1 else values for fold in range(count)]
        chosen = [epoch_that_counts(self._errors(rest)) - 1 for rest in others]
        return Summary(self.objective, values[np.arange(count), chosen], epoch_that_counts(self._errors(values)))

    def errors(self, folds: int, epochs: int) -> NDArray[np.float64]:
        """[epoch]: how far the fold-mean of what is optimised is from perfect."""
        return self._errors(self.values[:folds, :epochs])

    def best_epoch(self, folds: int | None = None, epochs: int | None = None) -> int:
        """The `summary`'s: the epoch (from 1) for which a network is to be trained. 0: nothing was trained."""
        summary = self.summary(folds, epochs)
        return summary.best_epoch if summary else 0

    def score(self, folds: int | None = None, epochs: int | None = None) -> float:
        """The `summary`'s score as a cost, minus the metric where greater is better; infinite: nothing was trained."""
        summary = self.summary(folds, epochs)
        return self.objective.cost(summary.score) if summary else float("inf")

    def _errors(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        mean: NDArray[np.float64] = values[:, :, self.objective.column].mean(axis=0)
        return self.objective.error(self.objective.cost(1.0) * mean)
