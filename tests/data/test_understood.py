"""What the data were taken for is said in a line or a few."""

from pathlib import Path

import numpy as np
from PIL import Image

from automl.data.dataset import Dataset
from automl.data.sources.arrays import from_arrays
from automl.data.sources.images import load_folder
from automl.data.sources.tables import load_csv
from automl.data.understood import sentences, summarise

COLOURS = ("red", "green", "blue")


def photos_of(folder: Path, seed: int = 0, **counts: int) -> Path:
    """As many photos of each class, of another size each: 21 x 9, 22 x 9, ..."""
    for name, count in counts.items():
        (folder / name).mkdir(parents=True)
        for number in range(count):
            pixels = np.random.default_rng(seed + number).integers(0, 256, (9, 21 + number, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{name}-{number}.png")
    return folder


def test_photos_are_counted_with_their_sizes_and_classes(tmp_path: Path) -> None:
    photos_of(tmp_path / "photos" / "train", ants=4, bees=3)
    photos_of(tmp_path / "photos" / "test", seed=50, ants=5, bees=1)  # one of them has a size that no other one has
    made = load_folder(tmp_path / "photos", image_size=8)
    assert sentences(made, 6)[0] == (
        "7 photos, 4 sizes, resized to 8 x 8; classes ants 4, bees 3; 6 test photos from test/"
    )
    again = load_folder(tmp_path / "photos", image_size=8)  # out of the cache
    assert sentences(again, 6) == sentences(made, 6)


def test_photos_of_one_size_are_said_to_be_of_that_one(tmp_path: Path) -> None:
    photos_of(tmp_path, ants=1, bees=1)
    assert sentences(load_folder(tmp_path), 0)[0].startswith("2 photos, 21 x 9; classes")
    assert sentences(load_folder(tmp_path, image_size=9), 0)[0].startswith("2 photos, 21 x 9, resized to 9 x 9; ")


def test_a_photo_that_stands_on_its_side_has_the_size_that_a_viewer_shows(tmp_path: Path) -> None:
    photos_of(tmp_path, ants=1, bees=1)
    turned = Image.open(tmp_path / "ants" / "ants-0.png")
    turned.getexif()[0x0112] = 6
    turned.save(tmp_path / "ants" / "ants-0.png", exif=turned.getexif())
    assert load_folder(tmp_path, image_size=8).understood.details == ("2 sizes", "resized to 8 x 8")


def table(tmp_path: Path) -> Dataset:
    rows = [f"{i / 7:.3f},{i * i},{COLOURS[i % 3]},s{i % 4},{i * 1.5}" for i in range(20)]
    (tmp_path / "t.csv").write_text("size,age,colour,shop,price\n" + "\n".join(rows) + "\n")
    return load_csv(tmp_path / "t.csv", target="price", groups="shop")


def test_of_a_table_every_column_and_the_target_are_named_with_how_they_are_used(tmp_path: Path) -> None:
    assert sentences(table(tmp_path), 5) == (
        "20 rows; 4 groups, none of them on two sides of a split; 5 of them are cut off as the test set",
        "columns: 2 numbers (size, age), 1 category (colour: 3 values)",
        "target 'price': numbers from 0 to 28.5, predicted as numbers",
    )


def test_the_facts_for_machines_say_the_same(tmp_path: Path) -> None:
    facts = summarise(table(tmp_path), 5)
    assert facts["columns"][2] == {"name": "colour", "kind": "category", "detail": "3 values", "missing": False}
    assert (facts["samples"], facts["test_samples"], facts["groups"], facts["copies"]) == (20, 5, 4, 0)
    assert (facts["target"], facts["test_from"], facts["class_samples"]) == ("price", None, [])


def test_many_classes_are_counted_and_not_listed() -> None:
    y = np.repeat(np.arange(30), [3] * 29 + [5])
    made = from_arrays(np.random.default_rng(0).random((92, 2)), y)
    assert sentences(made, 0) == (
        "92 rows, 2 numbers each; 30 classes of 3 to 5 rows; no test set",
        "target: 30 whole numbers from 0 to 29, taken as classes (--task regression predicts them as numbers)",
    )
