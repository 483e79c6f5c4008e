"""Copies among the samples. A copy of a training sample in the test set is no test, so that copies stay together.

Images are copies where they have the same pixels. Rows of a table are copies where they are equal in all features,
unless columns of few values bring that about: of 100,000 rows of three categories with five values each, nearly all are
equal to others. They are observations of their own, and new ones will be equal to them as well, so that it is right to
find them on both sides of a split. `is_explained` draws the line. The answers do not count: rows with equal features
and different answers are mostly one thing that was measured or judged several times, and belong together as well.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from automl.data.dataset import Dataset

Indices = NDArray[np.int64]

EXCESS = 10
"""Rows are equal by chance where at most so many times more pairs are than with independent columns; real ones are not
independent."""

COMMON = 0.05
"""A combination of features that so large a share of the rows has is a common one, not a row that was copied."""

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


def twins_of(x: NDArray[Any], widths: Sequence[int] | None) -> tuple[Indices, int]:
    """int64 [n]: for each sample the index of the first one that it is a copy of, or its own; and how many samples are
    equal to an earlier one but count as no copy.

    widths: of a table, how many columns of `x` [n, columns] each of its features has; None for images.
    """
    equal = first_equal(x)
    alone = np.arange(len(x), dtype=np.int64)
    repeats = int((equal != alone).sum())
    if widths is None or not repeats:
        return equal, 0
    sizes = np.bincount(equal, minlength=len(x))
    if is_explained(x, widths, sizes):
        return alone, repeats
    twins = np.where(sizes[equal] > max(COMMON * len(x), _FEW), alone, equal)
    return twins, int((twins != equal).sum())


def is_explained(x: NDArray[Any], widths: Sequence[int], sizes: Indices) -> bool:
    """Whether features have so few values that rows must be expected to be equal. `sizes`: those of the equal sets.

    With independent features, the chance that two rows are equal is the product of the chances that they are equal in
    one feature: the sum of its values' squared frequencies. With it goes the number of equal pairs that is expected.
    """
    pairs = float((sizes * (sizes - 1)).sum()) / 2
    expected = EXCESS * len(x) * (len(x) - 1) / 2
    end = 0
    for width in widths:
        start, end = end, end + width
        if width:
            shares = np.bincount(first_equal(x[:, start:end])) / len(x)
            expected *= float((shares**2).sum())
        if expected < pairs:
            return False
    return True


def notes_on(dataset: Dataset, repeats: int, sample_name: Callable[[int], str]) -> tuple[str, ...]:
    """What has to be said about copies: how many, under two labels, in the given test set; and about mere repeats."""
    notes = []
    kind = "images" if dataset.kind == "image" else "rows"
    if repeats:
        notes.append(
            f"{repeats:,} of {len(dataset):,} rows are equal to an earlier one in all features, as few or rounded "
            "values make them: they count as observations of their own. If they are copies, remove them."
        )
    copies = np.flatnonzero(dataset.twins != np.arange(len(dataset)))
    if not len(copies):
        return tuple(notes)
    alike = "" if kind == "images" else " in all features"
    notes.append(
        f"{len(copies):,} of {len(dataset):,} {kind} are copies of another one{alike}; copies stay in one fold."
    )
    notes += _torn(dataset, copies, kind, sample_name)
    if dataset.test is not None:
        # Twins point to the first copy only, so compare the sides over whole sets of copies.
        in_training = np.zeros(len(dataset), dtype=bool)
        in_training[dataset.twins[~dataset.test]] = True
        leaked = int((in_training[dataset.twins] & dataset.test).sum())
        if leaked:
            notes.append(f"{leaked:,} {kind} of the given test set are also in the training set: its score flatters.")
    return tuple(notes)


def _torn(dataset: Dataset, copies: Indices, kind: str, sample_name: Callable[[int], str]) -> list[str]:
    """On copies whose answer is another one than the original's."""
    originals = dataset.twins[copies]
    differs = (dataset.y[copies] != dataset.y[originals]).reshape(len(copies), -1).any(axis=1)
    torn = copies[differs]
    if not len(torn):
        return []
    if dataset.task == "regression":
        return [f"{len(torn):,} copies have another answer than the first of their kind."]

    def name(index: int) -> str:
        return f"{sample_name(index)} ('{dataset.classes[dataset.y[index]]}')"

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
    return sums


def _bytes(rows: NDArray[Any]) -> NDArray[np.uint8]:
    """uint8 [n, bytes]; minus zero is zero."""
    rows = np.ascontiguousarray(rows)
    return (rows + 0 if rows.dtype.kind == "f" else rows).view(np.uint8).reshape(len(rows), -1)
