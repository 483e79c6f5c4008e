"""A table with a column of image files and one of answers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from automl.data.sources.given import take
from automl.data.sources.images import Reading
from automl.data.sources.load import load
from automl.data.splits import deal_again, make_splits
from automl.errors import DataError


def photos_of(folder: Path, count: int, *, first: int = 0, suffix: str = ".jpg") -> Path:
    """`count` images 0.jpg, 1.jpg, ...; the brightness of each is 10 times its number."""
    folder.mkdir(parents=True)
    for number in range(first, first + count):
        noise = np.random.default_rng(number).integers(0, 9, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(noise + np.uint8(10 * number)).save(folder / f"{number}{suffix}")
    return folder


def brightness(x: np.ndarray) -> list[int]:
    return [round(value) for value in x.mean((1, 2, 3)) / 10 - 0.4]


def write(path: Path, header: str, *rows: str) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([header, *rows]) + "\n")
    return str(path)


def test_a_csv_of_paths_and_labels_is_read_in_its_order(tmp_path: Path) -> None:
    photos_of(tmp_path / "pics", 6)
    rows = [f"pics/{number}.jpg,{'cat' if number % 2 else 'dog'}" for number in (5, 0, 3, 2, 1, 4)]
    dataset = load(write(tmp_path / "list.csv", "file,animal", *rows))
    assert dataset.kind == "image"
    assert dataset.classes == ("cat", "dog")
    assert brightness(dataset.x) == [5, 0, 3, 2, 1, 4]
    assert [dataset.classes[label] for label in dataset.y] == ["cat", "dog", "cat", "dog", "cat", "dog"]
    assert dataset.understood.targets == ("animal",)


def test_ids_without_extension_are_found_in_the_folder_of_the_tables_side(tmp_path: Path) -> None:
    photos_of(tmp_path / "train", 6)
    photos_of(tmp_path / "test", 6)
    file = write(tmp_path / "train.csv", "id,label", *(f"{number},{number % 2}" for number in range(6)))
    for data in (file, str(tmp_path)):
        dataset = load(data)
        assert brightness(dataset.x) == list(range(6))
        assert dataset.classes == ("0", "1")
        assert dataset.understood.images == str(tmp_path / "train")


def test_a_submission_beside_the_list_is_none(tmp_path: Path) -> None:
    photos_of(tmp_path / "train", 6)
    photos_of(tmp_path / "test", 2, first=6)
    write(tmp_path / "train.csv", "id,label", *(f"{number}.jpg,{number % 2}" for number in range(6)))
    write(tmp_path / "sample_submission.csv", "id,label", "6.jpg,0", "7.jpg,0")
    write(tmp_path / "test.csv", "id", "6.jpg", "7.jpg")
    assert len(load(str(tmp_path))) == 6


def test_the_folder_of_the_images_may_lie_elsewhere(tmp_path: Path) -> None:
    photos_of(tmp_path / "far" / "away", 4)
    file = write(tmp_path / "here" / "l.csv", "name,label,width", *(f"{n},{'ab'[n % 2]},9" for n in range(4)))
    dataset = load(file, images=str(tmp_path / "far" / "away"))
    assert brightness(dataset.x) == [0, 1, 2, 3]
    assert any("width" in note for note in dataset.notes)
    with pytest.raises(DataError, match="there is no such folder"):
        load(file, images=str(tmp_path / "nowhere"))


def test_missing_files_are_all_listed_or_left_out_when_told(tmp_path: Path) -> None:
    photos_of(tmp_path / "pics", 4)
    rows = [f"pics/{number}.jpg,{'ab'[number % 2]}" for number in range(6)]
    file = write(tmp_path / "list.csv", "file,label", *rows)
    with pytest.raises(DataError, match=r"(?s)2 of 6 files.*pics/4\.jpg: there is no such.*pics/5\.jpg.*--skip-bad"):
        load(file)
    dataset = load(file, reading=Reading(skip_bad=True))
    assert brightness(dataset.x) == [0, 1, 2, 3]
    assert dataset.y.tolist() == [0, 1, 0, 1]


def test_a_column_split_sets_apart_the_test_set_and_validation_joins_the_training(tmp_path: Path) -> None:
    photos_of(tmp_path / "pics", 8)
    sides = ["train", "train", "Train", "train", "valid", "val", "test", "test"]
    rows = [f"pics/{n}.jpg,{'ab'[n % 2]},{side}" for n, side in enumerate(sides)]
    dataset = load(write(tmp_path / "list.csv", "file,label,split", *rows))
    assert dataset.test is not None
    assert dataset.test.tolist() == [False] * 6 + [True] * 2
    without = load(write(tmp_path / "other.csv", "file,label,split", *rows[:6]))
    assert without.test is not None
    assert without.test.tolist() == [False] * 4 + [True] * 2
    assert without.understood.test_from == "split val"
    with pytest.raises(DataError, match=r"column 'split', row 1 \(line 2\): 'a'; it may be train, val or test"):
        load(write(tmp_path / "bad.csv", "file,label,split", "pics/0.jpg,a,a", "pics/1.jpg,b,train"))


def test_ones_own_folds_are_used_as_they_are(tmp_path: Path) -> None:
    photos_of(tmp_path / "pics", 12)
    fold = [0, 1, 2, 0, 1, 2, 0, 1, 2, "", "", ""]
    rows = [f"pics/{n}.jpg,{'ab'[n % 2]},{'test' if n > 8 else 'train'},{fold[n]}" for n in range(12)]
    dataset = load(write(tmp_path / "list.csv", "file,label,split,fold", *rows))
    splits = make_splits(dataset, folds=3, seed=7)
    assert splits.fold.tolist() == [0, 1, 2, 0, 1, 2, 0, 1, 2, -1, -1, -1]
    with pytest.raises(DataError, match="3 folds of their own, not 5"):
        make_splits(dataset, folds=5, seed=7)
    with pytest.raises(DataError, match="its own folds"):
        deal_again(dataset, splits, seed=1)


def test_a_column_group_keeps_together_what_belongs_together(tmp_path: Path) -> None:
    photos_of(tmp_path / "pics", 6)
    rows = [f"pics/{n}.jpg,{'ab'[n % 2]},p{n // 2}" for n in range(6)]
    dataset = load(write(tmp_path / "list.csv", "file,label,group", *rows))
    assert dataset.groups is not None
    assert dataset.groups.tolist() == [0, 0, 1, 1, 2, 2]


def test_numbers_are_a_regression_on_images(tmp_path: Path) -> None:
    photos_of(tmp_path / "pics", 6)
    dataset = load(write(tmp_path / "l.csv", "file,age", *(f"pics/{n}.jpg,{n + 0.5}" for n in range(6))))
    assert dataset.task == "regression"
    assert dataset.y[:, 0].tolist() == [0.5, 1.5, 2.5, 3.5, 4.5, 5.5]


def test_which_column_is_the_answer_is_asked_where_it_is_not_clear(tmp_path: Path) -> None:
    photos_of(tmp_path / "pics", 4)
    rows = [f"pics/{n}.jpg,{'ab'[n % 2]},{'xy'[n // 2]}" for n in range(4)]
    file = write(tmp_path / "l.csv", "file,animal,place", *rows)
    with pytest.raises(DataError, match="--target with one of: animal, place"):
        load(file)
    assert load(file, target="place").classes == ("x", "y")


def test_parquet_files_and_data_frames_are_lists_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pyarrow")
    photos_of(tmp_path / "pics", 4)
    frame = pd.DataFrame({"id": range(4), "label": list("abab")})
    frame.to_parquet(tmp_path / "list.parquet")
    assert brightness(load(str(tmp_path / "list.parquet")).x) == [0, 1, 2, 3]
    assert brightness(take(frame, images=str(tmp_path / "pics")).dataset.x) == [0, 1, 2, 3]
    monkeypatch.chdir(tmp_path)
    assert brightness(take(frame.assign(id=[f"pics/{n}.jpg" for n in range(4)])).dataset.x) == [0, 1, 2, 3]


def test_a_table_with_other_columns_beside_ids_stays_a_table(tmp_path: Path) -> None:
    photos_of(tmp_path / "pics", 8)
    file = write(tmp_path / "t.csv", "id,size,price", *(f"{n},{n * 7 % 5},{n * 1.5}" for n in range(8)))
    assert load(file, target="price").kind == "table"


def test_a_link_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    photos_of(tmp_path / "data" / "pics", 4)
    photos_of(tmp_path / "secret", 1)
    (tmp_path / "data" / "pics" / "9.jpg").symlink_to(tmp_path / "secret" / "0.jpg")
    rows = [f"pics/{n}.jpg,{'ab'[n % 2]}" for n in (0, 1, 2, 3, 9)]
    file = write(tmp_path / "data" / "l.csv", "file,label", *rows)
    with pytest.raises(DataError, match="leads out of the data folder"):
        load(file)
    assert len(load(file, reading=Reading(follow_links=True))) == 5
