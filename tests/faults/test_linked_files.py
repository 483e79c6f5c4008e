"""Links, named pipes, devices and folders where a file belongs: refused, and what they lead to stays as it is."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

SMALL = {"folds": 2, "epochs": 1, "finalists": 1, "repeats": 1, "threads": 1, "workers": 1, "report": False}
SEARCH = ["--space", "smoke", "--architecture", "mlp", "--folds", 2, "--epochs", 1, "--trials", 1, "--quiet"]
SECRET = b"it belongs to somebody else\n"


@pytest.fixture(autouse=True)
def no_hang() -> Iterator[None]:
    """A command that waits for a pipe fails instead of holding up all tests."""

    def late(signum: int, frame: object) -> None:
        raise AssertionError("it hangs")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(120)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture
def run(digits_run, tmp_path) -> Path:
    shutil.copytree(digits_run.path, tmp_path / "run")
    return tmp_path / "run"


@pytest.fixture
def digits(tmp_path) -> Path:
    np.savez(tmp_path / "digits.npz", x=np.zeros((4, 8, 8), dtype=np.uint8), y=np.arange(4) % 2)
    return tmp_path / "digits.npz"


def pipe(path: Path) -> None:
    os.mkfifo(path)


def device(path: Path) -> None:
    """What only a superuser may make; a link to one is as endless to whoever follows it."""
    path.symlink_to("/dev/zero")


def folder(path: Path) -> None:
    path.mkdir()


def link(path: Path) -> None:
    target = path.parent.parent / f"elsewhere-{path.name}"
    target.write_bytes(SECRET)
    path.symlink_to(target)


def dead_link(path: Path) -> None:
    path.symlink_to(path.parent.parent / f"elsewhere-{path.name}")


KINDS = [pipe, device, folder, link, dead_link]
READING = {"run.yaml": ["leaderboard", "resume"], "journal.log": ["leaderboard", "show", "report", "resume"],
           "splits.npz": ["resume"], "run.lock": ["resume"], "model/model.json": ["predict", "export"],
           "model/model.safetensors": ["predict", "evaluate", "export"]}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", READING)
def test_linked_files_in_a_run_are_refused_by_every_command_that_needs_them(kind, name, automl, run, digits):
    path = run / name
    path.unlink()
    kind(path)
    target = path.parent.parent / f"elsewhere-{path.name}"
    arguments = {"predict": [digits], "evaluate": [digits], "export": ["--format", "state-dict"], "resume": ["--quiet"]}
    for command in READING[name]:
        answer = automl(command, run, *arguments.get(command, []))
        assert answer.code == 2, (command, answer.err)
        assert "Traceback" not in answer.err
        assert path.name in answer.err
        assert path.is_symlink() or path.is_fifo() or path.is_dir()
        if kind is link:
            assert target.read_bytes() == SECRET
        elif kind is dead_link:
            assert not target.exists()


@pytest.mark.parametrize("name", ["checkpoints", "artifacts", "model", "logs"])
def test_linked_files_a_folder_of_a_run_that_leads_elsewhere_is_refused(name, automl, run, tmp_path):
    there = tmp_path / "elsewhere"
    if (run / name).exists():
        shutil.move(run / name, there)
    else:
        there.mkdir()
    (run / name).symlink_to(there)
    before = {path: path.read_bytes() for path in there.rglob("*") if path.is_file()}
    for command in (["leaderboard"], ["resume", "--trials", 3, "--quiet"], ["fit", "--final", "ensemble"]):
        answer = automl(command[0], run, *command[1:])
        assert answer.code == 2
        assert f"{name}: is a link" in answer.err
    assert {path: path.read_bytes() for path in there.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("kind", [pipe, device, link])
def test_linked_files_artifacts_that_are_none_are_passed_over(kind, automl, run):
    for path in [*run.glob("artifacts/*.npz"), *run.glob("checkpoints/*.safetensors")]:
        path.unlink()
        kind(path)
    for command in (["leaderboard", run], ["show", run, 0], ["report", run]):
        answer = automl(*command)
        assert answer.code == 0, answer.err


@pytest.mark.parametrize("kind", [pipe, device, folder, dead_link])
def test_linked_files_pipes_and_devices_as_what_a_user_names_are_refused(kind, automl, run, digits, tmp_path):
    here = tmp_path / "given" / "folder"
    here.mkdir(parents=True)
    photos = tmp_path / "photos"
    for name in ("a", "b"):
        (photos / name).mkdir(parents=True)
    odd = {name: here / name for name in ("x.npz", "x.csv", "x.yaml", "x.py", "x.safetensors", "x.pth", "x.png")}
    for path in odd.values():
        kind(path)
    transfer = ["--architecture", "transfer", "--folds", 2, "--epochs", 1, "--trials", 1]
    inside = json.dumps({"architectures": {"transfer": {"weights": str(odd["x.pth"]), "backbone": "resnet18"}}})
    commands: list[list[object]] = [
        ["search", odd["x.npz"], *SEARCH],
        ["search", odd["x.csv"], "--target", "y", *SEARCH],
        ["search", photos, "--groups", odd["x.csv"], *SEARCH],
        ["search", digits, "--space", odd["x.yaml"], "--trials", 1],
        ["space", "check", odd["x.yaml"]],
        ["search", digits, "--plugin", odd["x.py"], *SEARCH],
        ["search", digits, "--space", inside, "--folds", 2, "--epochs", 1, "--trials", 1],
        ["predict", run, odd["x.npz"]],
        ["predict", run, odd["x.csv"]],
        ["evaluate", run, odd["x.npz"]],
    ]
    if kind is not folder:
        commands += [["predict", run, odd["x.png"]]]
        commands += [["search", digits, *transfer, "--weights", odd[name]] for name in ("x.safetensors", "x.pth")]
    for command in commands:
        answer = automl(*command)
        assert answer.code == 2, (command, answer.err)
        assert "Traceback" not in answer.err, command
    assert not list(Path.cwd().glob("runs/*/journal.log"))


def test_linked_files_a_file_larger_than_memory_is_not_read(automl, run, digits):
    weights = run / "model" / "model.safetensors"
    os.truncate(weights, 1 << 42)  # sparse: it takes no room
    answer = automl("predict", run, digits)
    assert answer.code == 2
    assert "model.safetensors: cannot be read (has 4,194,304 MiB" in answer.err
    os.truncate(run / "run.yaml", 1 << 42)
    answer = automl("leaderboard", run)
    assert answer.code == 2
    assert "run.yaml: cannot be read: has 4,194,304 MiB" in answer.err


@pytest.mark.parametrize("leave", [Path.touch, dead_link, pipe])
def test_linked_files_a_lock_file_that_an_earlier_process_left_costs_nothing(
    leave: Callable[[Path], None], automl, run
):
    leave(run / "journal.log.lock")
    signal.alarm(25)  # Optuna's own lock would be waited for 30 s
    answer = automl("leaderboard", run)
    assert answer.code == 0, answer.err
    assert "Traceback" not in answer.err


def test_linked_files_a_journal_that_is_held_by_a_process_that_does_not_end_is_said(run, monkeypatch):
    from automl.study.storage import journal

    monkeypatch.setattr(journal, "PATIENCE", 0.1)
    with (run / "journal.log").open("ab") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(OSError, match="another process holds its lock"):
            journal.Journal(run / "journal.log").append_logs([{"op_code": 8}])
    journal.Journal(run / "journal.log").append_logs([{"op_code": 8}])
