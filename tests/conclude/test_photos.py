"""The inspection of photos at the end of a search, with a real search and its report."""

from __future__ import annotations

import json
import shutil
from itertools import count
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from automl.cli import app
from automl.conclude import photos as module
from automl.conclude.photos import inspect_photos
from automl.data.sources.load import load
from automl.errors import Interrupted
from automl.models.inspection import load_inspection
from automl.models.model import load_model
from automl.models.photos import load_pictures
from automl.results.run import open_run
from automl.run.folder import RunFolder
from automl.run.prepare import prepare
from automl.run.record import settings_of
from automl.scheduling.deadline import Budget
from automl.study.storage.opening import load_study, open_storage

COLOURS = {"blue": (40, 60, 200), "green": (40, 190, 60), "red": (210, 50, 40)}
EVIL = "<img src=x onerror=alert(1)>.png"
TINY = [
    "--space", "images", "--architecture", "lenet", "--trials", 1, "--folds", 3, "--epochs", 8, "--repeats", 1,
    "--seed", 1, "--workers", 1, "--threads", 1, "--device", "cpu",
    "--set", "train.lr=0.01", "--set", "train.optimizer=adam", "--set", "train.batch_size=8",
    "--set", "train.augmentation=none",
]  # fmt: skip
FLIPPED = ["--set", "train.horizontal_flip=0.5"]


def photo(colour: str, rng: np.random.Generator) -> Image.Image:
    patches = rng.normal(COLOURS[colour], 40, (6, 6, 3)).clip(0, 255).astype(np.uint8)
    return Image.fromarray(patches).resize((40, 40), Image.Resampling.BICUBIC)


def call(*arguments: object) -> str:
    result = CliRunner().invoke(app, [str(each) for each in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photos in three colours. One of each side stands under a wrong label, and one of the test is a copy."""
    made, rng = tmp_path_factory.mktemp("photos") / "data", np.random.default_rng(0)
    for side, each in (("train", 16), ("test", 6)):
        for colour in COLOURS:
            (made / side / colour).mkdir(parents=True)
            for number in range(each):
                photo(colour, rng).save(made / side / colour / f"{number}.png")
    photo("green", rng).save(made / "train" / "red" / EVIL)
    photo("green", rng).save(made / "test" / "blue" / "odd.png")
    with Image.open(made / "train" / "blue" / "3.png") as original:
        original.save(made / "test" / "blue" / "copy.jpg", quality=60)
    return made


@pytest.fixture(scope="module")
def run(folder: Path) -> RunFolder:
    call("search", folder, *TINY, *FLIPPED, "--out", folder.parent / "run")
    return RunFolder(folder.parent / "run")


@pytest.fixture
def again(run: RunFolder, folder: Path, tmp_path: Path):
    """`again(budget)` inspects a copy of the run anew; `again.folder` is the copy's."""
    copied = RunFolder(shutil.copytree(run.path, tmp_path / "run"))
    copied.inspection.unlink()
    record = copied.read_record()
    context = prepare(settings_of(record, {}), load(str(folder)))
    study = load_study(open_storage(None, copied.journal), record.study, None)
    work = SimpleNamespace(folder=copied, study=study, resident=context.resident())

    def inspect(budget: Budget | None = None):
        model = load_model(copied.model)
        inspect_photos(context, work, budget or Budget.of(0), record.final.trial, model)
        return load_inspection(copied).photos

    inspect.folder = copied
    return inspect


def test_a_label_that_was_changed_is_found_by_predictions_out_of_fold(run):
    known = load_inspection(run).photos
    assert known.left_out == {}
    first = known.suspects.photos[0]
    assert (first.name, first.label, first.predicted) == (f"train/red/{EVIL}", "red", "green")
    assert first.probability > 0.9
    assert (known.suspects.asked, known.suspects.total, known.suspects.folds) == (49, 49, 3)
    assert known.suspects.agree > 0.9
    assert first.sample in load_pictures(run).by_sample


def test_a_copy_in_the_test_set_is_named_with_its_original(run):
    (pair,) = load_inspection(run).photos.near_copies.pairs
    assert (pair.test.name, pair.training.name) == ("test/blue/copy.jpg", "train/blue/3.png")
    assert pair.similarity > 0.98


def test_a_mistake_is_near_to_what_it_looks_like(run, folder):
    known = load_inspection(run).photos.neighbours
    odd = load(str(folder)).names.index("test/blue/odd.png")
    assert [each.label for each in known.of[odd]][:2] == ["green", "green"]
    assert all(each.name.startswith("train/") for each in known.of[odd])
    assert known.compared == known.total == 49


def test_photos_are_shown_as_the_network_is_given_them(run, folder):
    seen, data = load_inspection(run).photos.seen, load(str(folder))
    assert [photo.label for photo in seen.photos] == ["blue"] * 3 + ["green"] * 3 + ["red"] * 3
    assert (seen.shape, seen.changes, seen.frozen) == ((3, 40, 40), ("horizontal flip",), False)
    for photo, given in zip(seen.photos, load_pictures(run).seen, strict=True):
        whole = np.asarray(data.x[photo.sample])
        assert (given == whole).all() or (given == whole[..., ::-1]).all()


def test_the_report_shows_all_of_it_and_escapes_what_comes_from_outside(run):
    page = " ".join(run.report.read_text().split())
    for heading in ("Suspect labels", "Photos as the network sees them"):
        assert f"<h2>{heading}</h2>" in page
    assert "Column importances" not in page
    assert "<h3>Near copies across the cut</h3>" in page
    assert "<b>test/blue/copy.jpg</b> and <b>train/blue/3.png</b>" in page
    assert "red → <b>green</b>" in page
    assert "train/red/&lt;img src=x onerror=alert(1)&gt;.png" in page
    assert "<img src=x" not in page
    assert 'class="strip"' in page


def test_the_report_needs_no_data_and_without_pictures_there_are_tables(run, tmp_path):
    copied = shutil.copytree(run.path, tmp_path / "run")
    (copied / "artifacts" / "photos.npz").write_bytes(b"PK torn")
    call("report", copied)
    page = " ".join((copied / "report.html").read_text().split())
    assert "<details open><summary>As a table</summary>" in page
    assert "<td>train/blue/3.png</td>" in page
    assert "Photos as the network sees them" not in page
    assert 'class="strip"' not in page


def test_the_same_run_is_inspected_to_the_same_end(run, again):
    found, known = again(), load_inspection(run).photos
    assert found.suspects == known.suspects
    assert found.seen == known.seen
    assert (load_pictures(again.folder).seen == load_pictures(run).seen).all()


def test_what_an_earlier_session_has_found_stands(again, monkeypatch):
    first = again()
    monkeypatch.setattr(module, "_Inspector", None)
    assert again() == first


def test_networks_that_are_gone_leave_out_what_needs_them_alone(again):
    trial = again.folder.read_record().final.trial
    again.folder.checkpoint(trial).unlink()
    known = again()
    why = f"the networks of the folds of trial {trial} are not on this machine any more"
    assert known.left_out == {"suspects": why}
    assert known.near_copies.found == 1
    assert known.neighbours.compared == 49
    open_run(again.folder.path).report(None)
    assert f"Left out: {why}." in again.folder.report.read_text()


def test_a_network_that_fails_stops_nothing(again, monkeypatch):
    def fail(*_, **__):
        raise ValueError("no <b>memory</b>")

    monkeypatch.setattr(module, "predict_out_of_fold", fail)
    monkeypatch.setattr(module, "Penultimate", fail)
    known = again()
    why = "it could not be found out (ValueError: no <b>memory</b>)"
    assert known.left_out == {"suspects": why, "neighbours": why}
    assert [pair.similarity for pair in known.near_copies.pairs] == [None]
    open_run(again.folder.path).report(None)
    assert "no &lt;b&gt;memory&lt;/b&gt;" in again.folder.report.read_text()


def test_a_deadline_that_is_over_leaves_it_out_and_says_so(again):
    clock = count(0, 5.0)
    known = again(Budget.of(0, timeout=10, clock=lambda: next(clock)))
    assert set(known.left_out.values()) == {"the deadline left no time for it"}
    assert set(known.left_out) == {"seen", "suspects", "near_copies", "neighbours"}
    open_run(again.folder.path).report(None)
    assert again.folder.report.read_text().count("Left out: the deadline left no time for it.") >= 2


def test_who_stops_it_gets_it_from_the_next_session(again):
    with pytest.raises(Interrupted):
        again(Budget.of(0, interrupted=lambda: True))
    assert load_inspection(again.folder) is None
    assert again().left_out == {}


def test_a_file_from_elsewhere_says_nothing_that_is_not_checked(again):
    again()
    text = json.loads(again.folder.inspection.read_text())
    text["photos"]["suspects"]["photos"][0]["probability"] = 7
    again.folder.inspection.write_text(json.dumps(text))
    assert load_inspection(again.folder) is None


def test_a_regression_on_photos_has_no_suspect_labels(tmp_path):
    rng = np.random.default_rng(0)
    x = rng.integers(0, 255, (60, 3, 8, 8)).astype(np.uint8)
    np.savez(tmp_path / "data.npz", x=x, y=x.mean((1, 2, 3)) + 0.5)
    torch.manual_seed(0)
    call("search", tmp_path / "data.npz", *TINY, "--out", tmp_path / "run")
    known = load_inspection(RunFolder(tmp_path / "run")).photos
    assert len(known.seen.photos) == 9
    assert known.left_out["suspects"] == "only where each photo has one class"
    assert "fewer than 32 pixels" in known.left_out["near_copies"]
    assert "<h2>Suspect labels</h2>" not in (tmp_path / "run" / "report.html").read_text()
