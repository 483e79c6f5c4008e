"""Means over folds, and how far they may be off: folds share training samples, so they are not independent."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def standard_error(values: Sequence[float], folds: int) -> float:
    """Of the mean of one value a fold, over one K-fold cross-validation or repeated ones; K is `folds`.

    s^2 (1/n + 1/(K - 1)) for n folds: Nadeau and Bengio (2003, 'Inference for the generalization error'), where
    1/(K - 1) is the size of a validation part relative to its training part. Two values at least.
    """
    return float(np.std(values, ddof=1) * np.sqrt(1 / len(values) + 1 / (folds - 1)))


def mean_error(values: Sequence[float], folds: int, level: float) -> float:
    """Half the width of the mean's interval at this `level`: Student's quantile times the standard error."""
    from scipy.special import stdtrit

    return float(stdtrit(len(values) - 1, (1 + level) / 2)) * standard_error(values, folds)
