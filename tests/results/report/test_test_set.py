import base64
import io
import re

import numpy as np
import pytest
from made_runs import Page, full_run, keep_test, one_line
from PIL import Image
from sklearn.metrics import confusion_matrix

from automl.data.sources.arrays import from_arrays
from automl.models.mistakes import save_mistakes
from automl.models.test_predictions import Predictions, save_tested
from automl.results.report.context import Context
from automl.results.report.data import data
from automl.results.report.test_set import confused_pairs, test_set

test_set.__test__ = False  # a section, not a test


def run_with(path, classes, **more):
    run = full_run(path, classes=[f"class {i}" for i in range(classes)])
    return run, keep_test(run[2], classes, **more)


def test_the_confusion_matrix_is_that_of_scikit_learn(tmp_path):
    run, tested = run_with(tmp_path, 3)
    html = one_line(test_set(Context(*run)))
    body = re.search(r'class="matrix">.*?<tbody>(.*?)</tbody>', html)[1]
    rows = [[int(n or 0) for n in re.findall(r"<td[^>]*>(\d*)</td>", row)] for row in body.split("</tr>")[:-1]]
    assert rows == confusion_matrix(tested.truth, tested.predicted.argmax(1)).tolist()
    assert "wrong on 8 of 40 test samples (20 %)" in html


def test_more_than_twenty_classes_show_the_most_confused_pairs_and_the_worst_classes(tmp_path):
    run, _ = run_with(tmp_path, 25, samples=100)
    html = one_line(test_set(Context(*run)))
    assert "matrix" not in html.replace("for a matrix", "")
    assert "25 classes are too many" in html
    assert "The 20 of 25 classes with the lowest F1." in html
    assert Page(html).text.count("class 0 class 1 4 100 %") == 1


def test_pairs_are_counted_without_the_right_ones():
    truth, labels = np.array([0, 0, 1, 2, 2, 2]), np.array([0, 1, 1, 0, 0, 1])
    assert confused_pairs(truth, labels, 3) == [(2, 0, 2), (0, 1, 1), (2, 1, 1)]


@pytest.mark.parametrize("channels", [1, 3])
def test_example_mistakes_stand_in_the_page_as_pictures(channels, tmp_path):
    run, _ = run_with(tmp_path, 3, shape=(channels, 6, 5))
    page = Page(test_set(Context(*run)))
    pictures = [link for link in page.links if link.startswith("data:image/png;base64,")]
    assert len(pictures) == 8
    with Image.open(io.BytesIO(base64.b64decode(pictures[0].partition(",")[2]))) as picture:
        assert picture.size == (5, 6)
        assert picture.mode == ("L" if channels == 1 else "RGB")
    assert "class 0 → class 1 , 95\N{NO-BREAK SPACE}%" in page.text
    assert "sample 100" in page.text


def test_examples_of_an_earlier_model_are_left_out(tmp_path):
    run, tested = run_with(tmp_path, 3)
    right = tested.predicted.copy()
    right[:] = 0.0
    right[np.arange(len(right)), tested.truth] = 1.0
    save_tested(run[2], Predictions(tested.index, tested.truth, right))
    html = one_line(test_set(Context(*run)))
    assert "wrong on 0 of 40" in html
    assert "Example mistakes" not in html


def test_a_run_without_kept_predictions_has_a_report_too(tmp_path):
    assert test_set(Context(*full_run(tmp_path / "none"))) is None
    run, _ = run_with(tmp_path / "damaged", 3)
    (run[2].artifacts / "mistakes.npz").write_bytes(b"")
    assert "Example mistakes" not in test_set(Context(*run))
    run[2].tested.write_bytes(b"PK damaged")
    assert test_set(Context(*run)) is None
    assert "Suspect labels" not in data(Context(*run))


def test_a_regression_shows_predictions_against_the_truth_and_its_largest_errors(tmp_path):
    summary, record, folder = full_run(tmp_path, classes=())
    record = record.but(data=record.data.model_copy(update={"task": "regression", "kind": "table"}))
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 12)).astype(np.float32)
    y = x[:, :1] * 3
    predicted = y[40:] + 0.01
    predicted[7] += 5
    tested = Predictions(np.arange(40, 60), y[40:], predicted)
    save_tested(folder, tested)
    save_mistakes(folder, tested, from_arrays(x, y[:, 0], name="made"))
    html = one_line(test_set(Context(summary, record, folder)))
    assert html.count("<svg") == 1
    largest = re.search("Largest errors.*?<tbody>(.*)</tbody>", html)[1]
    assert largest.startswith("<tr><td>sample 47</td>")
    assert f"x0={x[47, 0]:.4g}" in largest
    assert largest.count("…") == 10  # eight of twelve columns


def test_labels_that_the_model_contradicts_with_confidence_are_suspect(tmp_path):
    run, _ = run_with(tmp_path, 3)
    html = one_line(data(Context(*run)))
    assert "contradicts 4 labels of 40 test samples with a probability of 90 % or more" in html
    assert html.count("<td>95 %</td>") == 4
    assert "predictions for the other samples are not kept" in html


def test_the_data_section_says_whether_there_are_duplicates(tmp_path):
    assert "No two images have the same pixels." in data(Context(*full_run(tmp_path / "a")))
    x = np.random.default_rng(0).integers(0, 255, (20, 4, 4)).astype(np.uint8)
    x[7] = x[3]
    notes = from_arrays(x, np.arange(20) % 2, name="made").notes
    html = one_line(data(Context(*full_run(tmp_path / "b", notes=notes))))
    assert "1 of 20 images are copies of another one" in html
    assert "No two images" not in html
