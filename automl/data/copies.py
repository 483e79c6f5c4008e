"""Copies among the samples. A copy of a training sample in the test set is no test, so that copies stay together.

Images are copies where they have the same pixels. Rows of a table are copies where they are equal in all features, with
two exceptions, for which new rows will be equal to old ones as well, so that it is right to find them on both sides of
a split. Columns of few values make rows equal: of 100,000 rows of three categories with five values each, nearly all
(`is_explained`). And rows whose answers differ about as those of any two rows do were not copied: computers of one make
that were sold at several prices.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from automl.data.mapped import release

if TYPE_CHECKING:
    from automl.data.dataset import Dataset

Indices = NDArray[np.int64]

EXCESS = 10
"""Rows are equal by chance where at most so many times more pairs are than with independent columns; real ones are not
independent."""

COMMON = 0.05
"""A combination of features that so large a share of the rows has is a common one, not a row that was copied."""

OTHER = 0.5
"""Rows with equal features were not copied where their answers differ at least so often, relative to any two rows."""

_FEW = 20  # copies of one row are believed in small tables too
_CHUNK = 4096  # samples looked at at a time, so that a memory-mapped array is never copied as a whole
_SHOWN = 5  # how many culprits a note lists by name


def first_equal(x: NDArray[Any]) -> Indices:
    """int64 [n]: for each sample the index of the first one that is equal to it, byte by byte; `x` is [n, ...].

    Equal samples have equal weighted sums of their 8-byte words, modulo 2**64. That is ten times quicker than a hash;
    what has the sum of an earlier sample is compared with it.
    """
    rows = x.reshape(len(x), math.prod(x.shape[1:]))
    _, first, inverse = np.unique(_sums(rows), return_index=True, return_inverse=True)
    found: Indices = first[inverse]
    suspects = np.flatnonzero(found != np.arange(len(x)))
    others: dict[bytes, int] = {}
    for start in range(0, len(suspects), _CHUNK):
        part = suspects[start : start + _CHUNK]
        mine, theirs = _bytes(rows[part]), _bytes(rows[found[part]])
        for place in np.flatnonzero((mine != theirs).any(axis=1)):  # the same sum by accident
            found[part[place]] = others.setdefault(mine[place].tobytes(), int(part[place]))
    return found


class Equal(NamedTuple):
    """Which samples are equal.

    twins: int64 [n], for each the index of the first one that it is a copy of, or its own. few, other: how many samples
    are equal to an earlier one and no copy for all that, as few values make them so, or as their answers differ.
    """

    twins: Indices
    few: int = 0
    other: int = 0


def find_equal(x: NDArray[Any], y: NDArray[Any], widths: Sequence[int] | None) -> Equal:
    """The copies among samples `x` [n, ...] with answers `y` [n] or [n, outputs].

    widths: of a table, how many columns of `x` [n, columns] each of its features has; None for images.
    """
    equal, alone = first_equal(x), np.arange(len(x), dtype=np.int64)
    repeats = int((equal != alone).sum())
    if widths is None or not repeats:
        return Equal(equal)
    if is_explained(x, widths, pairs := _pairs(equal)):
        return Equal(alone, few=repeats)
    common = np.bincount(equal, minlength=len(x)) > max(COMMON * len(x), _FEW)
    twins = np.where(common[equal], alone, equal)
    few, pairs = int((twins != equal).sum()), _pairs(twins)
    answers = first_equal(y)
    alike = first_equal(np.stack([twins, answers], axis=1))
    by_chance = _collision(answers)
    if pairs == 0 or 1 - _pairs(alike) / pairs < OTHER * (1 - by_chance):
        return Equal(twins, few)
    # The answers too are equal by chance where they are classes, but not where they are numbers.
    copies = alike if by_chance < COMMON else alone
    return Equal(copies, few, int((twins != alone).sum() - (copies != alone).sum()))


def is_explained(x: NDArray[Any], widths: Sequence[int], pairs: float) -> bool:
    """Whether features have so few values that so many pairs of equal rows must be expected.

    With independent features, the chance that two rows are equal is the product of the chances that they are equal in
    one feature. With it goes the number of equal pairs that is expected.
    """
    expected = EXCESS * len(x) * (len(x) - 1) / 2
    end = 0
    for width in widths:
        start, end = end, end + width
        if width:
            expected *= _collision(first_equal(x[:, start:end]))
        if expected < pairs:
            return False
    return True


def _pairs(equal: Indices) -> float:
    """How many pairs of samples are equal."""
    sizes = np.bincount(equal).astype(np.float64)
    return float((sizes * (sizes - 1)).sum()) / 2


def _collision(equal: Indices) -> float:
    """The chance that two samples are equal: the sum of the values' squared frequencies."""
    return float(((np.bincount(equal) / len(equal)) ** 2).sum())


def notes_on(dataset: Dataset, equal: Equal) -> tuple[str, ...]:
    """What has to be said about copies: how many, under two labels, in the given test set; and about mere repeats."""
    notes = []
    kind = "images" if dataset.kind == "image" else "rows"
    for count, why in (
        (equal.few, "as few or rounded values make them"),
        (equal.other, "but mostly have other answers"),
    ):
        if count:
            notes.append(
                f"{count:,} of {len(dataset):,} rows are equal to an earlier one in all features, {why}: they count as "
                "observations of their own. If they are copies, remove them."
            )
    copies = np.flatnonzero(dataset.twins != np.arange(len(dataset)))
    if not len(copies):
        return tuple(notes)
    alike = "" if kind == "images" else " in all features"
    notes.append(
        f"{len(copies):,} of {len(dataset):,} {kind} are copies of another one{alike}; copies stay in one fold."
    )
    notes += _torn(dataset, copies, kind)
    if dataset.test is not None:
        # Twins point to the first copy only, so compare the sides over whole sets of copies.
        in_training = np.zeros(len(dataset), dtype=bool)
        in_training[dataset.twins[~dataset.test]] = True
        leaked = int((in_training[dataset.twins] & dataset.test).sum())
        if leaked:
            notes.append(f"{leaked:,} {kind} of the given test set are also in the training set: its score flatters.")
    return tuple(notes)


def _torn(dataset: Dataset, copies: Indices, kind: str) -> list[str]:
    """On copies whose answer is another one than the original's."""
    originals = dataset.twins[copies]
    differs = (dataset.y[copies] != dataset.y[originals]).reshape(len(copies), -1).any(axis=1)
    torn = copies[differs]
    if not len(torn):
        return []
    if dataset.task != "classification":
        return [f"{len(torn):,} copies have another answer than the first of their kind."]

    def name(index: int) -> str:
        return f"{dataset.name_of(index)} ('{dataset.classes[dataset.y[index]]}')"

    shown = "; ".join(f"{name(int(dataset.twins[i]))} = {name(int(i))}" for i in torn[:_SHOWN])
    return [f"{len(torn):,} {kind} stand under two labels: {shown}{'; ...' if len(torn) > _SHOWN else ''}."]


def _sums(rows: NDArray[Any]) -> NDArray[np.uint64]:
    """uint64 [n]: the weighted sum of the words of each row."""
    size = rows.shape[1] * rows.dtype.itemsize
    weights = np.random.default_rng(0).integers(2**63, size=-(-size // 8), dtype=np.uint64) * 2 + 1
    sums = np.zeros(len(rows), dtype=np.uint64)
    for start in range(0, len(rows), _CHUNK):
        part = _bytes(rows[start : start + _CHUNK])
        if size % 8:
            part = np.pad(part, ((0, 0), (0, -size % 8)))
        sums[start : start + _CHUNK] = part.view(np.uint64) @ weights
        release(rows)
    return sums


def _bytes(rows: NDArray[Any]) -> NDArray[np.uint8]:
    """uint8 [n, bytes]; minus zero is zero, and a missing number is as good as another."""
    rows = np.ascontiguousarray(rows)
    if rows.dtype.kind == "f":
        rows = np.where(np.isnan(rows), np.nan, rows + 0).astype(rows.dtype)
    return rows.view(np.uint8).reshape(len(rows), -1)
