"""Debian's chromium without a window: the document after its scripts, a screenshot, the console, requests, sizes."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run",
    "--enable-logging=stderr", "--virtual-time-budget=20000",
    # Nothing leaves the machine, neither for the page nor for chromium itself.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]  # fmt: skip
DARK = ["--force-dark-mode", "--blink-settings=preferredColorScheme=0"]

Browse = Callable[..., tuple[str, list[str]]]
Requests = Callable[[str], list[str]]
Measure = Callable[..., dict[str, Any]]

# A window is at least 500 pixels wide; a frame can be narrower, and the page around it can look inside.
FRAME = """<!doctype html><iframe id="frame" src="{url}" style="border: 0; width: {width}px; height: 2000px"></iframe>
<pre id="found"></pre><script>
onload = () => {{
  const page = frame.contentDocument;
  const sizes = (tag) => [...page.querySelectorAll(tag)].map((element) => {{
    const box = element.getBoundingClientRect();
    return [Math.round(box.width), Math.round(box.height)];
  }});
  found.textContent = JSON.stringify({{
    width: page.documentElement.scrollWidth,
    background: getComputedStyle(page.body).backgroundColor,
    svg: sizes("svg"), table: sizes("table"), img: sizes("img"),
    loaded: [...page.images].filter((image) => image.naturalWidth > 0).length,
    rows: [...page.querySelectorAll("table")].map((table) => table.rows.length),
    listeners: page.querySelectorAll("[onerror], [onload], script").length,
  }});
}};
</script>"""


@pytest.fixture
def browse(tmp_path: Path) -> Browse:
    """`browse(url, width=1280, picture=None, flags=())` returns the document and the lines of the console."""
    if not CHROMIUM.exists():
        pytest.skip(f"{CHROMIUM} is missing")

    def open_page(
        url: str, width: int = 1280, picture: Path | None = None, flags: list[str] | None = None
    ) -> tuple[str, list[str]]:
        profile = [f"--user-data-dir={tmp_path / 'profile'}", f"--window-size={width},1600"]
        command = [CHROMIUM, *FLAGS, *profile, *(flags or [])]
        asked = f"--screenshot={picture}" if picture else "--dump-dom"
        done = subprocess.run([*command, asked, url], capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]

    return open_page


@pytest.fixture
def requests(browse: Browse, tmp_path: Path) -> Requests:
    """`requests(url)` lists the addresses on other machines that the page asked for; chromium's own are left out."""

    def listed(url: str) -> list[str]:
        log = tmp_path / "net.json"
        browse(url, flags=[f"--log-net-log={log}"])
        events = json.loads(log.read_text())["events"]
        asked = [event["params"] for event in events if {"url", "initiator"} <= event.get("params", {}).keys()]
        of_pages = [each["url"] for each in asked if each["initiator"] != "not an origin"]
        return [address for address in of_pages if not address.startswith(("http://127.0.0.1", "ws://127.0.0.1"))]

    return listed


@pytest.fixture
def measure(browse: Browse, tmp_path: Path) -> Measure:
    """`measure(url, width, dark=False)` opens the page in a frame and returns what `FRAME` finds there."""

    def measured(url: str, width: int, dark: bool = False) -> dict[str, Any]:
        frame = tmp_path / "frame.html"
        frame.write_text(FRAME.format(url=url, width=width))
        document, console = browse(
            frame.as_uri(), width + 40, flags=["--allow-file-access-from-files", *(DARK if dark else [])]
        )
        assert console == []
        text = document.partition('<pre id="found">')[2].partition("</pre>")[0]
        return json.loads(text)  # type: ignore[no-any-return]

    return measured
