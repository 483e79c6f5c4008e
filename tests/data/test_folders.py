"""The layout of a folder of images: sides, classes, what systems leave behind, and what cannot be understood."""

from pathlib import Path

import pytest
from PIL import Image

from automl.data.conversion import Pixels
from automl.data.images.folders import find_files, find_images
from automl.errors import DataError
from automl.models.description import ModelDescription
from automl.models.samples import read_batches


def made(root: Path, *files: str) -> Path:
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).write_bytes(b"a picture")
    return root


def both(*sides: str) -> list[str]:
    """A cat and a dog on each side."""
    return [f"{side}/{name}/0.png" for side in sides for name in ("cat", "dog")]


def test_training_and_testing_are_sides_and_no_classes(tmp_path: Path) -> None:
    photos = find_images(made(tmp_path, *both("Training", "Testing")))
    assert photos.classes == ["cat", "dog"]
    assert [(file.path, file.test) for file in photos.files] == [
        ("Testing/cat/0.png", True), ("Testing/dog/0.png", True),
        ("Training/cat/0.png", False), ("Training/dog/0.png", False),
    ]  # fmt: skip
    assert (photos.test_from, photos.joined, photos.notes) == ("Testing/", (), [])


@pytest.mark.parametrize("name", ["val", "Valid", "validation_set", "dev"])
def test_a_side_for_validation_is_the_test_set_where_there_is_none(tmp_path: Path, name: str) -> None:
    photos = find_images(made(tmp_path, *both("train", name)))
    assert [file.test for file in photos.files] == [file.path.startswith(name) for file in photos.files]
    assert photos.test_from == f"{name}/"


def test_beside_a_test_set_what_is_for_validation_is_trained_on(tmp_path: Path) -> None:
    photos = find_images(made(tmp_path, *both("train", "val", "test"), "val/fox/0.png", "test/fox/0.png"))
    assert {file.path.split("/")[0] for file in photos.files if not file.test} == {"train", "val"}
    assert (photos.test_from, photos.joined) == ("test/", ("val/",))
    assert photos.classes == ["cat", "dog", "fox"]


def test_a_test_folder_without_classes_has_no_labels(tmp_path: Path) -> None:
    photos = find_images(made(tmp_path, *both("train"), "test/0.png", "test/1.png"))
    assert (len(photos.files), photos.test_from) == (2, "")
    assert photos.notes == ["test/ has no sub-folder per class: it has no labels, and is not used"]
    photos = find_images(made(tmp_path, *both("val")))
    assert photos.test_from == "val/"


def test_a_side_that_is_packed_into_one_of_its_kind_is_unpacked(tmp_path: Path) -> None:
    photos = find_images(made(tmp_path, *both("seg_train/seg_train", "seg_test/seg_test"), "seg_pred/seg_pred/0.png"))
    assert photos.classes == ["cat", "dog"]
    assert photos.files[-1].path == "seg_train/seg_train/dog/0.png"
    assert photos.notes == ["only seg_train/ and seg_test/ are used; ignored beside: seg_pred"]


def test_several_folders_of_one_side_are_taken_together(tmp_path: Path) -> None:
    photos = find_images(made(tmp_path, *both("train_1", "train_2", "test1", "test2", "test3")))
    assert sum(not file.test for file in photos.files) == 4
    assert photos.test_from == "test1/, test2/ and test3/"


def test_a_class_that_only_the_test_set_has_is_refused_and_one_that_it_lacks_is_said(tmp_path: Path) -> None:
    photos = find_images(made(tmp_path, *both("train", "val"), "train/fox/0.png"))
    assert photos.notes == ["val/ has no sample of the classes fox"]
    made(tmp_path, "val/foxes/0.png")
    with pytest.raises(DataError, match=r"class 'foxes' is in val/ but not in train/; did you mean 'fox'\?"):
        find_images(tmp_path)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (["train/0.png", "test1/1.png"], r"train/ has no sub-folder per class to train on; .*, if train/ and test1/"),
        (["train/0.png"], "train/ has no sub-folder per class to train on"),
        (both("test", "val"), "is a side of a data set, and no class, but there is no train/"),
        (["cat/0.png", "dog/0.png", *both("test")], "test/ is a side of a data set, with the classes cat, dog that"),
        (both("2019", "2020"), r"each of 2019, 2020 has the sub-folders cat, dog: are these the classes\?"),
        (both("train/2019", "train/2020"), r"train/?: each of 2019, 2020 has the sub-folders cat, dog"),
        (["cat/train/0.png", "cat/test/0.png", "dog/train/0.png", "dog/test/0.png"],
         "each of cat, dog has the sub-folders test, train: put the sides first, as in train/cat/"),
        (["cat/images/0.png", "cat/masks/0.png", "dog/images/0.png", "dog/masks/0.png"],
         "each of cat, dog has the sub-folders images, masks"),
        (both("data/train", "data/val"), r"there is one folder in it, data/, .* holds train, val: give .*data$"),
        (["run.yaml", *both("artifacts")], "this is a run, the result of a search"),
    ],
)  # fmt: skip
def test_a_layout_that_would_make_wrong_classes_is_refused_with_the_remedy(
    tmp_path: Path, files: list[str], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        find_images(made(tmp_path, *files))


def test_one_folder_of_images_in_each_class_is_nothing_to_ask_about(tmp_path: Path) -> None:
    photos = find_images(made(tmp_path, "cat/images/0.png", "dog/images/0.png", "dog/old/1.png"))
    assert [file.label for file in photos.files] == ["cat", "dog", "dog"]


def test_a_class_that_is_called_like_a_side_is_said(tmp_path: Path) -> None:
    photos = find_images(made(tmp_path, "control/0.png", "test/0.png"))
    assert photos.classes == ["control", "test"]
    assert photos.notes == ["test/ is taken as a class, for no folder for training stands beside it"]


LEFT_BEHIND = [
    "@eaDir", "@eadir", "#recycle", "#snapshot", "@Recycle", "@tmp", ".@__thumb", "$RECYCLE.BIN", "RECYCLER",
    "System Volume Information", "lost+found", "LOST.DIR", "__MACOSX", ".ipynb_checkpoints", ".Spotlight-V100",
    ".Trashes", ".AppleDouble", "Network Trash Folder", "FOUND.000", "__pycache__",
]  # fmt: skip
LEFT_FILES = ["Thumbs.db", "thumbs.db", "desktop.ini", "Desktop.ini", ".DS_Store", "._0.png", "Icon\r", "ehthumbs.db",
              "0.png@SynoEAStream"]  # fmt: skip


@pytest.mark.parametrize("name", LEFT_BEHIND)
def test_what_systems_leave_behind_is_neither_a_class_nor_a_sample(tmp_path: Path, name: str) -> None:
    made(tmp_path, "cat/0.png", "dog/0.png", f"{name}/0.png/thumb.jpg", f"cat/{name}/1.jpg", f"cat/deep/{name}/1.jpg")
    assert [file.path for file in find_images(tmp_path).files] == ["cat/0.png", "dog/0.png"]
    assert find_files(tmp_path) == ["cat/0.png", "dog/0.png"]


def test_files_that_systems_leave_behind_are_no_samples(tmp_path: Path) -> None:
    made(tmp_path, "cat/0.png", "dog/0.png", *[f"{name}/{file}" for name in ("cat", "dog") for file in LEFT_FILES])
    assert [file.path for file in find_images(tmp_path).files] == ["cat/0.png", "dog/0.png"]


def test_a_class_of_icons_is_a_class(tmp_path: Path) -> None:
    assert find_images(made(tmp_path, "icon/0.png", "photo/0.png")).classes == ["icon", "photo"]


def test_runs_among_the_photos_are_left_out_and_said(tmp_path: Path) -> None:
    made(
        tmp_path,
        *both("."),
        "runs/photos-1/run.yaml",
        "runs/photos-1/artifacts/0.png",
        "cat/try/run.yaml",
        "cat/try/x.npz",
    )
    photos = find_images(tmp_path)
    assert photos.classes == ["cat", "dog"]
    assert len(photos.files) == 2
    assert photos.notes == ["left out, as the runs of searches: cat/try, runs/photos-1"]
    assert find_files(tmp_path) == ["cat/0.png", "dog/0.png"]


def test_only_the_test_part_of_sides_is_evaluated_on_and_training_photos_never_are(tmp_path: Path) -> None:
    about = ModelDescription(
        architecture="linear", architecture_config={}, input_shape=[1, 4, 4], num_outputs=2, conversion=Pixels(),
        task="classification", kind="image", classes=["cat", "dog"],
    )  # fmt: skip
    made(tmp_path, *both("train"), "test/0.png")
    with pytest.raises(DataError, match="of its sides only train/ has labels; give that folder to evaluate on it"):
        next(read_batches(tmp_path, about, labelled=True))
    for file in both("val"):
        made(tmp_path, file)
        Image.new("L", (4, 4)).save(tmp_path / file)
    assert next(read_batches(tmp_path, about, labelled=True)).names == ["val/cat/0.png", "val/dog/0.png"]
