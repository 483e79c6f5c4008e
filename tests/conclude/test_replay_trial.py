"""A replay trains each fold for the epochs that it has on record, with the folds it was trained with then."""

from __future__ import annotations

import numpy as np
import pytest

from automl.conclude.replay import _advance_as_recorded
from automl.racing.curves import Curves, FoldEpoch
from automl.racing.ladder import parse_ladder

LADDER = parse_ladder("1x1,2x1,4x2,8x3", 8, 3)


class Folds:
    """Stands in for a training: counts epochs, and notes which folds were trained together."""

    def __init__(self):
        self.epochs = [0, 0, 0]
        self.together = []

    def advance(self, epochs, folds):
        for epoch in range(1, epochs + 1):
            behind = [f for f in range(folds) if self.epochs[f] < epoch]
            if behind:
                self.together.append(tuple(behind))
                for fold in behind:
                    self.epochs[fold] += 1
                yield [FoldEpoch(f, epoch, 1.0, 1.0, 1.0, 1.0) for f in behind]


def recorded(*lengths):
    values = np.full((3, 8, 4), np.nan)
    for fold, length in enumerate(lengths):
        values[fold, :length] = 1.0
    return Curves.of(values)


@pytest.mark.parametrize(
    "lengths",
    [(1, 0, 0), (2, 0, 0), (3, 0, 0), (3, 3, 0), (4, 4, 0), (4, 4, 3), (6, 6, 6), (8, 8, 8), (3, 1, 1), (7, 7, 7)],
)
def test_every_fold_gets_its_recorded_epochs(lengths):
    folds, curves = Folds(), recorded(*lengths)
    replayed = Curves(3, 8)
    for results in _advance_as_recorded(folds, curves, LADDER):
        replayed.add(results)
    assert tuple(folds.epochs) == lengths
    assert np.array_equal(replayed.values, curves.values, equal_nan=True)


def test_folds_catch_up_in_the_company_that_they_had():
    folds = Folds()
    list(_advance_as_recorded(folds, recorded(5, 5, 5), LADDER))
    alone, pair = [(0,)] * 2, [(1,), (1,), (0, 1), (0, 1)]
    assert folds.together == [*alone, *pair, *[(2,)] * 4, (0, 1, 2)]
