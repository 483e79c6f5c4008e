"""Strata: what test set and folds are to hold in equal shares."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from automl.data.dataset import Dataset


@dataclass(frozen=True, eq=False)
class Strata:
    """`of` int64 [n]: the stratum of each sample, from 0. `classes`: their names where each must be in every fold's
    training part; nothing where a fold can do without.
    """

    of: NDArray[np.int64]
    classes: tuple[str, ...] = ()

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self.classes) or int(self.of.max()) + 1

    def lacking(self, samples: NDArray[np.int64] | NDArray[np.bool_]) -> str | None:
        """A class that none of these samples has, which somebody trained on them could not learn; None: there is none.

        samples: their numbers, or a mask [n].
        """
        held = np.bincount(self.of[samples], minlength=self.count)
        return self.classes[int(held.argmin())] if self.classes and (held == 0).any() else None


def strata_of(dataset: Dataset) -> Strata:
    """The classes of a classification; the samples of a regression are one stratum."""
    if dataset.task == "classification":
        return Strata(dataset.y, dataset.classes)
    return Strata(np.zeros(len(dataset), dtype=np.int64))
