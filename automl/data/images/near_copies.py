"""Near copies: photos that look the same and are not equal, such as one file saved twice with another quality.

What differs from `automl.data.copies` is found by a difference hash (Krawetz, 2013, 'Kind of like that'): whether each
of 8 x 9 grey cells is brighter than the one to its left. It hardly changes with size, brightness or compression. Plain
backgrounds make hashes equal too, so that a correlation of small grey pictures has to agree.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

SMALLEST = 32  # pixels of the shorter side; smaller pictures, such as digits, look alike without being copies
BITS = (
    8  # of 64 in which hashes may differ; copies that were resized and compressed had 0 to 5, other photos 12 or more
)
CORRELATION = 0.97
CELLS = 16  # of a side of the small grey pictures
ENOUGH = 64  # pixels of a side that are looked at, or up to twice as many
GREY = (0.299, 0.587, 0.114)  # ITU-R BT.601
_ROWS = 1_024  # hashes compared at a time


class Looks(NamedTuple):
    """What photos look like: `hashes` int8 [n, 64] of -1 and 1, `greys` float32 [n, CELLS^2] of mean 0 and length 1."""

    hashes: NDArray[np.int8]
    greys: NDArray[np.float32]


class Pair(NamedTuple):
    """The places of two photos that look the same, and in how many bits of 64 their hashes differ."""

    first: int
    second: int
    bits: int


@torch.no_grad()
def looks_of(batches: Iterable[Tensor]) -> Looks:
    """The looks of images [b, c, h, w] of values 0..255, batch by batch."""
    hashes, greys = [np.empty((0, 64), dtype=np.int8)], [np.empty((0, CELLS**2), dtype=np.float32)]
    for images in batches:
        grey = _grey(images)
        cells = F.interpolate(grey, (8, 9), mode="area")[:, 0]
        brighter = cells[:, :, 1:] > cells[:, :, :-1]
        hashes.append((2 * brighter.flatten(1).to(torch.int8) - 1).cpu().numpy())
        small = F.interpolate(grey, (CELLS, CELLS), mode="area").flatten(1)
        greys.append(F.normalize(small - small.mean(1, keepdim=True), dim=1).cpu().numpy())
    return Looks(np.concatenate(hashes), np.concatenate(greys))


def find_pairs(first: Looks, second: Looks) -> list[Pair]:
    """For each of the `first` that looks like one of the `second` the most similar one, the best pairs first.

    However many look alike, a block of 1,024 by all of the `second` takes the memory.
    """
    found: list[Pair] = []
    theirs = second.hashes.astype(np.float32)
    for start in range(0, len(first.hashes) if len(theirs) else 0, _ROWS):
        rows = slice(start, start + _ROWS)
        bits = (64 - first.hashes[rows].astype(np.float32) @ theirs.T) / 2
        alike = first.greys[rows] @ second.greys.T
        # Fewer bits are nearer; of as many, what correlates more.
        distance = np.where((bits <= BITS) & (alike >= CORRELATION), bits + 1 - alike, np.inf)
        nearest = distance.argmin(axis=1)
        for row in np.flatnonzero(np.isfinite(distance.min(axis=1))).tolist():
            column = int(nearest[row])
            found.append(Pair(start + row, column, int(bits[row, column])))
    return sorted(found, key=lambda pair: pair.bits)


def _grey(images: Tensor) -> Tensor:
    """[b, 1, h, w] in float32; of large images every second, third, ... pixel, which their cells do not miss."""
    step = max(1, min(images.shape[2:]) // ENOUGH)
    images = images[:, :, ::step, ::step].to(torch.float32)
    if images.shape[1] != 3:
        return images.mean(1, keepdim=True)
    return (images * images.new_tensor(GREY).view(1, 3, 1, 1)).sum(1, keepdim=True)
