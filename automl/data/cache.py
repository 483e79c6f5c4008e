"""The user's private cache of decoded images: plain .npy and .json files, never a pickle.

An entry is KEY.npy (the pixels) and KEY.json (what was found while decoding, and the pixels' SHA-256). Both are written
to a temporary name, synced and renamed. An entry that is damaged in any way counts as absent and is decoded again.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from automl.data.atomic import write_atomic


def folder() -> Path:
    """`$AUTOML_CACHE`, else `$XDG_CACHE_HOME/automl`, else `~/.cache/automl`. Not created here."""
    own = os.environ.get("AUTOML_CACHE")
    if own:
        return Path(own).absolute()
    base = os.environ.get("XDG_CACHE_HOME", "")
    # The XDG specification has relative paths ignored.
    return (Path(base) if os.path.isabs(base) else Path.home() / ".cache") / "automl"


def private_folder() -> Path:
    """`folder()`, created and closed to other users (mode 0700).

    Raises OSError when it cannot be created, or PermissionError when it belongs to somebody else.
    """
    path = folder()
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = path.stat()
    if status.st_uid != os.getuid():
        raise PermissionError(f"{path} belongs to another user")
    if stat.S_IMODE(status.st_mode) != 0o700:
        path.chmod(0o700)
    return path


def load(key: str) -> tuple[NDArray[Any], dict[str, Any]] | None:
    """The pixels (a read-only memmap) and facts stored under `key`, or None when absent, damaged or not ours."""
    try:
        base = private_folder() / key
        facts = json.loads(base.with_suffix(".json").read_text("utf-8"))
        pixels = np.load(base.with_suffix(".npy"), mmap_mode="r", allow_pickle=False)
        if facts["sha256"] != _sha256(pixels):
            return None
        return pixels, facts["facts"]
    # Damaged bytes surface as almost anything in the parsers (also RecursionError and MemoryError): decode again.
    except Exception:
        return None


def store(key: str, pixels: NDArray[Any], facts: dict[str, Any]) -> bool:
    """Stores `pixels` and `facts` under `key`. Returns whether it could: a full or read-only disk costs only time."""
    try:
        base = private_folder() / key
        text = json.dumps({"facts": facts, "sha256": _sha256(pixels)})
        write_atomic(base.with_suffix(".npy"), lambda file: np.save(file, pixels, allow_pickle=False))
        write_atomic(base.with_suffix(".json"), lambda file: file.write(text.encode("utf-8")))
    except OSError:
        return False
    return True


def _sha256(array: NDArray[Any]) -> str:
    total = hashlib.sha256(repr((array.dtype.str, array.shape)).encode())
    if array.size:
        total.update(np.ascontiguousarray(array).data)
    return total.hexdigest()
