"""Keys of groups and classes have one spelling, through every door."""

import unicodedata
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from automl.data.keys import normal_key, number_keys
from automl.data.sources.arrays import from_arrays
from automl.data.sources.images import load_folder
from automl.data.sources.tables import load_csv
from automl.errors import DataError
from automl.models.description import ModelDescription
from automl.models.samples import read_batches

ZOE, ZOE_OF_A_MAC = "Zo\u00eb", unicodedata.normalize("NFD", "Zo\u00eb")


@pytest.mark.parametrize(
    "spelling", ["Zo\u00eb", ZOE_OF_A_MAC, " Zo\u00eb", "Zo\u00eb\u00a0", "\ufeffZo\u00eb", "\u200b Zo\u00eb\t"]
)
def test_blanks_unseen_marks_and_decomposed_letters_make_no_other_key(spelling: str) -> None:
    assert normal_key(spelling) == ZOE


def test_case_and_inner_blanks_make_another_key() -> None:
    assert number_keys(["a b", "A b", "ab"])[0] == ("A b", "a b", "ab")


def test_patients_of_a_csv_that_differ_in_blanks_are_one_group(tmp_path: Path) -> None:
    rows = [f"p{i % 4}{' ' * (i % 3)},{i},{'ab'[i % 2]}" for i in range(24)]
    (tmp_path / "t.csv").write_text("patient,x,y\n" + "\n".join(rows) + "\n")
    groups = load_csv(tmp_path / "t.csv", target="y", groups="patient").groups
    assert groups is not None
    np.testing.assert_array_equal(groups, np.arange(24) % 4)


@pytest.mark.parametrize("kind", ["U", "S"])
def test_groups_and_classes_of_arrays_that_differ_in_blanks_are_one(kind: str) -> None:
    names = np.array(["p0", "p1 ", " p0", "p1"]).astype(kind)
    made = from_arrays(np.eye(4), np.array(["a", "b", "a ", " b"]), groups=names)
    assert made.classes == ("a", "b")
    assert made.y.tolist() == [0, 1, 0, 1]
    assert made.groups is not None
    assert made.groups.tolist() == [0, 1, 0, 1]


def test_class_names_of_an_array_that_are_one_key_are_refused() -> None:
    with pytest.raises(DataError, match="the class names 'cat' and 'cat ' are one key"):
        from_arrays(np.eye(4), np.array([0, 1, 2, 0]), classes=["cat", "cat ", "dog"])


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for name in ("cat", ZOE_OF_A_MAC):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(3):
            pixels = np.full((4, 4), 40 * number + len(name), np.uint8)
            Image.fromarray(pixels).save(tmp_path / "photos" / name / f"{number}.png")
    return tmp_path / "photos"


def test_folders_of_one_key_in_train_and_test_are_one_class(photos: Path) -> None:
    (photos / "train").mkdir()
    for name in ("cat", ZOE_OF_A_MAC):
        (photos / name).rename(photos / "train" / name)
    (photos / "test" / "cat ").mkdir(parents=True)
    (photos / "test" / ZOE).mkdir()
    for name in ("cat ", ZOE):
        Image.new("L", (4, 4), 200 + len(name)).save(photos / "test" / name / "0.png")
    made = load_folder(photos)
    assert made.classes == (ZOE, "cat")
    assert np.bincount(made.y).tolist() == [4, 4]


def test_a_groups_file_names_files_in_any_spelling(photos: Path) -> None:
    rows = [f".\\cat\\{n}.png,p{n} " for n in range(3)] + [f"./{ZOE}/{n}.png ,p{n}" for n in range(3)]
    (photos.parent / "groups.csv").write_text("file,group\n" + "\n".join(rows) + "\n", encoding="utf-8")
    made = load_folder(photos, groups=photos.parent / "groups.csv")
    assert made.groups is not None
    assert made.groups.tolist() == [0, 1, 2, 0, 1, 2]


def test_contradicting_rows_of_a_groups_file_are_named_with_their_lines(photos: Path) -> None:
    rows = [f"cat/{n}.png,p{n}" for n in range(3)] + [f"{ZOE}/{n}.png,p{n}" for n in range(3)]
    rows += ["cat/1.png, p1", "./cat/1.png,p2"]
    (photos.parent / "groups.csv").write_text("file,group\n" + "\n".join(rows) + "\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"groups.csv: 'cat/1.png' has the group 'p1' in line 3, but 'p2' in line 9"):
        load_folder(photos, groups=photos.parent / "groups.csv")


@pytest.mark.parametrize("names", [None, ["left ", ZOE_OF_A_MAC]])
def test_classes_of_other_data_are_known_in_any_spelling(tmp_path: Path, names: list[str] | None) -> None:
    conversion = from_arrays(np.eye(4), np.array(["left", ZOE] * 2)).conversion
    about = ModelDescription(
        architecture="linear", architecture_config={}, input_shape=[4], num_outputs=2, conversion=conversion,
        task="classification", kind="table", classes=["left", ZOE],
    )  # fmt: skip
    y = np.array([0, 1]) if names else np.array([" left", ZOE_OF_A_MAC])
    np.savez(tmp_path / "d.npz", x=np.eye(4)[:2], y=y, **({"classes": np.array(names)} if names else {}))
    (batch,) = read_batches(tmp_path / "d.npz", about, labelled=True)
    assert batch.answers == ["left", ZOE]
