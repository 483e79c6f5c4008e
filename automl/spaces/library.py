"""The search spaces that come with automl: the YAML files of the installed package `automl_search_spaces`."""

from __future__ import annotations

import importlib.resources
from pathlib import Path

from automl.errors import SpaceError, did_you_mean
from automl.spaces.yaml_file import missing_file, read, shortened

PACKAGE = "automl_search_spaces"
SUFFIXES = (".yaml", ".yml")


def list_spaces() -> list[tuple[str, str, Path]]:
    """Name, description (empty where the file has none) and path of every search space, by name.

    Raises `SpaceError` when one of the files is damaged.
    """
    found = []
    for name, path in _installed().items():
        description = read(path).value.get("description")
        found.append((name, description.strip() if isinstance(description, str) else "", path))
    return found


def find_space(name_or_path: str) -> Path:
    """The file of a search space given by its name (`images`) or by its path (`./mine.yaml`).

    A name is never looked up as a file of the current folder when a search space has it. Raises `SpaceError` with the
    nearest name.
    """
    installed = _installed()
    if name_or_path in installed:
        return installed[name_or_path]
    path = Path(name_or_path)
    if "\0" not in name_or_path and path.is_file():
        return path
    if path.suffix in SUFFIXES or len(path.parts) != 1:
        raise missing_file(path)
    problem = f"no such search space or file{did_you_mean(name_or_path, installed)}"
    raise SpaceError(shortened(name_or_path), problem)


def _installed() -> dict[str, Path]:
    try:
        folder = Path(str(importlib.resources.files(PACKAGE)))
    except ModuleNotFoundError:  # a checkout that is not installed
        return {}
    return {path.stem: path for path in sorted(folder.iterdir()) if path.suffix in SUFFIXES}
