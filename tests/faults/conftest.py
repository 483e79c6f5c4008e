"""The real command, in this process (fast) or in one of its own (to be killed)."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hostile
import pytest


@dataclass
class Answer:
    """What the command returned and printed."""

    code: int
    out: str
    err: str


Command = Callable[..., Answer]


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Each test runs in an empty folder with a cache of its own."""
    monkeypatch.setenv("AUTOML_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def automl(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Command:
    """`automl(*arguments)` calls the command line's `main` as the console script does."""
    from automl.cli import main

    def call(*arguments: object) -> Answer:
        monkeypatch.setattr(sys, "argv", ["automl", *map(str, arguments)])
        capfd.readouterr()
        try:
            main()
            code = 0
        except SystemExit as exit:
            code = exit.code if isinstance(exit.code, int) else int(exit.code is not None)
        captured = capfd.readouterr()
        return Answer(code, captured.out, captured.err)

    return call


@pytest.fixture
def start() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """`start(*arguments)` starts the command as a process of its own; `failpoint` says where it is to die.

    It sees no CUDA device, so that workers are forked on every machine. What a failed test has left running is killed.
    """
    started: list[subprocess.Popen[str]] = []

    def begin(*arguments: object, failpoint: str = "") -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "automl", *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1", "AUTOML_FAILPOINT": failpoint, "CUDA_VISIBLE_DEVICES": ""},
        )
        started.append(process)
        return process

    yield begin
    for process in started:
        if process.poll() is None:
            process.kill()
            process.communicate()


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of two trials, beside its data.npz. It is only looked at."""
    return hostile.search_small(tmp_path_factory.mktemp("whole"))


@pytest.fixture(scope="session")
def looker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[subprocess.Popen[str]]:
    """The process that `look` asks; it imports what commands need, once for all tests."""
    command = [sys.executable, str(Path(__file__).with_name("looker.py"))]
    if os.geteuid() == 0 and shutil.which("setpriv"):  # a superuser without privileges, who can still read the code
        command = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", *command]
    home = {"HOME": str(tmp_path_factory.mktemp("home")), "OMP_NUM_THREADS": "1"}
    server = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, **home}
    )
    assert server.stdin is not None
    yield server
    server.stdin.close()
    assert server.wait(60) == 0


@pytest.fixture
def look(tmp_path: Path, looker: subprocess.Popen[str]) -> Callable[..., dict[str, Any]]:
    """`look(*arguments)` runs a command as a user who may not write to what belongs to another one; see `looker.look`.

    It runs in tmp_path/out.
    """
    for name in ("out", "tmp", "home"):
        (tmp_path / name).mkdir()
    places = {"TMPDIR": tmp_path / "tmp", "HOME": tmp_path / "home", "AUTOML_CACHE": tmp_path / "home" / "cache"}
    environment = {name: str(path) for name, path in places.items()}

    def ask(*arguments: object, **how: object) -> dict[str, Any]:
        assert looker.stdin is not None
        assert looker.stdout is not None
        order = {"arguments": list(map(str, arguments)), "folder": str(tmp_path / "out"), "environment": environment}
        print(json.dumps(order | how), file=looker.stdin)
        looker.stdin.flush()
        answer: dict[str, Any] = json.loads(looker.stdout.readline())
        return answer

    return ask
