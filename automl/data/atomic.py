"""Writes files whole or not at all: to temporary names in the same folder, synced, then renamed."""

from __future__ import annotations

import os
import re
import secrets
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import BinaryIO

from automl.failpoints import passing

Write = Callable[[BinaryIO], object]

ABANDONED = 3600.0  # seconds after which a temporary file is one whose writer was killed


def write_atomic(path: Path, write: Write) -> None:
    """Calls `write` with an open file that becomes `path` when everything is on the disk.

    Whatever stood at `path` stays intact until then. Raises OSError (a full disk, no permission); the temporary file
    is gone in that case.
    """
    write_together({path: write})


def write_together(files: Mapping[Path, Write]) -> None:
    """As `write_atomic` for files that belong together: none is replaced before all are on the disk."""
    temporaries: dict[Path, Path] = {}
    try:
        for path, write in files.items():
            temporaries[path] = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
            _write_synced(temporaries[path], write)
        for path, temporary in temporaries.items():
            passing("rename")
            os.replace(temporary, path)
    except BaseException:
        for temporary in temporaries.values():
            temporary.unlink(missing_ok=True)
        raise
    for folder in {path.parent for path in files}:
        _sync_folder(folder)


def _write_synced(path: Path, write: Write) -> None:
    # Not tempfile: its files are closed to the group, whatever the user's umask says.
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    with os.fdopen(handle, "wb") as file:
        write(file)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    """A rename itself lives in the folder, which has to be synced too."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def remove_abandoned(folder: Path) -> None:
    """Deletes the temporary files below `folder` that were left by processes that were killed while they wrote."""
    for path in folder.rglob(".*.tmp"):
        if re.fullmatch(r"\..+\.[0-9a-f]{16}\.tmp", path.name) and time.time() - path.stat().st_mtime > ABANDONED:
            path.unlink(missing_ok=True)
