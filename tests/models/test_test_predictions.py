"""What the test comes to."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.special import softmax
from sklearn import metrics

from automl.models.test_predictions import MOST_CLASSES, Predictions, describe_test, load_tested, save_tested
from automl.run.folder import RunFolder


@pytest.fixture
def tested() -> Predictions:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 3, 40)
    logits = rng.normal(0, 2, (40, 4)) - [0, 0, 0, 9]
    return Predictions(np.arange(40), truth, softmax(logits, axis=1), logits)


def test_predictions_come_back_as_they_were_and_a_damaged_file_is_none(tested, tmp_path):
    folder = RunFolder(tmp_path)
    folder.artifacts.mkdir()
    assert load_tested(folder) is None
    save_tested(folder, tested)
    found = load_tested(folder)
    for name in ("index", "truth", "predicted", "logits"):
        np.testing.assert_array_equal(getattr(found, name), getattr(tested, name))
    folder.tested.write_bytes(folder.tested.read_bytes()[:100])
    assert load_tested(folder) is None


def test_classes_and_confusion_are_scikit_learns_and_what_is_undefined_is_none(tested):
    classes = ["a", "b", "c", "never"]
    found = describe_test(tested, classes)
    labels = tested.predicted.argmax(1)
    expected = metrics.classification_report(
        tested.truth, labels, labels=range(4), target_names=classes, output_dict=True, zero_division=0
    )
    for row in found["classes"][:3]:
        known = expected[row["class"]]
        assert row["precision"] == pytest.approx(known["precision"])
        assert row["recall"] == pytest.approx(known["recall"])
        assert row["f1"] == pytest.approx(known["f1-score"])
        assert row["support"] == known["support"]
    assert found["classes"][3] == {"class": "never", "precision": None, "recall": None, "f1": None, "support": 0}
    np.testing.assert_array_equal(found["confusion"], metrics.confusion_matrix(tested.truth, labels, labels=range(4)))
    assert json.loads(json.dumps(found)) == found


def test_the_confusion_matrix_of_very_many_classes_is_left_to_the_file():
    count = MOST_CLASSES + 1
    tested = Predictions(np.arange(count), np.arange(count), np.eye(count))
    found = describe_test(tested, [str(n) for n in range(count)])
    assert found["confusion"] is None
    assert len(found["classes"]) == count


def test_a_regression_has_intervals_and_no_classes():
    rng = np.random.default_rng(0)
    truth = rng.normal(0, 1, (50, 2))
    found = describe_test(Predictions(np.arange(50), truth, truth + rng.normal(0, 0.1, truth.shape)), [])
    assert found["classes"] == []
    assert found["intervals"].keys() == {"rmse", "r2", "mae"}


def test_a_search_keeps_its_predictions_and_they_give_the_recorded_scores(finished_run):
    tested, details = load_tested(finished_run.folder), finished_run.summary["test_details"]
    with np.load(finished_run.folder.splits) as file:
        np.testing.assert_array_equal(tested.index, np.flatnonzero(file["fold"] == -1))
    right = tested.predicted.argmax(1) == tested.truth
    assert right.mean() == pytest.approx(finished_run.test["accuracy"])
    assert details["samples"] == len(right) == np.sum(details["confusion"])
    np.testing.assert_allclose(tested.predicted, softmax(tested.logits, axis=1), atol=1e-6)
    low, high = details["intervals"]["accuracy"]
    assert low <= right.mean() <= high
    assert details["gap"]["test"] == finished_run.test["log_loss"]


def test_each_of_several_targets_is_described_in_its_own_units():
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(60, 7)) * 10.0 ** np.arange(-3, 4)
    predicted = truth + 0.3 * rng.normal(size=truth.shape) * truth.std(0)
    tested = Predictions(np.arange(60), truth, predicted, deviations=truth.std(0))
    found = describe_test(tested, (), targets=[f"t{number}" for number in range(7)])
    for place, row in enumerate(found["targets"]):
        own = truth[:, place], predicted[:, place]
        assert row["metrics"] == {
            "rmse": pytest.approx(metrics.root_mean_squared_error(*own)),
            "r2": pytest.approx(metrics.r2_score(*own)),
            "mae": pytest.approx(metrics.mean_absolute_error(*own)),
        }
        if place < 5:  # as if it were predicted alone
            alone = Predictions(np.arange(60), *(values[:, None] for values in own))
            assert row["intervals"]["rmse"] == describe_test(alone, ())["intervals"]["rmse"]
    assert [bool(row["intervals"]) for row in found["targets"]] == [True] * 5 + [False] * 2
    assert found["intervals"]["rmse"][0] < 0.3 < found["intervals"]["rmse"][1]
    assert describe_test(tested, ())["targets"] == []
