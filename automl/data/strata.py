"""Strata: what test set and folds are to hold in equal shares, and how whole groups are dealt out so."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from automl.data.dataset import Dataset

Numbers = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Strata:
    """`of` int64 [n]: the stratum of each sample, from 0. `classes`: their names where each must be in every fold's
    training part; nothing where a fold can do without.
    """

    of: Numbers
    classes: tuple[str, ...] = ()

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self.classes) or int(self.of.max()) + 1

    def lacking(self, samples: Numbers | NDArray[np.bool_]) -> str | None:
        """A class that none of these samples has, which somebody trained on them could not learn; None: there is none.

        samples: their numbers, or a mask [n].
        """
        held = np.bincount(self.of[samples], minlength=self.count)
        return self.classes[int(held.argmin())] if self.classes and (held == 0).any() else None


def strata_of(dataset: Dataset, folds: int) -> Strata:
    """The classes of a classification; combinations of labels, see `by_labels`, each in twice as many samples as there
    are `folds`; the samples of a regression are one stratum.
    """
    if dataset.task == "classification":
        return Strata(dataset.y, dataset.classes)
    if dataset.task == "multilabel":
        return Strata(by_labels(dataset.y, 2 * folds))
    return Strata(np.zeros(len(dataset), dtype=np.int64))


def by_labels(y: Numbers, fewest: int) -> Numbers:
    """[n]: strata of labels [n, labels], each of `fewest` samples at least, or of all.

    A stratum is a combination of labels ('labelsets': Sechidis et al., 2011, 'On the stratification of multi-label
    data'). Samples with a rare one are dealt out by the rarest of their labels, so that this one is spread evenly.
    """
    _, of, counts = np.unique(y, axis=0, return_inverse=True, return_counts=True)
    of = of.reshape(-1)
    rarest = np.where(y == 1, y.sum(axis=0), len(y) + 1).argmin(axis=1)
    by_rarest = len(counts) + np.where(y.any(axis=1), rarest, y.shape[1])
    return merge_small(np.where(counts[of] < fewest, by_rarest, of), fewest)


def merge_small(of: Numbers, fewest: int) -> Numbers:
    """[n]: the strata `of` samples, numbered from 0; those of fewer than `fewest` become part of the largest."""
    _, of, counts = np.unique(of, return_inverse=True, return_counts=True)
    merged: Numbers = np.unique(np.where(counts[of] < fewest, counts.argmax(), of), return_inverse=True)[1]
    return merged


def assign(
    counts: Numbers,
    shares: NDArray[np.float64],
    rng: np.random.Generator,
    kept: NDArray[np.bool_] | None = None,
    keep: int = 0,
    shuffled: float = 0.0,
) -> Numbers:
    """int64 [units]: the part that each unit goes to, so that part p gets about `shares[p]` of every stratum.

    counts: [units, strata], samples of each. kept, keep: part 0 ends with at least `keep` units of each column of
    `kept` [units, columns]. Greedy, largest unit first, ties in random order; each size counts for less by a random
    share of at most `shuffled`.
    """
    order = rng.permutation(len(counts))
    sizes = counts[order].sum(axis=1) * (1 - shuffled * rng.random(len(counts)) if shuffled else 1)
    order = order[np.argsort(-sizes, kind="stable")]
    weight = 1.0 / np.maximum(counts.sum(axis=0), 1)  # a rare class counts as much as a common one
    target = shares[:, None] * np.ones(counts.shape[1])
    filled = np.zeros_like(target)
    kept = np.zeros((len(counts), 0), dtype=bool) if kept is None else kept
    left = kept.sum(axis=0)  # units of each column that part 0 has or can still get
    part = np.zeros(len(counts), dtype=np.int64)
    for unit in order:
        share = counts[unit] * weight
        # Growth of the squared distance to the target, relative to the part's size.
        cost = ((2 * (filled - target) + share) * share).sum(axis=1) / shares
        best = int(cost.argmin())
        if best != 0 and (left[kept[unit]] <= keep).any():
            best = 0
        if best != 0:
            left -= kept[unit]
        filled[best] += share
        part[unit] = best
    return part
