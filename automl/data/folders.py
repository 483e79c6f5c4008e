"""Which files a folder of images holds, of which class, and whether all of them really lie in it."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import NamedTuple

from automl.data.keys import normal_key
from automl.errors import DataError, did_you_mean

_JUNK = ("Thumbs.db", "desktop.ini", "__MACOSX")
_LOOSE = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp")


class Found(NamedTuple):
    """One file: its path below the folder, its class, whether it stands under test/, what identifies its content."""

    path: str
    label: str
    test: bool
    size: int
    modified: int
    changed: int
    regular: bool


def find_images(folder: Path, follow_links: bool = False) -> tuple[list[Found], list[str], list[str]]:
    """All files of all classes under `folder`, sorted; the class names, sorted; and notes on what is left out.

    Hidden files are left out. Raises `DataError` for the wrong layout, an empty class, or a link out of the folder.
    """
    sides = {name: folder / name for name in ("train", "test") if _has_folders(folder / name)}
    notes: list[str] = []
    if "train" in sides:
        beside = sorted(entry.name for entry in _visible(folder) if entry.name not in sides)
        if beside:
            notes.append(f"only train/ and test/ are used; ignored beside them: {', '.join(beside[:10])}")
    else:
        sides = {"": folder}
    root = os.path.realpath(folder)
    files: list[Found] = []
    classes: dict[str, list[str]] = {}
    for side, path in sides.items():
        if side and path.is_symlink():
            _check_link(str(path), root, follow_links)
        entries = sorted(_visible(path), key=lambda entry: entry.name)
        classes[side] = [entry.name for entry in entries if entry.is_dir()]
        loose = [entry.name for entry in entries if not entry.is_dir() and entry.name.lower().endswith(_LOOSE)]
        if loose:
            notes.append(
                f"{len(loose)} images directly in {path.name}/ belong to no class and are ignored: {loose[0]}, ..."
            )
        for name in classes[side]:
            found = _walk(os.path.join(path, name), root, follow_links)
            if not found:
                raise DataError(f"{path / name}: class '{name}' has no images; add some or remove the folder")
            prefix = f"{side}/{name}/" if side else f"{name}/"
            files += [Found(prefix + below, normal_key(name), side == "test", *status) for below, status in found]
    names = _check_classes(folder, classes)
    return sorted(files), names, notes


def find_files(folder: Path, follow_links: bool = False) -> list[str]:
    """The path below `folder` of every file in it, also in sub-folders, sorted; hidden files are left out.

    Raises `DataError` for a link out of the folder.
    """
    return sorted(path for path, _ in _walk(str(folder), os.path.realpath(folder), follow_links))


def _check_classes(folder: Path, classes: dict[str, list[str]]) -> list[str]:
    classes = {side: sorted({normal_key(name) for name in names}) for side, names in classes.items()}
    names = classes.get("train", classes.get("", []))
    for name in set(names) ^ set(classes.get("test", names)):
        there, missing = ("train", "test") if name in names else ("test", "train")
        raise DataError(
            f"{folder}: class '{name}' is in {there}/ but not in {missing}/{did_you_mean(name, classes[missing])}"
        )
    if not names:
        raise DataError(f"{folder}: no classes found; a folder of images needs a sub-folder per class")
    for name in names:
        if any("\ud800" <= letter <= "\udfff" for letter in name):
            raise DataError(f"{folder}: the name of class {name!r} is not UTF-8; rename the folder")
    return names


def _visible(folder: str | Path) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        return [entry for entry in entries if not entry.name.startswith(".") and entry.name not in _JUNK]


def _has_folders(folder: Path) -> bool:
    return folder.is_dir() and any(entry.is_dir() for entry in _visible(folder))


def _walk(folder: str, root: str, follow_links: bool) -> list[tuple[str, tuple[int, int, int, bool]]]:
    """(path below `folder`, status) of every file, also in sub-folders."""
    found = []
    pending = [(folder, "", frozenset[str]())]
    while pending:
        path, below, above = pending.pop()
        if os.path.islink(path):
            _check_link(path, root, follow_links)
        real = os.path.realpath(path)
        if real in above:
            raise DataError(f"{path}: this link leads back to a folder above it; remove it")
        for entry in _visible(path):
            if entry.is_dir():
                pending.append((entry.path, f"{below}{entry.name}/", above | {real}))
                continue
            if entry.is_symlink():
                _check_link(entry.path, root, follow_links)
            try:
                status = entry.stat()
            except OSError:  # a link to nowhere; decoding reports it
                found.append((below + entry.name, (0, 0, 0, True)))
                continue
            regular = stat.S_ISREG(status.st_mode)
            found.append((below + entry.name, (status.st_size, status.st_mtime_ns, status.st_ctime_ns, regular)))
    return found


def _check_link(path: str, root: str, follow_links: bool) -> None:
    target = os.path.realpath(path)
    if not follow_links and target != root and not target.startswith(root.rstrip(os.sep) + os.sep):
        raise DataError(f"{path}: this link leads out of the data folder, to {target}; pass --follow-links to allow it")
