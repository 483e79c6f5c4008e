"""The one door through which the files of users and of runs are opened.

Runs and models come from other people, and a user may name anything. A named pipe or a terminal would be waited for for
ever, a device has no end, and a link in a run leads to a file that is none of the run's.
"""

from __future__ import annotations

import errno
import io
import os
import stat
from pathlib import Path
from typing import BinaryIO

_KINDS = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFDIR: "a folder",
    stat.S_IFSOCK: "a socket",
}
_NO_FILES = {errno.EISDIR: "a folder", errno.ENXIO: "a socket or a device"}
_ALWAYS = os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY  # a pipe that nobody writes to is not waited for


class UnfitFile(OSError):
    """What has the name is no regular file, or too large; `strerror` says what it is, `filename` names it."""

    def __init__(self, path: str | Path, problem: str):
        super().__init__(errno.EINVAL, problem, str(path))


def open_file(path: str | Path, *, owned: bool = False, limit: int | None = None) -> BinaryIO:
    """Opens a regular file to read it, without waiting for anything.

    Args:
        path: the file.
        owned: it belongs to a run or a model, where a link could lead anywhere: one is refused.
        limit: bytes that it may have; default half of the machine's memory.

    Raises `UnfitFile`, and OSError when it is not there or may not be read.
    """
    return os.fdopen(_open(path, os.O_RDONLY, owned, memory() // 2 if limit is None else limit), "rb")


def read_file(path: str | Path, *, owned: bool = False, limit: int | None = None) -> bytes:
    """The bytes of a regular file; the rest as in `open_file`."""
    with open_file(path, owned=owned, limit=limit) as file:
        return file.read()


def check_file(path: str | Path, *, owned: bool = False) -> None:
    """Raises what `open_file` raises, for a library that opens the file itself."""
    open_file(path, owned=owned).close()


def open_to_append(path: str | Path) -> io.FileIO:
    """Opens a run's own file, made where there is none, to read and to append, unbuffered. Raises as `open_file`."""
    return io.FileIO(_open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, owned=True, limit=None), "a+")


def open_to_update(path: str | Path) -> io.FileIO:
    """Opens a run's own file, made where there is none, to read and to write at any place. Raises as `open_file`."""
    return io.FileIO(_open(path, os.O_RDWR | os.O_CREAT, owned=True, limit=None), "r+")


def memory() -> int:
    """The machine's memory in bytes."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _open(path: str | Path, flags: int, owned: bool, limit: int | None) -> int:
    try:
        handle = os.open(path, flags | _ALWAYS | (os.O_NOFOLLOW if owned else 0), 0o666)
    except ValueError as error:  # a NUL in the path
        raise UnfitFile(path, str(error)) from None
    except OSError as error:
        if owned and os.path.islink(path):
            raise UnfitFile(path, "is a link, which a run or a model does not have; put the file itself here") from None
        if error.errno in _NO_FILES:
            raise UnfitFile(path, f"is {_NO_FILES[error.errno]}, not a file") from None
        raise
    try:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            raise UnfitFile(path, f"is {_KINDS.get(stat.S_IFMT(status.st_mode), 'something else')}, not a file")
        if limit is not None and status.st_size > limit:
            raise UnfitFile(
                path, f"has {status.st_size / 2**20:,.0f} MiB, more than the {limit / 2**20:,.0f} MiB it may have"
            )
    except BaseException:
        os.close(handle)
        raise
    return handle
