"""Runs that somebody made to do harm, and every command that looks: it ends soon, with a sentence, changing nothing."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hostile
import pytest

SECONDS, MEGABYTES = 10, 1024
PIECES = 26  # of all hostile runs
ANOTHER = 12345  # a user's number
SOME = [
    "pipe-journal", "device-weights", "link-description", "endless-record", "socket-beside", "loop-beside",
    "linked-artifacts", "aliases", "code", "digits", "sqlite-new", "sqlite-pipe", "proxy", "evil-plugin", "evil-names",
    "data-device", "ray", "settings-8", "journal-brackets", "race_standing-7", "seconds-4", "npz-bomb", "npz-texts",
    "npz-huge-numbers", "two-directions", "checkpoint-one-tensor", "checkpoint-pickle", "model-members",
    "model-overlap", "model-brings-code", "model-conversion-4", "inspection-evil", "inspection-photos",
    "inspection-brackets",
]  # fmt: skip


def commands(run: Path, data: Path) -> list[list[object]]:
    """Every command that looks at a run."""
    return [
        ["leaderboard", run], ["leaderboard", run, "--json"], ["leaderboard", run, "--csv"], ["show", run],
        ["show", run, 0], ["report", run, "--out", "report.html"], ["replay", run, 0], ["predict", run, data],
        ["evaluate", run, data], ["export", run, "--format", "state-dict", "--out", "weights.safetensors"],
        ["dashboard", run, "--port", 0, "--no-browser"],
    ]  # fmt: skip


def listing(*folders: Path) -> dict[str, tuple[int, int, int, str]]:
    """All below the folders, with the time of its last change and, but for sparse ones without end, its SHA-256."""
    found = {}
    for path in (each for folder in folders for each in [folder, *folder.rglob("*")]):
        status = path.lstat()
        readable = path.is_file() and not path.is_symlink() and status.st_size < 1 << 30
        content = path.read_bytes() if readable else b""
        found[str(path)] = (status.st_mode, status.st_size, status.st_mtime_ns, hashlib.sha256(content).hexdigest())
    return found


def give_away(folder: Path) -> None:
    """Makes all of it another user's; where that takes a superuser, at least nothing may be written."""
    for path in [folder, *folder.rglob("*")]:
        if os.geteuid() == 0:
            os.lchown(path, ANOTHER, ANOTHER)
        elif not path.is_symlink():
            path.chmod(path.stat().st_mode & 0o555)


def take_back(folder: Path) -> None:
    """So that pytest can remove it."""
    for path in [folder, *folder.rglob("*")]:
        if path.is_dir() and not path.is_symlink():
            path.chmod(0o755)


def check(look: Callable[..., dict[str, Any]], whole: Path, folder: Path, names: list[str]) -> None:
    made = hostile.make(folder, whole, names)
    give_away(folder)
    try:
        for name, run in made.items():
            before = listing(run, folder / "outside")
            for command in commands(run, whole.parent / "data.npz"):
                answer = look(*command)
                said = (name, command[0], answer)
                assert answer["code"] in (0, 2), said
                assert answer["seconds"] < SECONDS, said
                assert answer["memory"] < MEGABYTES, said
                assert "Traceback" not in answer["err"], said
                assert answer["code"] == 0 or answer["err"].startswith("automl: "), said
                assert "\x1b" not in answer["out"] + answer["err"], said
                assert answer["page"][:3] in ("", "200"), said
            assert listing(run, folder / "outside") == before, name
    finally:
        take_back(folder)
    assert list((folder.parent / "tmp").iterdir()) == []


@pytest.mark.slow
def test_hostile_run_is_looked_at_by_every_command_without_harm(look, whole, tmp_path):
    check(look, whole, tmp_path / "hostile", SOME)


@pytest.mark.skipif("AUTOML_ALL_HOSTILE" not in os.environ, reason="an hour: set AUTOML_ALL_HOSTILE=1 to run it")
@pytest.mark.parametrize("piece", range(PIECES))
def test_hostile_run_of_any_kind_is_looked_at_by_every_command_without_harm(piece, look, whole, tmp_path):
    check(look, whole, tmp_path / "hostile", list(hostile.faults(tmp_path / "outside"))[piece::PIECES])


def test_hostile_run_without_a_fault_is_shown_by_every_command(look, whole):
    for command in commands(whole, whole.parent / "data.npz"):
        answer = look(*command)
        assert answer["code"] == 0, answer
        assert command[0] != "dashboard" or answer["page"].startswith("200"), answer
