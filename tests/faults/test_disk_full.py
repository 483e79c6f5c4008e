"""A disk that is full stops a search; nothing that was there is lost, and it goes on when there is space again."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

import automl as package

SMALL = [
    "--space",
    "smoke",
    "--architecture",
    "mlp",
    "--folds",
    "2",
    "--epochs",
    "2",
    "--threads",
    "1",
    "--repeats",
    "1",
    "--quiet",
]


@pytest.fixture
def small_disk(tmp_path: Path):
    """A file system of 2 MB, and what changes its size."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", disk], capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"a file system can be mounted by root only: {mounted.stderr.strip()}")

    def resize(size: str) -> None:
        subprocess.run(["mount", "-o", f"remount,size={size}", disk], check=True)

    yield disk, resize
    subprocess.run(["umount", disk], check=True)


def fill(disk: Path, left: int) -> Path:
    """Leaves so many bytes, in whole pages, on the disk."""
    ballast = disk / "ballast"
    ballast.unlink(missing_ok=True)
    free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize
    ballast.write_bytes(bytes(free - left))
    return ballast


def trials_of(automl, run: Path) -> dict[int, dict]:
    answer = automl("leaderboard", run, "--json")
    assert answer.code == 0, answer.err
    return {trial["number"]: trial for trial in json.loads(answer.out)["trials"]}


def assert_intact(automl, run: Path, before: dict[int, dict]) -> None:
    """Every finished trial is as it was, and the model predicts."""
    trials = trials_of(automl, run)
    assert {number: trials[number] for number in before} == before
    assert package.load_model(run).predict(np.zeros((1, 8, 8), dtype=np.uint8)).shape == (1,)
    assert not list(run.rglob("*.tmp"))


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_disk_full_ends_with_exit_3_and_one_line_and_the_search_goes_on_when_there_is_space(
    workers, small_disk, automl
):
    disk, resize = small_disk
    run = disk / "run"
    answer = automl("search", "digits", "--out", run, "--trials", 3, *SMALL)
    assert answer.code == 0, answer.err
    before = trials_of(automl, run)
    assert {trial["state"] for trial in before.values()} <= {"COMPLETE", "PRUNED"}

    answer = automl("resume", run, "--trials", 80, "--workers", workers, "--quiet")  # about 70 kB each
    assert answer.code == 3
    assert answer.err.startswith("automl: the disk failed: No space left on device")
    assert answer.err.count("\n") == 1
    assert_intact(automl, run, before)
    asked = trials_of(automl, run)

    resize("64m")
    answer = automl("resume", run, "--trials", len(asked) + 1, "--workers", workers, "--quiet")
    assert answer.code == 0, answer.err
    after = trials_of(automl, run)
    assert sorted(after) == list(range(len(asked) + 1))
    ended = {number: trial for number, trial in asked.items() if trial["state"] != "RUNNING"}
    assert {number: after[number] for number in ended} == ended
    assert {trial["state"] for trial in after.values()} <= {"COMPLETE", "PRUNED"}


@pytest.mark.slow
def test_disk_full_at_whatever_moment_leaves_the_earlier_model_and_the_study_intact(small_disk, automl):
    disk, _ = small_disk
    run = disk / "run"
    assert automl("search", "digits", "--out", run, "--trials", 2, *SMALL).code == 0
    before = trials_of(automl, run)
    codes = []
    for pages in (0, 1, 2, 8, 24, 40, 60, 90):
        ballast = fill(disk, pages * 4096)
        answer = automl("resume", run, "--trials", 4, "--quiet")
        codes.append(answer.code)
        assert answer.code in (0, 3), answer.err
        if answer.code == 3:
            assert answer.err.startswith("automl: the disk failed: No space left on device")
            assert answer.err.count("\n") == 1
        assert_intact(automl, run, before)
        ballast.unlink()
        if answer.code == 0:
            break
    assert codes.count(3) >= 4
    assert automl("resume", run, "--trials", 4, "--quiet").code == 0
    assert len(trials_of(automl, run)) == 4
