"""The user's private cache of decoded images: plain .npy and .json files, never a pickle.

An entry is KEY.npy (the pixels) and KEY.json (what was found while decoding, and the pixels' SHA-256; for big
ones, which take a minute to read, the size and times of their file). Both are written to a temporary name, synced and
renamed. An entry that is damaged in any way counts as absent and is decoded again, and so does one that another user
may have written.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import stat
import sys
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from automl.data.atomic import write_atomic
from automl.data.mapped import BIG
from automl.open_file import open_file

Pixels = np.memmap[Any, np.dtype[np.uint8]]


def folder() -> Path:
    """`$AUTOML_CACHE`, else `$XDG_CACHE_HOME/automl`, else `~/.cache/automl`. It may be shared with other users."""
    own = os.environ.get("AUTOML_CACHE")
    if own:
        return Path(own).absolute()
    base = os.environ.get("XDG_CACHE_HOME", "")
    # The XDG specification has relative paths ignored.
    return (Path(base) if os.path.isabs(base) else Path.home() / ".cache") / "automl"


def private_folder() -> Path:
    """The user's own sub-folder of `folder()`: `user-UID`. Not created here."""
    return folder() / f"user-{os.getuid()}"


def make_private_folder() -> Path:
    """`private_folder()`, created with mode 0700 where it is missing. The mode of what is there is never changed.

    Raises OSError when it cannot be created, PermissionError when it is a link, belongs to somebody else, or others may
    write to it.
    """
    path = private_folder()
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = path.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid() or status.st_mode & 0o022:
        raise PermissionError(f"{path} is not a folder of yours that nobody else can write to")
    return path


def load(key: str) -> tuple[NDArray[Any], dict[str, Any]] | None:
    """The pixels (a read-only memmap) and facts stored under `key`, or None when absent, damaged or not ours."""
    try:
        base = make_private_folder() / key
        with _open_own(base.with_suffix(".json")) as file:
            facts = json.loads(file.read())
        with _open_own(base.with_suffix(".npy")) as file:
            pixels = _mapped(file)
            status = os.fstat(file.fileno())
        if facts["sha256"] != _sha256(pixels, status):
            return None
        if isinstance(pixels, np.memmap):  # opened as a file without a name, and workers open it again
            pixels.filename = str(base.with_suffix(".npy"))
        return pixels, facts["facts"]
    # Damaged bytes surface as almost anything in the parsers (also RecursionError and MemoryError): decode again.
    except Exception:
        return None


def store(key: str, pixels: NDArray[Any], facts: dict[str, Any]) -> bool:
    """Stores `pixels` and `facts` under `key`. Returns whether it could: a full or read-only disk costs only time."""
    try:
        base = make_private_folder() / key
        text = json.dumps({"facts": facts, "sha256": _sha256(pixels)})
        write_atomic(base.with_suffix(".npy"), lambda file: np.save(file, pixels, allow_pickle=False))
        write_atomic(base.with_suffix(".json"), lambda file: file.write(text.encode("utf-8")))
    except OSError:
        return False
    return True


def _open_own(path: Path) -> BinaryIO:
    """A file of the user's own, which may be larger than memory. Asked of the open file: names can be moved."""
    file = open_file(path, owned=True, limit=sys.maxsize)
    if os.fstat(file.fileno()).st_uid != os.getuid():
        file.close()
        raise PermissionError(f"{path} is no file of yours")
    return file


def allocate(shape: tuple[int, ...]) -> Pixels | None:
    """A uint8 array of zeros in a new file of the cache, for `adopt`; None where the disk has no room for it."""
    path: Path | None = None
    try:
        path = make_private_folder() / f".{secrets.token_hex(8)}.npy.tmp"
        array = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=shape, version=(1, 0))
        with open(path, "r+b") as file:  # a page that the disk has no room for would kill the process
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    except OSError:
        if path is not None:
            path.unlink(missing_ok=True)
        return None
    assert isinstance(array, np.memmap)
    return array


def adopt(key: str, array: Pixels, facts: dict[str, Any]) -> bool:
    """Stores an `allocate`d array and `facts` under `key`, without a copy. Returns whether it could."""
    try:
        base = make_private_folder() / key
        array.flush()
        os.replace(str(array.filename), base.with_suffix(".npy"))
        text = json.dumps({"facts": facts, "sha256": _sha256(array, base.with_suffix(".npy").stat())})
        write_atomic(base.with_suffix(".json"), lambda file: file.write(text.encode("utf-8")))
    except OSError:
        return False
    return True


def discard(array: Pixels) -> None:
    """Removes the file of an `allocate`d array, which lives on until nobody uses it."""
    Path(str(array.filename)).unlink(missing_ok=True)


def _mapped(file: BinaryIO) -> NDArray[Any]:
    """The array of an .npy file as numpy 1.0 and later write it, as a read-only memmap. Raises ValueError."""
    if np.lib.format.read_magic(file) != (1, 0):
        raise ValueError("not written by store()")
    shape, fortran, dtype = np.lib.format.read_array_header_1_0(file)
    if dtype.hasobject:
        raise ValueError("holds objects")
    return np.memmap(file, dtype, "r", file.tell(), shape, "F" if fortran else "C")


def _sha256(array: NDArray[Any], status: os.stat_result | None = None) -> str:
    """Of the pixels; of big ones, with the `status` of their file, what tells whether it was written to since."""
    if status is not None and array.nbytes >= BIG:
        return f"written {status.st_mtime_ns} {status.st_ctime_ns} {status.st_size}"
    total = hashlib.sha256(repr((array.dtype.str, array.shape)).encode())
    if array.size:
        total.update(np.ascontiguousarray(array).data)
    return total.hexdigest()
