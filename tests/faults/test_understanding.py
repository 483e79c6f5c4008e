"""Data that would be taken for something else in silence: sides for classes, leavings for photos, one key for two."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from automl.results.notes import study_note
from automl.run.folder import RunFolder

SMALL = [
    "--space",
    "smoke",
    "--architecture",
    "mlp",
    "--trials",
    1,
    "--folds",
    2,
    "--epochs",
    1,
    "--repeats",
    1,
    "--threads",
    1,
]


@pytest.fixture
def search(automl, tmp_path):
    """Searches a little; returns what it printed, and the object `data` of its JSON."""

    def go(data: Path, *more: object) -> tuple[str, dict, Path]:
        run = tmp_path / f"run-{len(list(tmp_path.glob('run-*')))}"
        answer = automl("search", data, "--out", run, *SMALL, *more)
        assert answer.code == 0, answer.err
        shown = automl("leaderboard", run, "--json")
        return answer.out, json.loads(shown.out)["data"], run

    return go


@pytest.fixture
def refused(automl, tmp_path):
    """The message with which a search was refused."""

    def go(data: Path, *more: object) -> str:
        answer = automl("search", data, "--out", tmp_path / "refused", *SMALL, *more)
        assert answer.code == 2, answer.err or answer.out
        assert not (tmp_path / "refused").exists()
        return " ".join(answer.err.split())

    return go


def photos_of(folder: Path, *names: str, count: int = 6) -> Path:
    """`count` different photos in each of the folders `names`."""
    for seed, name in enumerate(names):
        (folder / name).mkdir(parents=True)
        for number in range(count):
            pixels = np.random.default_rng([seed, number]).integers(0, 256, (6, 8, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number}.png")
    return folder


def test_mixed_sizes_are_resized_to_a_side_that_the_data_choose_and_the_run_keeps(search, automl, tmp_path):
    folder = photos_of(tmp_path / "data", "cat", "dog", count=12)
    Image.new("L", (90, 60)).save(folder / "cat" / "large.png")
    _, data, run = search(folder)
    assert data["understood"][0].startswith("25 photos, 2 sizes, resized to 32 x 32; classes cat 13, dog 12; ")
    assert yaml.safe_load((run / "run.yaml").read_text())["settings"]["image_size"] == 32
    assert automl("resume", run, "--trials", 2).code == 0


@pytest.mark.parametrize("sides", [("Training", "Testing"), ("train", "valid")])
def test_side_folders_are_sides_and_no_classes(search, tmp_path, sides):
    data = photos_of(tmp_path / "photos", *[f"{side}/{name}" for side in sides for name in ("cat", "dog")])
    printed, facts, _ = search(data)
    assert printed.startswith(f"data      12 photos, 8 x 6; classes cat 6, dog 6; 12 test photos from {sides[1]}/\n")
    assert (facts["classes"], facts["samples"], facts["test_from"]) == (["cat", "dog"], 24, f"{sides[1]}/")


def test_side_folders_for_validation_join_the_training_part_where_there_is_a_test(search, tmp_path):
    data = photos_of(tmp_path / "photos", *[f"{s}/{name}" for s in ("train", "val", "test") for name in ("cat", "dog")])
    printed, _, run = search(data)
    assert (
        "data      24 photos (those of val/ included), 8 x 6; classes cat 12, dog 12; 12 test photos from test/\n"
        in printed
    )
    assert (np.load(run / "splits.npz")["fold"] == -1).sum() == 12
    assert "those of val/ included" in (run / "report.html").read_text()
    note = study_note(RunFolder(run).read_record(), run)
    assert "24 photos (those of val/ included), 8 x 6; classes cat 12, dog 12" in note


def test_side_folders_without_classes_are_said_to_have_no_labels(search, refused, tmp_path):
    kaggle = photos_of(tmp_path / "kaggle", "train/cat", "train/dog", "test", count=10)
    printed, facts, _ = search(kaggle)
    assert "4 of them are cut off as the test set" in printed
    assert "note      test/ has no sub-folder per class: it has no labels, and is not used\n" in printed
    assert facts["samples"] == 20
    flat = photos_of(tmp_path / "flat", "train", "test1")
    assert "train/ has no sub-folder per class to train on" in refused(flat)


def test_side_folders_that_are_no_sides_but_hold_the_same_classes_are_refused(refused, tmp_path):
    data = photos_of(tmp_path / "photos", *[f"{year}/{name}" for year in (2019, 2020) for name in ("cat", "dog")])
    assert "each of 2019, 2020 has the sub-folders cat, dog: are these the classes?" in refused(data)


def test_junk_folders_are_neither_class_nor_sample(search, tmp_path):
    plain = photos_of(tmp_path / "plain", "cat", "dog")
    full = photos_of(tmp_path / "full", "cat", "dog")
    for name in ("@eaDir", "#recycle", "$RECYCLE.BIN", "lost+found", ".ipynb_checkpoints", "System Volume Information"):
        photos_of(full, f"{name}/0.png", f"cat/{name}", f"dog/{name}/deep")
    (full / "cat" / "Thumbs.db").write_bytes(b"no image")
    assert search(full)[1]["fingerprint"] == search(plain)[1]["fingerprint"]


def test_junk_folders_with_runs_of_searches_are_left_out_and_said(search, refused, tmp_path):
    data = photos_of(tmp_path / "photos", "cat", "dog")
    _, _, run = search(data)
    (data / "runs").mkdir()
    run.rename(data / "runs" / "first")
    printed, facts, _ = search(data)
    assert facts["classes"] == ["cat", "dog"]
    assert "note      left out, as the runs of searches: runs/first\n" in printed
    assert "this is a run, the result of a search" in refused(data / "runs" / "first")


def test_key_spelling_of_groups_makes_no_other_group(search, refused, tmp_path):
    rng = np.random.default_rng(0)
    names = [
        "Zo\u00eb",
        unicodedata.normalize("NFD", "Zo\u00eb"),
        " Zo\u00eb",
        "p1",
        "p1 ",
        "p2",
        "\tp2",
        "p3",
        "p4",
        "p5",
    ]
    rows = [f"{name},{rng.normal():.3f},{'ab'[i % 2]}" for i, name in enumerate(names * 6)]
    (tmp_path / "t.csv").write_text("patient,x,y\n" + "\n".join(rows) + "\n", encoding="utf-8")
    printed, facts, run = search(tmp_path / "t.csv", "--target", "y", "--groups", "patient")
    assert facts["groups"] == 6
    assert "6 groups, none of them on two sides of a split" in printed
    fold = np.load(run / "splits.npz")["fold"]
    keys = np.array([unicodedata.normalize("NFC", name).strip() for name in names * 6])
    assert all(len(set(fold[keys == key].tolist())) == 1 for key in keys)
    photos = photos_of(tmp_path / "photos", "cat", "dog")
    lines = [f"{name}/{n}.png,p{n}" for name in ("cat", "dog") for n in range(6)] + ["./cat/0.png,p1 "]
    (tmp_path / "groups.csv").write_text("file,group\n" + "\n".join(lines))
    message = refused(photos, "--groups", tmp_path / "groups.csv")
    assert "groups.csv: 'cat/0.png' has the group 'p0' in line 2, but 'p1' in line 14" in message


@pytest.mark.parametrize("kind", ["csv", "npz"])
def test_copies_of_rows_are_said_with_their_count_and_stay_on_one_side(search, tmp_path, kind):
    rng = np.random.default_rng(0)
    x, y = np.arange(100), rng.integers(0, 2, 100)  # coin tosses: nothing can be learnt
    if kind == "csv":
        rows = [f"{i},{7 * i},{'ab'[y[i]]}" for i in x] * 6
        (tmp_path / "t.csv").write_text("x,z,y\n" + "\n".join(rows) + "\n")
        printed, facts, run = search(tmp_path / "t.csv", "--target", "y")
    else:
        np.savez(tmp_path / "t.npz", x=np.tile(np.stack([x, 7 * x], 1), (6, 1)), y=np.tile(y, 6))
        printed, facts, run = search(tmp_path / "t.npz")
    said = "500 of 600 rows are copies of another one in all features; copies stay in one fold."
    assert f"note      {said}\n" in printed
    assert said in (run / "report.html").read_text()
    assert facts["copies"] == 500
    fold = np.load(run / "splits.npz")["fold"].reshape(6, 100)
    assert (fold == fold[0]).all()
    assert set(fold[0].tolist()) == {-1, 0, 1}
