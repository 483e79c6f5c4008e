"""Which files a folder of images holds, of which class and side, and whether all of them really lie in it."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from automl.data.images.junk import is_junk
from automl.data.keys import normal_key
from automl.data.sides import Side, sides_of
from automl.errors import DataError, did_you_mean

_LOOSE = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp")
_RUN = "run.yaml"  # what makes a folder a run


class Found(NamedTuple):
    """One file: its path below the folder, its class, whether it is of the test set, what identifies its content."""

    path: str
    label: str
    test: bool
    size: int
    modified: int
    changed: int
    regular: bool


class Photos(NamedTuple):
    """What a folder of images holds.

    files: sorted by path. classes: their names, sorted. notes: sentences on what is left out. train_from, test_from:
    the sides that are the training part and the test set (`val/`), or "". joined: those that were added to the former.
    """

    files: list[Found]
    classes: list[str]
    notes: list[str]
    train_from: str
    test_from: str
    joined: tuple[str, ...]


class _Part(NamedTuple):
    """One side of the data: the folder's name, the path below the data to where its classes stand, and these."""

    name: str
    side: Side
    below: str
    classes: list[str]


def find_images(folder: Path, follow_links: bool = False) -> Photos:
    """The images of all classes under `folder`: of its sides where it has some, else of its sub-folders.

    Hidden files and what systems leave behind are left out, and so are runs. Raises `DataError` for a layout that
    cannot be understood, an empty class, a class that only the test set has, or a link out of the folder.
    """
    if (folder / _RUN).is_file():
        raise DataError(f"{folder}: this is a run, the result of a search, and no data; give a folder of images")
    names = _folders(folder)
    sides = sorted(sides_of(names).items(), key=lambda item: ("train", "val", "test").index(item[1]))
    parts = [_part(folder, name, side) for name, side in sides]
    labelled = [part for part in parts if part.classes]
    if not any(part.side == "train" for part in labelled):
        _refuse_what_is_no_class(folder, names, parts, labelled)
        others = [part.name for part in parts if part.side != "train"]
        notes = [f"{name}/ is taken as a class, for no folder for training stands beside it" for name in others]
        return _collect(folder, [_Part("", "train", "", names)], notes, follow_links)
    unlabelled = [part for part in parts if not part.classes and part.side != "train"]
    told = {part.name for part in (*labelled, *unlabelled)}
    beside = sorted(entry.name for entry in _visible(folder) if entry.name not in told)
    notes = [f"{part.name}/ has no sub-folder per class: it has no labels, and is not used" for part in unlabelled]
    if beside:
        notes.append(f"only {_sides(labelled)} {_are(labelled)} used; ignored beside: {', '.join(beside[:10])}")
    return _collect(folder, labelled, notes, follow_links)


def find_files(folder: Path, follow_links: bool = False) -> list[str]:
    """The path below `folder` of every file in it, also in sub-folders, sorted; left out is what `find_images` leaves.

    Raises `DataError` for a link out of the folder.
    """
    return sorted(path for path, _ in _walk(str(folder), os.path.realpath(folder), follow_links, []))


def _part(folder: Path, name: str, side: Side) -> _Part:
    """A side; one that is packed into a folder of its own kind (`train/train/CLASS`) is unpacked."""
    below = f"{name}/"
    while len(inner := _folders(folder / below)) == 1 and (inner == [name] or sides_of(inner) == {inner[0]: side}):
        below += f"{inner[0]}/"
    return _Part(name, side, below, inner)


def _collect(folder: Path, parts: Sequence[_Part], notes: list[str], follow_links: bool) -> Photos:
    """The files of the sides: what is for validation is the test set where nothing else is, else for training."""
    root = os.path.realpath(folder)
    tested: Side = "test" if any(part.side == "test" for part in parts) else "val"
    files: list[Found] = []
    runs: list[str] = []
    for part in parts:
        path = folder / part.below
        if part.name and path.is_symlink():
            _check_link(str(path), root, follow_links)
        if part.side == "train":
            _refuse_shared_folders(path, part.classes)
        loose = sorted(entry.name for entry in _visible(path) if not entry.is_dir() and is_image(entry.name))
        if loose:
            where = f"directly in {path.name}/ belong to no class and are ignored"
            notes.append(f"{len(loose)} images {where}: {loose[0]}, ...")
        for name in part.classes:
            skipped = len(runs)
            found = _walk(os.path.join(path, name), root, follow_links, runs)
            if not found and len(runs) == skipped:  # else it is a folder of runs, and no class
                raise DataError(f"{path / name}: class '{name}' has no images; add some or remove the folder")
            label, in_test = normal_key(name), part.side == tested
            files += [Found(f"{part.below}{name}/{below}", label, in_test, *status) for below, status in found]
    if runs:
        shown = ", ".join(os.path.relpath(run, folder) for run in runs[:5]) + (", ..." if len(runs) > 5 else "")
        notes.append(f"left out, as the runs of searches: {shown}")
    train, test = (_sides([part for part in parts if part.side == side]) for side in ("train", tested))
    names, more = _check_classes(folder, files, train, test)
    joined = tuple(f"{part.name}/" for part in parts if part.side == "val" and tested == "test")
    return Photos(sorted(files), names, notes + more, train, test, joined)


def _check_classes(folder: Path, files: Sequence[Found], train: str, test: str) -> tuple[list[str], list[str]]:
    """The names of the classes, sorted, and a note on those without a test sample. Raises `DataError`."""
    names = sorted({file.label for file in files if not file.test})
    tested = {file.label for file in files if file.test}
    for name in sorted(tested - set(names)):
        raise DataError(f"{folder}: class '{name}' is in {test} but not in {train}{did_you_mean(name, names)}")
    if not names:
        raise DataError(f"{folder}: no classes found; a folder of images needs a sub-folder per class")
    for name in names:
        if any("\ud800" <= letter <= "\udfff" for letter in name):
            raise DataError(f"{folder}: the name of class {name!r} is not UTF-8; rename the folder")
    untested = [name for name in names if tested and name not in tested]
    shown = ", ".join(untested[:10]) + (", ..." if len(untested) > 10 else "")
    return names, [f"{test} has no sample of the classes {shown}"] if untested else []


def _refuse_what_is_no_class(folder: Path, names: list[str], parts: Sequence[_Part], labelled: Sequence[_Part]) -> None:
    """Raises `DataError` where sub-folders are sides without classes to train on, or the only one holds the data."""
    train = [part for part in parts if part.side == "train"]
    if train and (len(train) < len(parts) or len(train) == len(names)):
        raise DataError(
            f"{folder}: {_sides(train)} {'have' if len(train) > 1 else 'has'} no sub-folder per class to train on; "
            f"move the images into one for each class (or rename, if {_sides(parts)} {_are(parts)} to be classes)"
        )
    if len(names) == 1 and len(inner := _folders(folder / names[0])) > 1:
        raise DataError(
            f"{folder}: there is one folder in it, {names[0]}/, and one class is none; that one holds "
            f"{', '.join(inner[:5])}{', ...' if len(inner) > 5 else ''}: give {folder / names[0]}"
        )
    known = {normal_key(name) for name in names}
    for part in labelled:
        shared = sorted(known & {normal_key(name) for name in part.classes})
        if shared or len(labelled) == len(names):
            what = f"with the classes {', '.join(shared[:5])} that stand beside it" if shared else "and no class"
            raise DataError(
                f"{folder}: {part.name}/ is a side of a data set, {what}, but there is no train/; move what is to be "
                f"trained on into train/, with a sub-folder per class, or give {folder / part.name} alone"
            )


def _refuse_shared_folders(path: Path, classes: Sequence[str]) -> None:
    """Raises `DataError` where every class has the same sub-folders: these are the classes then, or sides of them."""
    everywhere: set[str] | None = None
    for name in classes:
        inner = set(_folders(path / name))
        everywhere = inner if everywhere is None else everywhere & inner
        if len(everywhere) < 2:
            return
    if len(classes) < 2 or everywhere is None:
        return
    shared = sorted(everywhere)
    what = f"{path}: each of {', '.join(classes[:5])}{', ...' if len(classes) > 5 else ''} has the sub-folders "
    what += f"{', '.join(shared[:5])}{', ...' if len(shared) > 5 else ''}"
    if len(sides_of(shared)) == len(shared):
        raise DataError(f"{what}: put the sides first, as in {shared[-1]}/{classes[0]}/, each with a folder per class")
    raise DataError(
        f"{what}: are these the classes? Then give one of the outer folders alone, or move the images into one folder "
        "per class; if the outer ones are the classes, move the images up into them"
    )


def _sides(parts: Sequence[_Part]) -> str:
    """`train/`, `train_1/ and train_2/`."""
    names = [f"{part.name}/" for part in parts if part.name]
    return " and ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))


def _are(parts: Sequence[_Part]) -> str:
    return "are" if len(parts) > 1 else "is"


def find_file(root: Path, path: str, test: bool, follow_links: bool) -> Found:
    """The file at `path`, below `root` or absolute. Raises `DataError` for a link out of the root."""
    whole = root / path
    if whole.is_symlink():
        _check_link(str(whole), os.path.realpath(root), follow_links)
    try:
        status = whole.stat()
    except OSError:  # a link to nowhere; decoding reports it
        return Found(path, "", test, 0, 0, 0, True)
    regular = stat.S_ISREG(status.st_mode)
    return Found(path, "", test, status.st_size, status.st_mtime_ns, status.st_ctime_ns, regular)


def find_folders(folder: Path) -> list[Path]:
    """The sub-folders of a folder, sorted, but neither hidden ones nor runs; none where it cannot be read."""
    try:
        return [folder / name for name in _folders(folder) if not (folder / name / _RUN).is_file()]
    except OSError:
        return []


def list_folder(folder: Path) -> list[str]:
    """The names of the files in a folder, links too, sorted; none where there is no such folder."""
    try:
        return sorted(entry.name for entry in _visible(folder) if not entry.is_dir())
    except (OSError, ValueError):
        return []


def _visible(folder: str | Path) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        return [entry for entry in entries if not is_junk(entry.name)]


def _folders(folder: Path) -> list[str]:
    return sorted(entry.name for entry in _visible(folder) if entry.is_dir())


def is_image(name: str) -> bool:
    """Whether a file of this name is one of the usual kinds of images."""
    return name.lower().endswith(_LOOSE)


def _walk(folder: str, root: str, follow_links: bool, runs: list[str]) -> list[tuple[str, tuple[int, int, int, bool]]]:
    """(path below `folder`, status) of every file, also in sub-folders; the runs of searches are added to `runs`."""
    found = []
    pending = [(folder, "", frozenset[str]())]
    while pending:
        path, below, above = pending.pop()
        if os.path.islink(path):
            _check_link(path, root, follow_links)
        real = os.path.realpath(path)
        if real in above:
            raise DataError(f"{path}: this link leads back to a folder above it; remove it")
        entries = _visible(path)
        if any(entry.name == _RUN for entry in entries):
            runs.append(path)
            continue
        for entry in entries:
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
