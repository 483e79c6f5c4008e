"""Plugin files that a run or a model names: others may have written that down, so the file itself must be believed.

A file is imported where its text has the SHA-256 that was recorded with it, and this user or the administrator alone
can have put it there. Every other one must be named by the command: `--plugin FILE`.
"""

from __future__ import annotations

import grp
import hashlib
import os
import pwd
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from automl.hooks.loading import Found, import_file, is_imported
from automl.open_file import open_file

LARGEST = 16 * 2**20  # bytes of a plugin's file


@dataclass(frozen=True)
class Recorded:
    """A plugin's file as it was written down; `sha256` of its text, "" where none was."""

    file: str
    sha256: str = ""


def find_recorded(entries: Any, named: Sequence[str | Path], inside: Path | None) -> tuple[list[Found], list[str]]:
    """The recorded plugins that may be imported, and for each of the others a sentence why it is not.

    entries: `plugins` of a `run.yaml` or `model.json`, whatever stands there. named: the files that the command names;
    each stands in for the recorded ones of the same file name. inside: the folder of the run or the model: what lies in
    it has come with it.
    """
    names = {Path(file).name for file in named}
    found, refused = {}, []
    for each in dict.fromkeys(map(_recorded, entries if isinstance(entries, list) else [entries])):
        path = Path(each.file)
        if path.name in names:
            continue
        try:
            text, status = _read(path)
        except OSError as error:
            refused.append(f"{path}: {error.strerror or error}")
            continue
        digest = hashlib.sha256(text).hexdigest()
        path = path.resolve()
        doubt = _doubt(path, status, inside)
        known = digest == each.sha256
        if known and (not doubt or is_imported(path, digest)):
            found[path] = Found(path.stem, str(path), "", lambda path=path, text=text: import_file(path, text))  # type: ignore[misc]
        else:
            refused.append("; ".join(filter(None, (f"{path}: {_compared(each.sha256, digest)}", doubt))))
    return list(found.values()), refused


def refusal(subject: str | Path, refused: Sequence[str]) -> str:
    """What is said to who wants to use `subject`, a run or a model."""
    lines = "".join(f"\n  {reason}" for reason in refused)
    return (
        f"{subject} names plugin files that are not imported, for their code might be anybody's:{lines}\n"
        "name those that you trust: --plugin FILE (in Python plugins=[FILE]), wherever they lie now"
    )


def _recorded(entry: Any) -> Recorded:
    """A mapping with `file` and `sha256`, or a path alone, as earlier versions wrote it."""
    known = entry if isinstance(entry, Mapping) else {"file": entry}
    return Recorded(str(known.get("file", "")), str(known.get("sha256", "")))


def _compared(recorded: str, digest: str) -> str:
    if not recorded:
        return "its SHA-256 was not recorded"
    if recorded == digest:
        return "its SHA-256 is the recorded one"
    return f"its SHA-256 is not the recorded one ({digest[:12]}... here, {recorded[:12]}... recorded)"


def _read(path: Path) -> tuple[bytes, os.stat_result]:
    """The text and what the kernel says of the very file that was read. Raises OSError with a sentence."""
    if not path.is_absolute() or path.suffix != ".py":
        raise OSError("it must be the whole path of a file that ends in .py")
    with open_file(path, limit=LARGEST) as file:
        return file.read(), os.fstat(file.fileno())


def _doubt(path: Path, status: os.stat_result, inside: Path | None) -> str:
    """Why the file may be somebody else's; "" where it is this user's or the administrator's."""
    if inside is not None and path.is_relative_to(inside.resolve()):
        return f"it has come with {inside}"
    if status.st_uid not in (0, os.geteuid()):
        return "it belongs to another user"
    if status.st_mode & stat.S_IWOTH or (status.st_mode & stat.S_IWGRP and not _is_own_group(status.st_gid)):
        return "others can write it"
    return ""


def _is_own_group(number: int) -> bool:
    """Whether the group has this user alone, as many systems make one for each; files are then writable by it."""
    try:
        group, name = grp.getgrgid(number), pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return False
    return group.gr_name == name and set(group.gr_mem) <= {name}
