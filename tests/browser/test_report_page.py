"""The report as a browser shows it, on a wide and on a narrow screen."""

from __future__ import annotations

import copy
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from automl.results.report import write_report
from automl.study.folder import RunFolder

Browse = Callable[..., tuple[str, list[str]]]


@pytest.mark.parametrize("width", [1280, 400])
def test_the_report_shows_its_sections_without_an_error(
    width: int, browse: Browse, finished_run: Any, tmp_path: Path
) -> None:
    url, picture = finished_run.folder.report.as_uri(), tmp_path / "report.png"
    document, console = browse(url, width)
    for heading in ("Race", "Leaderboard", "Data", "Settings", "Versions"):
        assert f"<h2>{heading}</h2>" in document
    assert document.count("<svg") >= 2
    assert console == []
    browse(url, width, picture)
    with Image.open(picture) as image:
        assert image.width >= min(width, 400)
        assert len(image.convert("RGB").getcolors(1 << 24) or []) > 50  # more than an empty page


def test_a_class_name_that_is_html_does_nothing(browse: Browse, finished_run: Any, tmp_path: Path) -> None:
    folder = RunFolder(shutil.copytree(finished_run.path, tmp_path / "run"))
    record = copy.deepcopy(folder.read_record())
    record["data"]["classes"] = ["<img src=x onerror=\"document.title='executed'\">", "b", "c"]
    write_report(finished_run.summary, record, folder)
    document, console = browse(folder.report.as_uri())
    assert "<img" not in document
    assert "<title>executed" not in document
    assert console == []
