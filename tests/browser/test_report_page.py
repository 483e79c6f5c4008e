"""The report as a browser shows it, on a wide and on a narrow screen, in light and in dark."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from automl.data.sources.arrays import from_arrays
from automl.models.mistakes import save_mistakes
from automl.models.test_predictions import Predictions, load_tested, save_tested
from automl.results.report import write_report
from automl.run.folder import RunFolder

Browse = Callable[..., tuple[str, list[str]]]
EVIL = "<img src=x onerror=\"document.title='executed'\">"


@pytest.fixture(scope="module")
def mistaken(finished_run: Any, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """The run with a class called `EVIL`, and with a model that takes four test samples for the next class."""
    folder = RunFolder(shutil.copytree(finished_run.path, tmp_path_factory.mktemp("mistaken") / "run"))
    record = folder.read_record()
    record = record.but(data=record.data.model_copy(update={"classes": (EVIL, "b", "c")}))
    tested = load_tested(folder)
    assert tested is not None
    predicted = tested.predicted.copy()
    predicted[:4] = 0.03
    predicted[range(4), (tested.truth[:4] + 1) % 3] = 0.94
    tested = Predictions(tested.index, tested.truth, predicted)
    save_tested(folder, tested)
    x = np.random.default_rng(0).integers(0, 255, (61, 3, 20, 30)).astype(np.uint8)
    save_mistakes(folder, tested, from_arrays(x, np.arange(61) % 3, name="bars"))
    write_report(finished_run.summary, record, folder)
    return folder


def test_the_report_shows_its_sections_without_an_error(browse: Browse, finished_run: Any) -> None:
    document, console = browse(finished_run.folder.report.as_uri())
    for heading in ("Leaderboard", "Race", "Learning curves", "Score by parameter", "Test set", "Data", "Run it again",
                    "Settings", "Versions"):  # fmt: skip
        assert f"<h2>{heading}</h2>" in document
    assert console == []


@pytest.mark.parametrize("width", [1280, pytest.param(400, marks=pytest.mark.slow)])
def test_the_table_and_each_picture_are_there_and_fit_the_screen(
    width: int, measure: Callable[..., Any], mistaken: RunFolder
) -> None:
    found = measure(mistaken.report.as_uri(), width)
    assert found["width"] <= width  # what is wider scrolls by itself
    assert found["rows"][0] == 1 + 6  # the leaderboard: its head and the trials
    assert len(found["svg"]) >= 1 + 2 + 2  # the race, the finalists, by parameter
    assert all(wide >= 200 and high >= 100 for wide, high in found["svg"])
    assert found["loaded"] == len(found["img"]) >= 4
    assert all(side in ([96, 96], [48, 48]) for side in found["img"])  # photos, and the neighbours of mistakes


@pytest.mark.slow
def test_the_report_is_light_or_dark_as_the_reader_wishes(measure: Callable[..., Any], mistaken: RunFolder) -> None:
    light, dark = (measure(mistaken.report.as_uri(), 600, dark)["background"] for dark in (False, True))
    assert light == "rgb(252, 252, 251)"
    assert dark == "rgb(25, 25, 24)"


@pytest.mark.slow
def test_no_request_leaves_the_machine(
    requests: Callable[[str], list[str]], mistaken: RunFolder, tmp_path: Path
) -> None:
    assert requests(mistaken.report.as_uri()) == []
    careless = tmp_path / "careless.html"  # what would be seen of a page that loads something
    careless.write_text('<img src="http://example.invalid/picture.png">')
    assert requests(careless.as_uri()) == ["http://example.invalid/picture.png"]


def test_a_class_name_that_is_html_does_nothing(
    browse: Browse, measure: Callable[..., Any], mistaken: RunFolder
) -> None:
    document, console = browse(mistaken.report.as_uri())
    assert document.count("&lt;img src=x onerror=") >= 3  # data, matrix, classes, mistakes
    assert "<img src=x" not in document
    assert "<title>executed" not in document
    assert console == []
    assert measure(mistaken.report.as_uri(), 1280)["listeners"] == 0


@pytest.mark.slow
@pytest.mark.parametrize("width", [1280, 500])
def test_a_picture_of_the_report_is_more_than_an_empty_page(
    width: int, browse: Browse, finished_run: Any, tmp_path: Path
) -> None:
    picture = tmp_path / "report.png"
    browse(finished_run.folder.report.as_uri(), width, picture)
    with Image.open(picture) as image:
        assert image.width == width
        assert len(image.convert("RGB").getcolors(1 << 24) or []) > 50
