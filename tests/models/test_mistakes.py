import numpy as np
import pytest

from automl.data.sources.arrays import from_arrays
from automl.data.sources.images import load_folder
from automl.data.sources.tables import load_csv
from automl.models.mistakes import KEPT, choose_mistakes, load_mistakes, save_mistakes, surest_mistakes
from automl.models.test_predictions import Predictions
from automl.run.folder import RunFolder


@pytest.fixture
def folder(tmp_path):
    folder = RunFolder(tmp_path / "run")
    folder.artifacts.mkdir(parents=True)
    return folder


def confident(truth, labels, sure, classes=3):
    predicted = np.full((len(truth), classes), 0.0)
    predicted[np.arange(len(truth)), labels] = sure
    return Predictions(np.arange(len(truth)), np.array(truth), predicted)


def test_the_surest_mistakes_come_first_and_what_is_right_is_none():
    tested = confident([0, 1, 2, 0], [1, 1, 0, 2], [0.6, 0.99, 0.9, 0.7])
    assert choose_mistakes(tested).tolist() == [2, 3, 0]


def test_beyond_the_surest_ten_there_are_three_of_a_kind_at_most():
    common = [(0, 1, 0.9)] * 30
    rare = [(2, 1, 0.5)] * 5
    truth, labels, sure = zip(*common, *rare, strict=True)
    chosen = choose_mistakes(confident(truth, labels, sure))
    assert (chosen < 30).sum() == 10
    assert (chosen >= 30).sum() == 3
    truth, labels, sure = zip(*[(i % 10, (i + 1 + i // 10) % 10, 0.9) for i in range(60)], strict=True)
    assert len(choose_mistakes(confident(truth, labels, sure, 10))) == KEPT


def test_the_largest_errors_of_a_regression_are_measured_in_spreads_of_each_output():
    truth = np.array([[0.0, 0.0], [1.0, 1000.0], [0.0, 0.0], [1.0, 1000.0]])
    predicted = truth + np.array([[0.0, 10.0], [0.4, 0.0], [0.1, 0.0], [0.0, 0.0]])
    assert choose_mistakes(Predictions(np.arange(4), truth, predicted)).tolist() == [1, 2, 0, 3]


def test_of_labels_the_surest_that_is_wrong_decides_and_samples_right_in_all_are_no_mistakes():
    truth = np.array([[1, 0], [1, 1], [0, 0], [1, 0]])
    said = np.array([[0.9, 0.2], [0.4, 0.05], [0.8, 0.6], [0.1, 0.3]])
    tested = Predictions(np.arange(4), truth, said, np.log(said / (1 - said)))
    assert tested.task == "multilabel"
    assert choose_mistakes(tested).tolist() == [1, 3, 2]  # 0.95, 0.9 and 0.8 sure
    labels, sure = surest_mistakes(tested)
    assert labels.tolist()[1:] == [1, 0, 0]
    assert sure == pytest.approx([0, 0.95, 0.8, 0.9])
    alone = Predictions(np.arange(4), truth, said)  # without the logits: of the probabilities
    np.testing.assert_allclose(alone.outputs, tested.outputs)


def test_large_images_are_kept_small(folder):
    x = np.random.default_rng(0).integers(0, 255, (4, 3, 300, 200)).astype(np.uint8)
    tested = confident([0, 1, 0, 1], [1, 0, 1, 0], [0.9] * 4, 2)
    save_mistakes(folder, tested, from_arrays(x, np.array([0, 1, 0, 1]), name="made"))
    assert load_mistakes(folder).images.shape == (4, 3, 96, 64)


def test_images_of_a_folder_are_called_by_their_file(folder, tmp_path):
    from PIL import Image

    rng = np.random.default_rng(0)
    for name in ("a/1.png", "a/2.png", "b/3.png", "b/4.png"):
        (tmp_path / "data" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 255, (5, 5)).astype(np.uint8)).save(tmp_path / "data" / name)
    dataset = load_folder(tmp_path / "data")
    tested = confident([0, 0, 1, 1], [0, 1, 1, 0], [0.9, 0.9, 0.9, 0.8], 2)
    save_mistakes(folder, tested, dataset)
    kept = load_mistakes(folder)
    assert kept.names == ["a/2.png", "b/4.png"]
    np.testing.assert_array_equal(kept.images, dataset.x[[1, 3]])
    (tmp_path / "data" / "b" / "0.png").write_bytes(b"")  # what comes later changes no name
    save_mistakes(folder, tested, dataset)
    assert load_mistakes(folder).names == ["a/2.png", "b/4.png"]
    save_mistakes(folder, tested, from_arrays(np.asarray(dataset.x), dataset.y, name="made"))
    assert load_mistakes(folder).names == ["sample 1", "sample 3"]


def test_a_row_of_a_table_is_kept_as_text_with_its_category_by_name(folder, tmp_path):
    file = tmp_path / "made.csv"
    file.write_text("size,colour,y\n" + "".join(f"{i},{'red' if i % 3 else 'blue'},{i % 2}\n" for i in range(12)))
    dataset = load_csv(file, target="y")
    tested = Predictions(np.array([4, 6]), np.array([0, 0]), np.array([[0.1, 0.9], [0.9, 0.1]]))
    save_mistakes(folder, tested, dataset)
    kept = load_mistakes(folder)
    assert kept.rows == ["size=4, colour=red"]
    assert len(kept.images) == 0


def test_without_mistakes_there_is_an_empty_list_and_without_a_file_nothing(folder, images):
    assert load_mistakes(folder) is None
    save_mistakes(folder, confident([0, 1], [0, 1], [1.0, 1.0]), images)
    assert load_mistakes(folder).names == []
