"""The dashboard as a browser shows it."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Browse = Callable[..., tuple[str, list[str]]]


@pytest.mark.slow
def test_the_page_shows_the_study_and_its_note_and_loads_nothing_from_elsewhere(
    browse: Browse, requests: Callable[[str], list[str]], finished_run: Any, tmp_path: Path
) -> None:
    run = shutil.copytree(finished_run.path, tmp_path / "run")
    server = subprocess.Popen(
        [sys.executable, "-m", "automl", "dashboard", run, "--port", "0", "--no-browser"],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert server.stdout is not None
        match = re.search(r"(http://127\.0\.0\.1:\d+)/dashboard/studies/0(\?token=\S+)", server.stdout.readline())
        assert match
        address, token = match.groups()
        studies, _ = browse(f"{address}/dashboard{token}")
        assert finished_run.record.study in studies
        note, console = browse(f"{address}/dashboard/studies/0/note{token}")
        assert [line for line in console if "ERROR" in line] == []
        assert requests(f"{address}/dashboard/studies/0/note{token}") == []
        assert "mid &lt;b&gt;" in note  # a class name is text, not an element
        assert "automl resume" in re.sub(r"<[^>]+>", "", note)
        server.send_signal(signal.SIGINT)
        assert server.wait(90) == 0
    finally:
        server.kill()
        server.communicate()
