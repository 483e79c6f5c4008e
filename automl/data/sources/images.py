"""A folder of images as a `Dataset`: a sub-folder per class, under `train/` and `test/` where these are there."""

from __future__ import annotations

import hashlib
import math
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from automl.data import mapped
from automl.data.conversion import Pixels
from automl.data.copies import Equal, first_equal
from automl.data.dataset import Dataset, complete
from automl.data.images.decode import Decoded, Size, bad_files, decode_all, decode_files, printable
from automl.data.images.folders import Found, find_images
from automl.data.images.sizes import Sample, look_at
from automl.data.keys import normal_key, number_keys
from automl.data.sources import cache
from automl.data.tables.csv_files import read_csv
from automl.data.understood import Understood, extent
from automl.errors import DataError

__all__ = ["decode_files", "load_folder"]

_CACHE_FORMAT = 5  # raise it when decoding gives other pixels or facts than before
_ROWS = 1_024  # images moved or hashed at a time


@dataclass(frozen=True)
class Reading:
    """How image files are read.

    image_size: the side of the square that all are brought to; by default images of one size stay as they are, unless
    they are large, and for others `choose_side` is asked. affordable: pixels that all may have together then.
    skip_bad: leave out unusable files. follow_links: allow links out of the data's folder.
    """

    image_size: int | None = None
    skip_bad: bool = False
    follow_links: bool = False
    affordable: float = math.inf


class Read(NamedTuple):
    """Images that were read: uint8 [m, c, h, w] of the files `kept` [m], what has to be said, phrases on their sizes,
    and the side that they were brought to where the data chose it."""

    pixels: NDArray[Any]
    kept: NDArray[np.int64]
    notes: list[str]
    details: tuple[str, ...]
    image_size: int | None
    digest: str = ""
    copies: Sequence[Sequence[int]] = ()

    def known(self, dataset: Dataset) -> Dataset:
        """The data set of these images with what is known of big ones, which are not read again to find it."""
        if self.digest:
            twins = np.arange(len(dataset), dtype=np.int64)
            for place, first in self.copies:
                twins[place] = first
            dataset.__dict__.update(digest=self.digest, _equal=Equal(twins))
        return dataset


def load_folder(folder: Path, *, groups: Path | None = None, reading: Reading | None = None, **more: Any) -> Dataset:
    """The images under `folder` as a classification data set, decoded in parallel once and cached.

    groups: a csv with the columns `file` (relative to `folder`) and `group`. reading: as it says; `more` are fields of
    it. Raises `DataError`: no or one class, an empty class, links out of the folder, unusable files (unless they are to
    be skipped).
    """
    reading = replace(reading or Reading(), **more)
    photos = find_images(folder, reading.follow_links)
    read = read_images(folder, photos.files, reading)
    labels = {name: number for number, name in enumerate(photos.classes)}
    kept = [photos.files[index] for index in read.kept]
    in_test = np.array([file.test for file in kept], dtype=bool)
    dataset = Dataset(
        name=folder.resolve().name,
        kind="image",
        task="classification",
        x=read.pixels,
        y=np.array([labels[file.label] for file in kept], dtype=np.int64),
        classes=tuple(photos.classes),
        test=in_test if in_test.any() else None,
        groups=None if groups is None else _groups(groups, [file.path for file in kept], folder),
        conversion=Pixels(),
        notes=tuple(printable(note) for note in (*photos.notes, *read.notes)),
        names=[file.path for file in kept],
        understood=Understood(
            "photos", read.details, test_from=photos.test_from, joined=photos.joined, image_size=read.image_size
        ),
    )
    return complete(read.known(dataset))


def read_images(root: Path, files: Sequence[Found], reading: Reading) -> Read:
    """The images `files` below `root`. Raises `DataError` that lists those of no use, unless they are skipped."""
    if reading.image_size is not None and not 1 <= reading.image_size <= 4096:
        raise DataError(f"image_size must be between 1 and 4096, not {reading.image_size}")
    side = reading.image_size
    sample = look_at([os.path.join(root, file.path) for file in files if file.regular and not file.test])
    size = (side, side) if side else sample.size(len(files), reading.affordable)
    pixels, facts = _decoded(root, files, size, sample)
    bad: dict[int, str] = dict(facts["bad"])
    reasons = {files[index].path: reason for index, reason in bad.items()}
    if bad and not reading.skip_bad:
        raise DataError(
            f"{root}: {bad_files(reasons, len(files))}\nrepair or remove them, or pass --skip-bad to leave them out"
        )
    notes = []
    if bad:
        shown = "; ".join(f"{path}: {reason}" for path, reason in list(reasons.items())[:20])
        notes.append(
            f"{len(bad)} of {len(files)} files were skipped as unusable: {shown}{'; ...' if len(bad) > 20 else ''}"
        )
    if facts["framed"]:
        notes.append(f"{facts['framed']} images have several frames; the first of each is used.")
    kept = np.array([index for index in range(len(files)) if index not in bad], dtype=np.int64)
    chosen = None if side or sample.uniform else size[0]
    details = _sizes(facts["training_sizes"], pixels)
    return Read(pixels, kept, notes, details, chosen, facts.get("digest", ""), facts.get("copies", ()))


def _decoded(folder: Path, files: Sequence[Found], size: Size, sample: Sample) -> tuple[NDArray[Any], dict[str, Any]]:
    """Pixels of the usable files, uint8 [n, c, *size], and facts: bad [[index, reason]], framed (a count), and of what
    is not in the test set training_sizes [[height, width, count]], the commonest first."""
    key = _key(folder, files, size)
    stored = cache.load(key)
    if stored is not None:
        return stored[0].transpose(0, 3, 1, 2), stored[1]
    channels = 3 if sample.colour() else 1
    # A named pipe would block for ever when opened: such files get no path, so that they are never opened.
    paths = [os.path.join(folder, file.path) if file.regular else "" for file in files]
    decoded, out = _decode(folder, paths, channels, size, sample.small)
    if decoded.colour and channels == 1:
        if out is not None:
            cache.discard(out)
        decoded, out = _decode(folder, paths, 3, size, sample.small)
    for index, file in enumerate(files):
        if not file.regular:
            decoded.bad[index] = "not a regular file"
    usable = [index for index in range(len(files)) if index not in decoded.bad]
    facts: dict[str, Any] = {
        "bad": sorted([index, reason] for index, reason in decoded.bad.items()),
        "framed": len(decoded.framed),
        "training_sizes": _counted(decoded.sizes.get(index, size) for index in usable if not files[index].test),
    }
    if out is not None:
        return _in_a_file(key, out, usable, facts)
    pixels = np.delete(decoded.pixels, list(decoded.bad), axis=0) if decoded.bad else decoded.pixels
    cache.store(key, pixels.transpose(0, 2, 3, 1), facts)
    # The stored copy is mapped, not held in memory; without one (a full disk) the decoded array serves as well.
    again = cache.load(key)
    return (again[0].transpose(0, 3, 1, 2), again[1]) if again else (pixels, facts)


def _decode(
    folder: Path, paths: Sequence[str], channels: int, size: Size, small: bool
) -> tuple[Decoded, cache.Pixels | None]:
    """The decoded files, and of many the array in a file of the cache that holds their pixels."""
    needed = len(paths) * channels * size[0] * size[1]
    out = cache.allocate((len(paths), *size, channels)) if needed >= mapped.BIG else None
    if out is None:
        check_memory(folder, needed)
    try:
        return decode_all(paths, channels, size, small=small, out=out), out
    except BaseException:
        if out is not None:
            cache.discard(out)
        raise


def _in_a_file(
    key: str, out: cache.Pixels, usable: Sequence[int], facts: dict[str, Any]
) -> tuple[NDArray[Any], dict[str, Any]]:
    """The usable of the images in a file of the cache, with the facts that would take long to find again."""
    if len(usable) < len(out):
        fewer = cache.allocate((len(usable), *out.shape[1:]))
        cache.discard(out)
        if fewer is None:
            raise DataError(f"{cache.folder()} has no room to leave the unusable images out; remove them, or make room")
        for start in range(0, len(usable), _ROWS):
            fewer[start : start + _ROWS] = out[usable[start : start + _ROWS]]
            mapped.release(out)
            mapped.release(fewer)
        out = fewer
    digest = hashlib.sha256()
    for start in range(0, len(out), _ROWS):
        digest.update(out[start : start + _ROWS].data)
        mapped.release(out)
    twins = first_equal(out)
    copies = np.flatnonzero(twins != np.arange(len(out)))
    facts |= {"digest": digest.hexdigest(), "copies": [[int(place), int(twins[place])] for place in copies]}
    stored = cache.load(key) if cache.adopt(key, out, facts) else None
    return (out if stored is None else stored[0]).transpose(0, 3, 1, 2), facts


def check_memory(folder: Path, needed: int) -> None:
    """Raises `DataError` when `needed` bytes of pixels are more than half of this machine's memory."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if needed > memory / 2:
        raise DataError(
            f"{folder}: the decoded images would take {needed / 2**30:.1f} GiB, and this machine has "
            f"{memory / 2**30:.1f} GiB of memory, nor has the cache in {cache.folder()} room for them; pass "
            "--image-size with a smaller size, or name a roomy folder with $AUTOML_CACHE"
        )


def _key(folder: Path, files: Sequence[Found], size: Size) -> str:
    settings = (_CACHE_FORMAT, os.path.realpath(folder), size)
    # One text, for 60,000 small updates of the hash take longer than all else here.
    listed = "".join([f"{path}\0{size}\0{modified}\0{changed}\n" for path, _, _, size, modified, changed, _ in files])
    return hashlib.sha256((repr(settings) + listed).encode("utf-8", "surrogateescape")).hexdigest()


def _counted(sizes: Iterable[Size]) -> list[list[int]]:
    return [[*size, count] for size, count in Counter(sizes).most_common()]


def _sizes(sizes: list[list[int]], pixels: NDArray[Any]) -> tuple[str, ...]:
    """`114 sizes`, `resized to 224 x 224`, `grey`, as far as they apply."""
    if not sizes:
        return ()
    now = list(pixels.shape[2:])
    found = f"{len(sizes):,} sizes" if len(sizes) > 1 else extent(sizes[0][:2])
    resized = [] if [size[:2] for size in sizes] == [now] else [f"resized to {extent(now)}"]
    return found, *resized, *(["grey"] if pixels.shape[1] == 1 else [])


def _groups(path: Path, files: list[str], folder: Path) -> NDArray[np.int64]:
    table = read_csv(path)
    for column in ("file", "group"):
        if column not in table.cells:
            raise DataError(f"{path}: no column '{column}'; groups of images need the columns file,group")
    group_of: dict[str, str] = {}
    line_of: dict[str, int] = {}
    keys, number = number_keys(table.cells["group"])
    for row, (text, index) in enumerate(zip(table.cells["file"], number, strict=True)):
        file, group, line = _file_key(text), keys[index], table.lines[row]
        if group_of.setdefault(file, group) != group:
            raise DataError(
                f"{path}: '{printable(file)}' has the group '{group_of[file]}' in line {line_of[file]}, but "
                f"'{group}' in line {line}; a file belongs to one group: remove one of these lines"
            )
        line_of.setdefault(file, line)
    missing = [file for file in files if _file_key(file) not in group_of]
    if missing:
        raise DataError(
            f"{path}: {len(missing)} images have no group, first '{printable(missing[0])}'"
            f"; the column 'file' holds paths relative to {folder}"
        )
    return number_keys(group_of[_file_key(file)] for file in files)[1]


def _file_key(path: str) -> str:
    """A path below the folder in one spelling: macOS decomposes letters, Windows has backslashes, people write `./`."""
    return os.path.normpath(normal_key(path).replace("\\", "/"))
