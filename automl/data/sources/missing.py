"""DATA that are not there, said with what may have been meant. Imports nothing that takes long."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from automl.data.tables.names import is_table
from automl.errors import DataError, did_you_mean


def is_missing(data: str, *, maybe_a_name: bool = True) -> bool:
    """Whether DATA cannot be anything: no file, no folder, no name. Without `maybe_a_name` a bare word is none."""
    path = Path(data).expanduser()
    if data == "digits" or data.startswith("torchvision:") or path.exists():
        return False
    name = Path(data.partition(":")[0])  # a plugin's data set may have parameters: NAME:noise=0.5
    looks_like_a_file = len(path.parts) != 1 or name.suffix != "" or data.startswith("~")
    return looks_like_a_file or not maybe_a_name


def missing_data(data: str, names: Iterable[str] = ()) -> DataError:
    """The error for DATA that are not there; `names` are the plugins' data sets."""
    near = did_you_mean(data, ["digits", *names, *_beside(Path(data).expanduser())])
    return DataError(f"{data!r}: there is no such file, folder or data set{near}")


def _beside(path: Path) -> list[str]:
    """What stands where `path` would and could be meant."""
    try:
        found = [entry for entry in path.parent.iterdir() if not entry.name.startswith(".")]
        return [str(p.parent / p.name) for p in found if p.is_dir() or p.suffix.lower() == ".npz" or is_table(p)]
    except (OSError, ValueError):
        return []
