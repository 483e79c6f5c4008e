"""A model of images takes paths, images of PIL and arrays, and makes the same numbers of each."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageOps

import automl
from automl.errors import DataError
from automl.models.evaluate import evaluate
from automl.models.export import export
from automl.models.predict import predict_lines


def photo(seed: int, width: int, height: int) -> Image.Image:
    coarse = np.random.default_rng(seed).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory):
    """A model of photos in colour, 32 x 32, that was searched on photos of many sizes."""
    folder = tmp_path_factory.mktemp("photos")
    for name, first in (("ants", 0), ("bees", 100)):
        (folder / "data" / name).mkdir(parents=True)
        for number in range(12):
            photo(first + number, 40 + number, 33).save(folder / "data" / name / f"{number}.jpg")
    given = {"space": "smoke", "architectures": ("lenet",), "trials": 1, "folds": 2, "epochs": 1, "repeats": 1}
    return automl.search(folder / "data", out=folder / "run", device="cpu", workers=1, **given).model


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / "a.jpg", tmp_path / "b.png", tmp_path / "turned.jpg"]
    for number, path in enumerate(paths):
        image = photo(number, 90, 61)
        if path.stem == "turned":
            image.getexif()[0x0112] = 6
        image.save(path, exif=image.getexif())
    return paths


def by_hand(path: Path) -> np.ndarray:
    image = ImageOps.exif_transpose(Image.open(path)).convert("RGB")
    return np.asarray(ImageOps.fit(image, (32, 32), Image.Resampling.BILINEAR))


def test_paths_images_of_pil_and_pixels_prepared_by_hand_give_the_same_numbers(model, files):
    expected = model.predict_proba(files)
    assert expected.shape == (3, 2)
    for same in (
        [str(path) for path in files],
        np.array([str(path) for path in files]),
        [Image.open(path) for path in files],
        [files[0], Image.open(files[1]), str(files[2])],
        np.stack([by_hand(path) for path in files]),
        np.stack([by_hand(path) for path in files]).transpose(0, 3, 1, 2),
    ):
        np.testing.assert_array_equal(model.predict_proba(same), expected)
    assert model.predict(files).tolist() == [model.classes[index] for index in expected.argmax(1)]


def test_one_sample_needs_no_batch_axis(model, files):
    expected = model.predict_proba(files)[:1]
    for one in (files[0], str(files[0]), Image.open(files[0]), by_hand(files[0]), by_hand(files[0]).transpose(2, 0, 1)):
        np.testing.assert_array_equal(model.predict_proba(one), expected)


def test_the_users_image_is_left_as_it_was(model, files):
    image = Image.open(files[2])
    before = image.copy()
    model.predict(image)
    assert image.size == before.size
    assert image.getexif()[0x0112] == 6


def test_what_is_no_image_is_refused_by_name(model, tmp_path):
    (tmp_path / "no.jpg").write_text("no image")
    with pytest.raises(DataError, match=r"no\.jpg: not an image of a known format"):
        model.predict(tmp_path / "no.jpg")
    with pytest.raises(DataError, match="takes samples of shape"):
        model.predict(np.zeros((90, 61, 3), np.uint8))
    with pytest.raises(DataError, match="image 0: 32-bit float pixels"):
        model.predict(Image.fromarray(np.zeros((9, 9), np.float32)))


def test_a_list_is_predicted_and_evaluated_by_the_names_in_it(model, files, tmp_path):
    table = tmp_path / "new.csv"
    table.write_text("id,label\na,ants\nb,bees\n")
    header, *rows = predict_lines(model, table)
    assert header == "file,label,p_ants,p_bees\n"
    assert [row.partition(",")[0] for row in rows] == ["a", "b"]
    found = evaluate(model, table)
    labels = model.predict(files[:2]).tolist()
    assert found["metrics"]["accuracy"] == np.mean([labels[0] == "ants", labels[1] == "bees"])
    np.testing.assert_array_equal(
        model.predict_proba(pd.DataFrame({"path": [str(path) for path in files]})["path"].to_numpy()),
        model.predict_proba(files),
    )


def test_tables_and_texts_beside_photos_are_passed_over(model, files, tmp_path):
    (tmp_path / "labels.csv").write_text("file,label\nx.jpg,ants\n")
    assert len(list(predict_lines(model, tmp_path))) == 4


def test_the_description_and_an_onnx_file_say_how_files_become_pixels(model, tmp_path):
    pytest.importorskip("onnxruntime")
    import onnxruntime

    resizing = {
        "orientation": "EXIF", "background": "white", "resize": "to cover, bilinear, antialiased", "crop": "centre"
    }  # fmt: skip
    assert model.conversion.files.model_dump() == resizing
    export(model, "onnx", tmp_path / "m.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "m.onnx")
    facts = session.get_modelmeta().custom_metadata_map
    assert json.loads(facts["classes"]) == ["ants", "bees"]
    assert json.loads(facts["input_shape"]) == [3, 32, 32]
    assert json.loads(facts["files"]) == resizing
    assert facts["takes"] == "float32 [batch, 3, 32, 32], pixels 0..255"
