"""What a test looks at while a command runs: its processes, and what its run has come to."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

PATIENCE = 150.0  # seconds: a busy machine imports torch for half a minute, in every process


def wait_for(
    condition: Callable[[], Any], search: subprocess.Popen[str] | None = None, seconds: float = PATIENCE
) -> Any:
    """The first true value of `condition()`; fails where none comes in time, or `search` ends before."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := condition():
            return found
        assert search is None or search.poll() is None, search.communicate()
        time.sleep(0.02)
    raise AssertionError("it did not come so far")


def children(process: int) -> list[int]:
    """The processes that it has started."""
    found = subprocess.run(["pgrep", "-P", str(process)], capture_output=True, text=True)
    return [int(line) for line in found.stdout.split()]


def workers_of(search: int) -> list[int]:
    """The workers of this search, which its fork server has forked."""
    return [worker for server in children(search) for worker in children(server)]


def processes_of(search: int) -> list[int]:
    """All that this search has started: fork server, workers, and a small helper of `multiprocessing`."""
    return [*children(search), *workers_of(search)]


def is_alive(process: int) -> bool:
    """Whether it runs: one that has ended and was not asked for yet does not."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def board(automl: Callable[..., Any], run: Path) -> dict[str, Any]:
    """What `automl leaderboard RUN --json` prints."""
    answer = automl("leaderboard", run, "--json")
    assert answer.code == 0, answer.err
    found: dict[str, Any] = json.loads(answer.out)
    return found
