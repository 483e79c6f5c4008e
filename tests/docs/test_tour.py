"""The guided tour, typed as it stands there, but for the time that it gives to a search."""

from __future__ import annotations

import csv
import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

DOCS = Path(__file__).parents[2] / "docs"
TOUR = (DOCS / "guided-tour.md").read_text(encoding="utf-8")
PHOTOS, TABLE = TOUR.split("\n## A table\n")
SHOWN = re.compile(r"```\n(.*?)```", re.DOTALL)

pytestmark = pytest.mark.slow


def type_in(part: str, folder: Path) -> str:
    """Runs the commands of a part of the tour in the folder, and returns what they print."""
    said = ""
    for block in re.findall(r"```sh\n(.*?)```", part, re.DOTALL):
        for line in block.splitlines():
            words = re.sub(r"--timeout \S+", "--timeout 40s", line.partition("#")[0]).split()
            if words[1] == "dashboard":  # which stays; see test_dashboard.py
                continue
            done = subprocess.run(
                [sys.executable, "-m", *words],
                cwd=folder,
                env={**os.environ, "AUTOML_CACHE": str(folder / "cache")},
                capture_output=True,
                text=True,
                timeout=300,
            )
            assert done.returncode == 0, f"{line}\n{done.stderr}"
            said += done.stdout + done.stderr
    return said


def insect(kind: int, rng: np.random.Generator) -> Image.Image:
    """A photo of any size, of a dark or a yellow animal."""
    pixels = rng.normal(128, 30, (*rng.integers(150, 260, 2), 3))
    pixels[40:110, 30:120] = (40, 30, 20) if kind else (230, 180, 30)
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def test_photos_in_folders_and_in_a_list_are_searched_and_the_models_used(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for side, count in (("train", 16), ("val", 6)):
        for kind, name in enumerate(("bees", "ants")):
            (tmp_path / "insects" / side / name).mkdir(parents=True)
            for number in range(count):
                insect(kind, rng).save(tmp_path / "insects" / side / name / f"{number}.jpg")
    leaves = tmp_path / "leaves"
    for side in ("train", "test"):
        (leaves / side).mkdir(parents=True)
        for number in range(24):
            insect(number % 2, rng).save(leaves / side / f"{number}.jpg")
    (leaves / "train.csv").write_text("id,label\n" + "".join(f"{n},{'oak' if n % 2 else 'elm'}\n" for n in range(24)))
    said = type_in(PHOTOS, tmp_path)
    assert "12 test photos from val/" in said
    rows = list(csv.DictReader((tmp_path / "submission.csv").open()))
    assert [row["label"] for row in rows] == ["oak" if int(Path(row["file"]).stem) % 2 else "elm" for row in rows]
    assert len(list(csv.DictReader((tmp_path / "predictions.csv").open()))) == 12
    assert (tmp_path / "insects.onnx").exists()


def test_a_table_as_an_office_keeps_it_is_searched_and_the_model_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(DOCS / "passengers.py"), run_name="__main__")
    said = type_in(TABLE, tmp_path)
    (shown,) = SHOWN.findall(re.sub(r"```sh\n.*?```", "", TABLE, flags=re.DOTALL))
    understood = [line for line in shown.splitlines() if line.startswith(("data", "note", " "))]
    assert len(understood) >= 5
    assert [line for line in understood if line not in said] == []
    assert len(list(csv.DictReader((tmp_path / "predictions.csv").open()))) == 400
