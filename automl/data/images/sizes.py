"""The size that photos are brought to where the user names none, from the headers of some of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from automl.data.images.decode import Size, read, read_header
from automl.errors import BadImage

SIDES = (32, 48, 64, 96, 128, 160, 192, 224)
"""Networks shrink by halves: multiples of 16 waste nothing, and pretrained ones were trained at 224."""

_LARGE = 256  # images of one size with a shorter side up to this stay as they are

_SMALL = 64 * 64  # pixels
_HEADERS = 1_000  # files whose headers are read
_PROBES = 32  # files that are decoded where the headers leave open whether they are grey
_COLOUR = ("RGB", "RGBA", "CMYK", "YCbCr", "LAB", "HSV", "RGBX")

_CPU, _CUDA = 250e6, 10e9  # pixels of all photos together: 5,000 and 200,000 of 224 x 224
_CPU_SPEED = 0.4e6  # pixels for each second of a timeout: a pretrained network sees all photos in a fifth of it


def affordable_pixels(device: str, timeout: float | None) -> float:
    """Pixels of all photos together that a search on `device` (`cpu`, `cuda:0`) has the time for.

    `timeout` is in seconds; None for a search without one.
    """
    if not device.startswith("cpu"):
        return _CUDA
    return _CPU if timeout is None else min(_CPU, timeout * _CPU_SPEED)


def choose_side(shorter: Sequence[int], photos: int, affordable: float = math.inf) -> int:
    """One of `SIDES`: the nearest to the median of the photos' `shorter` sides, but one that is `affordable`.

    `affordable` is the number of pixels that all `photos` may have together.

    >>> choose_side([375, 333, 500], photos=245)
    224
    >>> choose_side([375, 333, 500], photos=20_000, affordable=250e6)
    96
    """
    middle = float(np.median(shorter))
    wanted = min(SIDES, key=lambda side: abs(math.log(side / middle)))
    fitting = [side for side in SIDES if side <= wanted and photos * side**2 <= affordable]
    return fitting[-1] if fitting else SIDES[0]


@dataclass(frozen=True)
class Sample:
    """Some files of a data set, evenly spread, by their headers: the `paths`, and `sizes` and `modes` of the usable."""

    paths: list[str]
    sizes: list[Size]
    modes: list[str]

    @property
    def uniform(self) -> bool:
        """Whether all have one size, and one that a network can be given as it is."""
        return not self.sizes or (len(set(self.sizes)) == 1 and min(self.sizes[0]) <= _LARGE)

    @property
    def small(self) -> bool:
        """Whether they are thumbnails."""
        return not self.sizes or float(np.median([height * width for height, width in self.sizes])) < _SMALL

    def size(self, photos: int, affordable: float) -> Size:
        """The size to bring all `photos` to: their own where they are uniform, else the square of `choose_side`."""
        if self.uniform:
            return self.sizes[0] if self.sizes else (1, 1)
        side = choose_side([min(size) for size in self.sizes], photos, affordable)
        return side, side

    def colour(self) -> bool:
        """Whether one of them is in colour. Reads files where the headers do not tell, as of palettes."""
        if any(mode in _COLOUR for mode in self.modes):
            return True
        return any(_is_coloured(path) for path in _spread(self.paths, _PROBES))


def look_at(paths: Sequence[str]) -> Sample:
    """The headers of at most a thousand of the files; those that are no images are passed over."""
    chosen = _spread(paths, _HEADERS)
    found = []
    for path in chosen:
        try:
            found.append(read_header(path))
        except BadImage:
            continue
    return Sample(chosen, [size for size, _ in found], [mode for _, mode in found])


def _spread(paths: Sequence[str], most: int) -> list[str]:
    return list(paths[:: math.ceil(len(paths) / most) or 1])


def _is_coloured(path: str) -> bool:
    try:
        return read(path)[0].mode == "RGB"
    except BadImage:
        return False
