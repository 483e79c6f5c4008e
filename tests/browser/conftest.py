"""Debian's chromium without a window: the document after its scripts, a screenshot, and what the console said."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run",
    "--enable-logging=stderr", "--virtual-time-budget=20000",
]  # fmt: skip

Browse = Callable[..., tuple[str, list[str]]]


@pytest.fixture
def browse(tmp_path: Path) -> Browse:
    """`browse(url, width=1280, picture=None)` returns the document and the lines of the console."""
    if not CHROMIUM.exists():
        pytest.skip(f"{CHROMIUM} is missing")

    def open_page(url: str, width: int = 1280, picture: Path | None = None) -> tuple[str, list[str]]:
        command = [CHROMIUM, *FLAGS, f"--user-data-dir={tmp_path / 'profile'}", f"--window-size={width},1600"]
        asked = f"--screenshot={picture}" if picture else "--dump-dom"
        done = subprocess.run([*command, asked, url], capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]

    return open_page
