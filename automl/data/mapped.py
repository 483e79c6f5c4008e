"""Arrays in files that are larger than memory: pages that were looked at are given back."""

from __future__ import annotations

import mmap
from typing import Any

import numpy as np
from numpy.typing import NDArray

BIG = 1 << 30
"""Bytes of pixels from which on they are decoded into a file and never held in memory as a whole."""


def mapping_of(array: NDArray[Any]) -> mmap.mmap | None:
    """The mapping of the file that an array, or what it is a view of, lies in; None for one in memory."""
    base: Any = array
    while base is not None:
        found = getattr(base, "_mmap", None)
        if found is not None:
            return found  # type: ignore[no-any-return]
        base = base.base if isinstance(base, np.ndarray) else None
    return None


def release(array: NDArray[Any]) -> None:
    """Takes the pages of a big mapped array out of this process; what was written stays, and is read again when needed.

    They would count as its memory until the machine runs short. Does nothing to other arrays.
    """
    mapping = mapping_of(array) if array.nbytes >= BIG else None
    if mapping is not None and hasattr(mmap, "MADV_DONTNEED"):
        mapping.madvise(mmap.MADV_DONTNEED)
