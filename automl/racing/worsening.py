"""Whether a curve has clearly worsened since its best, and the epoch of it that counts.

A validation curve is noisy, so its lowest epoch is mostly a lucky one. Averages of three epochs in a row are compared
instead, and a rise counts only when it is more than the noise from epoch to epoch explains.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

WINDOW = 3  # epochs
TOLERANCE = 0.05  # of the lowest average
NOISE = 2.0  # standard deviations


def averages(curve: Array) -> Array:
    """[epoch - 2]: the means of three epochs in a row; entry i is centred on epoch i + 2, counted from 1."""
    return np.convolve(curve, np.full(WINDOW, 1 / WINDOW), "valid") if curve.size >= WINDOW else np.empty(0)


def noise(curve: Array) -> float:
    """The standard deviation of a curve's noise from epoch to epoch, by its second differences.

    A steady trend has none. Of independent noise their variance is 6 times its own; the median keeps out the steep
    start of a training (1.4826 median|x| is the standard deviation of a normal x).
    """
    if curve.size < WINDOW:
        return 0.0
    return float(1.4826 * np.median(np.abs(np.diff(curve, n=2))) / np.sqrt(6))


def worsened_for(errors: Array, tolerance: float = TOLERANCE, noises: float = NOISE) -> int:
    """In how many of the last epochs, without a break, the curve has been clearly above its best; 0: it is not.

    That is: the average that ends there lies above the lowest average by more than `tolerance` of that, and by more
    than `noises` times the noise. `errors` [epoch] are distances from a perfect score, as `Objective.error` has them.
    """
    found = averages(errors)
    if not found.size:
        return 0
    lowest = float(found.min())
    if found[-1] <= (1 + tolerance) * lowest:
        return 0  # mostly, and soon said
    above = found > lowest + max(tolerance * lowest, noises * noise(errors))
    return int(above[::-1].cumprod().sum())


def best_average(errors: Array) -> int:
    """The epoch (from 1) on which the lowest average of three is centred; of fewer epochs the last. 0: none at all."""
    found = averages(errors)
    return int(found.argmin()) + 2 if found.size else errors.size


def epoch_that_counts(errors: Array) -> int:
    """The last epoch (from 1), or that of the lowest average where the curve has clearly worsened since. 0: none."""
    return best_average(errors) if worsened_for(errors) else errors.size
