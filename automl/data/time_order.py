"""Splits of rows in the order of time: what is predicted lies after what was trained on."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from automl.errors import DataError

FIRST = -2
"""The fold of the earliest rows, which are only ever trained on."""


def forward_folds(name: str, times: NDArray[np.float64], folds: int, test_fraction: float) -> NDArray[np.int64]:
    """int64 [n]: the latest `test_fraction` of the rows are the test set, -1. The others are cut by time into `folds`
    + 1 blocks of about one size; the earliest has the fold `FIRST`, and each other one is validated by a training on
    all that came before it, as scikit-learn's TimeSeriesSplit does. Rows of one time stay together.

    name: of the data, for messages. times: [n] of any unit. Raises `DataError` for too few different times.
    """
    distinct, place, counts = np.unique(times, return_inverse=True, return_counts=True)
    before = np.cumsum(counts) - counts  # rows that are earlier than each time
    end = (1 - test_fraction) * len(times)
    tested = before >= end if test_fraction else np.zeros(len(distinct), dtype=bool)
    if test_fraction and not tested.any():
        tested[-1] = True
    block = np.minimum((before * (folds + 1) / max(1, counts[~tested].sum())).astype(np.int64), folds)
    found = np.unique(block[~tested])
    if len(found) != folds + 1:
        raise DataError(
            f"{name}: {len(distinct)} different times are too few, or too uneven, for {folds} folds in their order "
            "and a test set; use fewer folds"
        )
    fold = np.where(tested, -1, np.where(block == 0, FIRST, block - 1))
    return np.asarray(fold[place], dtype=np.int64)
