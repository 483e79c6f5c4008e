"""The ladder: the rungs (epochs, folds) that a trial climbs. Cheap rungs see one fold, only survivors earn all K."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass

from automl.errors import SettingsError

LENGTHS = 5


@dataclass(frozen=True)
class Rung:
    """A budget: `folds` folds trained for `epochs` epochs each."""

    epochs: int
    folds: int

    def __str__(self) -> str:
        return f"{self.epochs}x{self.folds}"


Ladder = tuple[Rung, ...]


def first_full_length(ladder: Ladder) -> int:
    """The number of the lowest rung with all epochs: from there on only folds are added. 0 of no rungs."""
    return next((number for number, rung in enumerate(ladder) if rung.epochs == ladder[-1].epochs), 0)


def make_ladder(epochs: int, folds: int) -> Ladder:
    """The default ladder: five lengths, geometric from 1 to `epochs`, on 1, 1, 1, 2, 2 folds; then all K folds.

    With so few `epochs` that lengths coincide there are fewer rungs, on 1, ..., 1, 2, K folds.

    >>> [str(rung) for rung in make_ladder(20, 5)]
    ['1x1', '2x1', '4x1', '9x2', '20x2', '20x5']
    """
    lengths = sorted({round(epochs ** (i / (LENGTHS - 1))) for i in range(LENGTHS)})
    *short, last = lengths
    rungs = [Rung(length, min(folds, 2) if length == short[-1] else 1) for length in short]
    if len(lengths) == LENGTHS:
        rungs.append(Rung(last, min(folds, 2)))
    return tuple(dict.fromkeys([*rungs, Rung(last, folds)]))


def parse_ladder(text: str, epochs: int, folds: int) -> Ladder:
    """The ladder written as `1x1,3x1,9x2,27x5` (epochs x folds). Its last rung must be `epochs` x `folds`.

    Raises `SettingsError` when it cannot be read, does not climb, or does not end at the full budget.
    """
    rungs = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d{1,9})\s*x\s*(\d{1,9})\s*", part)
        if not match or "0" in (match[1].lstrip("0") or "0", match[2].lstrip("0") or "0"):
            raise SettingsError(f"--ladder {text}: '{part.strip()}' is not EPOCHSxFOLDS, as in 1x1,3x1,9x2,27x5")
        rungs.append(Rung(int(match[1]), int(match[2])))
    for lower, upper in itertools.pairwise(rungs):
        if upper.epochs < lower.epochs or upper.folds < lower.folds or upper == lower:
            raise SettingsError(f"--ladder {text}: rung {upper} does not lie above {lower}; neither may shrink")
    if rungs[-1] != Rung(epochs, folds):
        raise SettingsError(
            f"--ladder {text}: the last rung is {rungs[-1]} but --epochs and --folds say {epochs}x{folds}"
        )
    return tuple(rungs)
