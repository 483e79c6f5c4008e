"""The cut into test set and training part, and the K folds. Made once per run, before anything else, and stored.

Samples that belong together (one group, or identical images) form a unit, and only whole units are dealt out. Without
groups scikit-learn's splitters deal out one representative per unit. With groups a greedy assignment in the manner of
`StratifiedGroupKFold` does: largest unit first, each to the part where the class shares stay closest to their target.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from automl.data.atomic import write_atomic
from automl.data.dataset import Dataset
from automl.data.npz import read_arrays
from automl.data.strata import Strata, assign, merge_small, strata_of
from automl.data.time_order import FIRST, forward_folds
from automl.data.units import units_of
from automl.errors import DataError, RunError, SettingsError
from automl.open_file import open_file

Indices = NDArray[np.int64]

MOST_COUNTS = 500_000_000  # of a class in a unit, 8 bytes each: 1,000 classes of 500,000 samples
ATTEMPTS = 10  # at dealing groups out anew


@dataclass(frozen=True, eq=False)
class Splits:
    """`fold`: int64 [n], the validation fold 0..K-1 of each sample of the training part, -1 for the test set.

    Of rows in the order of time (`automl.data.time_order`) the earliest have `FIRST`; a fold trains on earlier ones.
    """

    fold: Indices

    @property
    def folds(self) -> int:
        """K, the number of folds."""
        return int(self.fold.max()) + 1

    @property
    def test(self) -> Indices:
        """Indices of the test set: samples that no trial ever sees."""
        return np.flatnonzero(self.fold == -1)

    @property
    def training_part(self) -> Indices:
        """Indices of everything but the test set."""
        return np.flatnonzero(self.fold != -1)

    def fingerprint(self) -> str:
        """The SHA-256 of the dealing, in hexadecimal: equal splits have the same one."""
        return hashlib.sha256(np.ascontiguousarray(self.fold, dtype="<i8").tobytes()).hexdigest()

    def train(self, fold: int) -> Indices:
        """Indices of the samples that fold number `fold` (from 0) trains on."""
        if (self.fold == FIRST).any():
            return np.flatnonzero((self.fold == FIRST) | ((self.fold >= 0) & (self.fold < fold)))
        return np.flatnonzero((self.fold != -1) & (self.fold != fold))

    def validation(self, fold: int) -> Indices:
        """Indices of the samples that fold number `fold` (from 0) is validated on."""
        return np.flatnonzero(self.fold == fold)


def make_splits(dataset: Dataset, *, folds: int, test_fraction: float = 0.2, seed: int) -> Splits:
    """Cuts off the test set and deals the rest into `folds` folds; the same seed gives the same splits.

    Classification is stratified, labels as `automl.data.strata` says. Groups, and identical images, stay in one fold
    and on one side of the cut; a test set set apart by the source is taken as it is, and so are its folds.
    `test_fraction` 0 makes no test set.
    Raises `SettingsError` for folds < 2 or a fraction outside [0, 1); `DataError` when a class or the number of groups
    is too small, naming it and the largest K possible, or when a group stands on both sides of a given cut.
    """
    if folds < 2:
        raise SettingsError(f"folds must be at least 2, not {folds}")
    if not 0 <= test_fraction < 1:
        raise SettingsError(f"test_fraction must be at least 0 and below 1, not {test_fraction:g}")
    if dataset.times is not None:
        return _in_order_of_time(dataset, folds, test_fraction)
    rng = np.random.default_rng(seed)
    units, strata = units_of(dataset), strata_of(dataset, folds)
    counts = _counts(dataset, strata, units)
    if dataset.test is None:
        _check_size(dataset, strata, counts, folds)
        in_test = _cut(dataset, strata, counts, folds, test_fraction, rng)[units]
    else:
        in_test = dataset.test
        _check_given_cut(dataset)
    if dataset.folds is not None:
        return _given_folds(dataset, strata, in_test, folds)
    return _deal_training_part(dataset, strata, np.flatnonzero(~in_test), units, folds, rng)


def deal_again(dataset: Dataset, splits: Splits, *, seed: int) -> Splits:
    """Fresh folds of the same training part, for repeated cross-validation; the test set stays what it is.

    As many folds as before, and the same rules. Raises `DataError` when the groups can hardly be dealt otherwise.
    """
    if dataset.folds is not None:
        raise DataError(f"{dataset.name} brings its own folds, and there are no others")
    if dataset.times is not None:
        raise DataError("rows in the order of time can be dealt in one way only")
    rng = np.random.default_rng(seed)
    units, strata = units_of(dataset), strata_of(dataset, splits.folds)
    for attempt in range(ATTEMPTS):
        try:
            # Strictly by size, groups of different sizes would fall as they fell before.
            return _deal_training_part(dataset, strata, splits.training_part, units, splits.folds, rng, shuffled=0.5)
        except DataError:
            if attempt == ATTEMPTS - 1:
                raise
    raise AssertionError


def _in_order_of_time(dataset: Dataset, folds: int, test_fraction: float) -> Splits:
    """Raises `DataError` where a fold would have to predict a class that was not there before."""
    assert dataset.times is not None
    splits = Splits(forward_folds(dataset.name, dataset.times, folds, test_fraction))
    if (lacking := strata_of(dataset, folds).lacking(splits.fold == FIRST)) is not None:
        raise DataError(
            f"{dataset.name}: class '{lacking}' is not among the earliest rows, on which the first of {folds} folds is "
            "trained; use fewer folds, or leave out what is before it"
        )
    return splits


def _given_folds(dataset: Dataset, strata: Strata, in_test: NDArray[np.bool_], folds: int) -> Splits:
    """The data's own folds as they are. Raises `DataError` where they are not `folds`, or one is of no use."""
    assert dataset.folds is not None
    fold = np.where(in_test, -1, dataset.folds)
    if (found := int(fold.max()) + 1) != folds:
        raise DataError(f"{dataset.name}: the data have {found} folds of their own, not {folds}; leave --folds out")
    _check_folds(dataset, strata, fold, folds)
    return Splits(fold)


def _deal_training_part(
    dataset: Dataset,
    strata: Strata,
    training: Indices,
    units: Indices,
    folds: int,
    rng: np.random.Generator,
    shuffled: float = 0.0,
) -> Splits:
    fold = np.full(len(dataset), -1, dtype=np.int64)
    # Renumbered from 0 over the training part: images with a copy in a given test set stay where the source put them.
    _, inner = np.unique(units[training], return_inverse=True)
    counts = _counts(dataset, strata, inner, training)
    _check_size(dataset, strata, counts, folds)
    fold[training] = _deal(dataset, counts, folds, rng, shuffled)[inner]
    _check_folds(dataset, strata, fold, folds)
    return Splits(fold)


def _counts(dataset: Dataset, strata: Strata, units: Indices, samples: Indices | None = None) -> Indices:
    """int64 [units, strata]: how many samples of each stratum a unit holds.

    Raises `DataError` for more classes than can be counted so.
    """
    y = strata.of if samples is None else strata.of[samples]
    width = strata.count
    height = int(units.max()) + 1
    if height * width > MOST_COUNTS:
        raise DataError(
            f"{dataset.name}: {width:,} classes for {len(dataset):,} samples are too many: is this column an "
            "identifier, or are its values numbers (--task regression)?"
        )
    return np.bincount(units * width + y, minlength=height * width).reshape(height, width)


def _check_size(dataset: Dataset, strata: Strata, counts: Indices, folds: int) -> None:
    """Every class must reach every fold, so it needs at least K units."""
    what = "groups" if dataset.groups is not None else "distinct samples"
    if len(counts) < folds:
        hint = f"; use at most {len(counts)} folds" if len(counts) >= 2 else ""
        raise DataError(f"{dataset.name}: {len(counts)} {what} are too few for {folds} folds{hint}")
    if not strata.classes:
        return
    if dataset.groups is not None:
        holding = (counts > 0).sum(axis=0)
    else:  # a unit without groups is dealt out as one sample of its commonest class
        holding = np.bincount(counts.argmax(axis=1), minlength=counts.shape[1])
    smallest = int(holding.argmin())
    if holding[smallest] < folds:
        remedy = (
            f"use at most {holding[smallest]} folds, or add to the class"
            if holding[smallest] >= 2
            else "no number of folds is possible: add to the class or remove it"
        )
        raise DataError(
            f"{dataset.name}: class '{strata.classes[smallest]}' has {holding[smallest]} {what} to train on, "
            f"too few for {folds} folds; {remedy}"
        )


def _check_given_cut(dataset: Dataset) -> None:
    if dataset.groups is None or dataset.test is None:
        return
    both = np.intersect1d(dataset.groups[dataset.test], dataset.groups[~dataset.test])
    if len(both):
        where = np.flatnonzero(dataset.groups == both[0])
        raise DataError(
            f"{dataset.name}: {len(both)} groups stand in both the training and the test set (one of them holds "
            f"samples {', '.join(map(str, where[:5]))}); move each to one side"
        )


def _cut(
    dataset: Dataset, strata: Strata, counts: Indices, folds: int, fraction: float, rng: np.random.Generator
) -> NDArray[np.bool_]:
    """bool [units]: the test set. At least K units, where there are classes of each, stay for training."""
    chosen = np.zeros(len(counts), dtype=bool)
    if fraction == 0:
        return chosen
    if dataset.groups is not None:
        kept = counts > 0 if strata.classes else np.ones((len(counts), 1), dtype=bool)
        chosen = assign(counts, np.array([1 - fraction, fraction]), rng, kept, folds) == 1
    else:
        label = counts.argmax(axis=1)
        for value in range(counts.shape[1]):
            members = rng.permutation(np.flatnonzero(label == value))
            # Not one sample less than K may stay, yet a class should be tested where it can.
            size = min(max(1, round(len(members) * fraction)), len(members) - folds)
            chosen[members[: max(0, size)]] = True
    if not chosen.any():
        what = "groups" if dataset.groups is not None else "samples"
        raise DataError(
            f"{dataset.name}: {len(counts)} {what} are too few for a test set beside {folds} folds; use fewer folds"
        )
    return chosen


def _deal(dataset: Dataset, counts: Indices, folds: int, rng: np.random.Generator, shuffled: float = 0.0) -> Indices:
    """int64 [units]: the fold of each unit."""
    if dataset.groups is not None:
        return assign(counts, np.full(folds, 1 / folds), rng, shuffled=shuffled)
    from sklearn.model_selection import KFold, StratifiedKFold

    splitter: Any = KFold if counts.shape[1] == 1 else StratifiedKFold
    # Strata that are no classes may have fewer units than samples, and scikit-learn wants K of some.
    label = merge_small(counts.argmax(axis=1), folds)
    fold = np.empty(len(counts), dtype=np.int64)
    seed = int(rng.integers(2**31))
    for number, (_, validation) in enumerate(splitter(folds, shuffle=True, random_state=seed).split(label, label)):
        fold[validation] = number
    return fold


def _check_folds(dataset: Dataset, strata: Strata, fold: Indices, folds: int) -> None:
    """Groups of very different sizes can leave a fold empty, or a fold's training data without some class, and so can
    given folds."""
    for number in range(folds):
        if not (fold == number).any():
            raise DataError(f"{dataset.name}: the groups are too uneven for {folds} folds; use fewer folds")
        if (lacking := strata.lacking((fold != -1) & (fold != number))) is not None:
            raise DataError(
                f"{dataset.name}: the groups cannot be dealt into {folds} folds so that class '{lacking}' is trained "
                "on in each; use fewer folds or more groups"
            )


def save_splits(splits: Splits, path: Path) -> None:
    """Writes `splits` to `path` (.npz), whole or not at all."""
    write_atomic(path, lambda file: np.savez_compressed(file, fold=splits.fold))


def load_splits(path: Path) -> Splits:
    """Reads what `save_splits` wrote. Raises `RunError` when the file is missing or damaged."""
    try:
        with open_file(path, owned=True) as file:
            fold = read_arrays(file)["fold"]
        if fold.ndim != 1 or fold.dtype != np.int64 or not len(fold) or fold.min() < FIRST or fold.max() < 1:
            raise ValueError(f"its array 'fold' is {fold.dtype} {fold.shape}")
        dealt = np.unique(fold[fold >= 0])
        if not np.array_equal(dealt, np.arange(len(dealt))):
            raise ValueError(f"its folds are numbered up to {fold.max()}, and there are {len(dealt)}")
    except Exception as error:  # damaged bytes surface as almost anything in zip, zlib and numpy
        raise RunError(f"{path}: the stored splits cannot be read ({error}); the run cannot be resumed") from error
    return Splits(fold)
