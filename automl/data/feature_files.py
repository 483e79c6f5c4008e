"""Features of samples in files of a run, which the run's workers fill together and then share.

A file holds float32 rows, one a sample; beside it lies one with a byte for each piece of them, 1 where it is computed.
Who computes a piece holds a lock on its byte, which the system frees when that process dies.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from automl.errors import MachineFailed
from automl.open_file import check_file, open_to_update

PIECE = 32  # samples
WAITING = 0.1  # seconds between two looks at what others compute

Compute = Callable[[NDArray[np.int64]], NDArray[np.float32]]
"""(sample numbers [m]) -> their features [m, ...]."""


class FeatureFiles:
    """The features of one data set.

    Args:
        folder: where the files lie; None: features are kept in memory, for this process alone.
        fingerprint: of the data.
    """

    def __init__(self, folder: Path | None = None, fingerprint: str = ""):
        self.folder = folder
        self.fingerprint = fingerprint
        self.shapes: dict[str, tuple[int, ...]] = {}
        """Of one sample's features, by the name of what makes them."""
        self.speeds: dict[str, float] = {}
        """Seconds that one sample's take, by the same name, where that was measured."""
        self.progress: Callable[[int, int], None] = lambda done, total: None
        """Is told how many of how many pieces are computed, before each and at the end."""
        self._known: dict[str, NDArray[np.float32]] = {}

    def get(
        self, name: str, samples: NDArray[np.int64], shape: tuple[int, ...], compute: Compute, tick: Callable[[], None]
    ) -> NDArray[np.float32]:
        """The features [m, *shape] that `name` stands for, of the `samples` [m]; computed where they are not there yet.

        `tick` is called before each piece, and while others compute. Raises what `compute` and `tick` raise, and
        `MachineFailed` on a full disk.
        """
        key = self._key(name, samples, shape)
        if key not in self._known:
            pieces = [samples[start : start + PIECE] for start in range(0, len(samples), PIECE)]
            if self.folder is None:
                self._known[key] = self._in_memory(pieces, compute, tick)
            else:
                self.folder.mkdir(exist_ok=True)
                with _File(self.folder / key, (len(samples), *shape)) as file:
                    self._fill(file, pieces, compute, tick)
                self._known[key] = file.mapped()
        return self._known[key]

    def missing(self, name: str, samples: NDArray[np.int64], shape: tuple[int, ...]) -> int:
        """For how many of the `samples` the features that `name` stands for are not computed yet."""
        key = self._key(name, samples, shape)
        if key in self._known:
            return 0
        pieces = -(-len(samples) // PIECE)
        if self.folder is None or not self.folder.joinpath(f"{key}.done").exists():
            return len(samples)
        with _File(self.folder / key, (len(samples), *shape)) as file:
            return PIECE * len(file.missing(pieces))

    def _key(self, name: str, samples: NDArray[np.int64], shape: tuple[int, ...]) -> str:
        about = repr((name, self.fingerprint, shape, hashlib.sha256(samples.tobytes()).hexdigest()))
        return hashlib.sha256(about.encode()).hexdigest()[:32]

    def _in_memory(self, pieces: list[Any], compute: Compute, tick: Callable[[], None]) -> NDArray[np.float32]:
        parts: list[NDArray[np.float32]] = []
        for piece in pieces:
            tick()
            self.progress(len(parts), len(pieces))
            parts.append(compute(piece))
        self.progress(len(pieces), len(pieces))
        return np.concatenate(parts)

    def _fill(self, file: _File, pieces: list[Any], compute: Compute, tick: Callable[[], None]) -> None:
        """Computes what nobody has and nobody is at, until all is there."""
        filled = False
        while missing := file.missing(len(pieces)):
            waits, done = True, 0
            for number in missing:
                if not file.claim(number):
                    continue
                try:
                    if not file.has(number):  # since it was looked for
                        tick()
                        self.progress(len(pieces) - len(missing) + done, len(pieces))
                        done += 1
                        file.write(number, compute(pieces[number]))
                        waits, filled = False, True
                finally:
                    file.let_go(number)
            if waits:
                tick()
                time.sleep(WAITING)
        if filled:
            self.progress(len(pieces), len(pieces))


def progress_of(folder: Path) -> tuple[int, int]:
    """How many of how many pieces are computed in all files of the folder."""
    marks = b"".join(path.read_bytes() for path in folder.glob("*.done"))
    return marks.count(1), len(marks)


class _File:
    """The two files of one key, open."""

    def __init__(self, base: Path, shape: tuple[int, ...]):
        self.path, self.marks = base.with_suffix(".f32"), base.with_suffix(".done")
        self.shape = shape
        self.row = 4 * int(np.prod(shape[1:], dtype=np.int64))

    def __enter__(self) -> _File:
        self._data, self._done = open_to_update(self.path), open_to_update(self.marks)
        os.ftruncate(self._done.fileno(), -(-self.shape[0] // PIECE))
        return self

    def __exit__(self, *_: object) -> None:
        self._data.close()
        self._done.close()

    def missing(self, pieces: int) -> list[int]:
        """The pieces that are not computed."""
        marks = os.pread(self._done.fileno(), pieces, 0).ljust(pieces, b"\0")
        whole = os.fstat(self._data.fileno()).st_size // (self.row or 1)
        return [n for n in range(pieces) if marks[n] != 1 or whole < min((n + 1) * PIECE, self.shape[0])]

    def has(self, piece: int) -> bool:
        """Whether it is computed."""
        return piece not in self.missing(piece + 1)

    def claim(self, piece: int) -> bool:
        """Whether nobody else is at it; from now on this process is."""
        with suppress(BlockingIOError, PermissionError):
            fcntl.lockf(self._done, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, piece)
            return True
        return False

    def let_go(self, piece: int) -> None:
        """Others may have it."""
        fcntl.lockf(self._done, fcntl.LOCK_UN, 1, piece)

    def write(self, piece: int, rows: NDArray[np.float32]) -> None:
        """The rows of a piece, on the disk before they are marked. Raises `MachineFailed`."""
        data, at = np.asarray(rows, dtype=np.float32).tobytes(), piece * PIECE * self.row
        try:
            while data:
                written = os.pwrite(self._data.fileno(), data, at)
                data, at = data[written:], at + written
            os.fdatasync(self._data.fileno())
            os.pwrite(self._done.fileno(), b"\1", piece)
        except OSError as error:
            raise MachineFailed(f"{self.path}: cannot be written: {error.strerror or error}") from error

    def mapped(self) -> NDArray[np.float32]:
        """All rows. Copy on write: torch asks for a writable array, and nobody writes."""
        check_file(self.path, owned=True)
        return np.memmap(self.path, np.float32, "c", shape=self.shape)
