"""The estimators are scikit-learn's in every way that scikit-learn itself can check."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix
from sklearn.base import clone
from sklearn.datasets import load_digits, make_multilabel_classification, make_regression
from sklearn.exceptions import NotFittedError
from sklearn.metrics import accuracy_score, r2_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

from automl.sklearn import SearchClassifier, SearchRegressor

LINEAR = {
    "architectures": {"linear": {"dropout": 0.0}},
    "training": {"optimizer": "adam", "lr": {"float": [0.1, 0.2]}, "batch_size": 8},
}
TINY = {"space": LINEAR, "trials": 1, "folds": 2, "epochs": 4, "threads": 1}

EXPECTED: dict[str, str] = {}  # by check, why it cannot pass: none


@pytest.mark.slow
@pytest.mark.parametrize("kind", [SearchClassifier, SearchRegressor])
def test_scikit_learns_own_checks_pass_but_for_the_named_ones(kind):
    results = check_estimator(kind(**TINY), expected_failed_checks=EXPECTED, on_fail=None, on_skip=None)
    failed = {r["check_name"]: r["exception"] for r in results if r["status"] == "failed"}
    assert not failed
    assert len([r for r in results if r["status"] == "passed"]) > 30


def test_a_classifier_works_in_a_pipeline_and_knows_its_classes():
    x, y = load_digits(return_X_y=True)
    names = np.array(["none", "one", "two"])[y[y < 3]]
    made = make_pipeline(StandardScaler(), SearchClassifier(**TINY)).fit(x[y < 3], names)
    classifier = made[-1]
    assert classifier.classes_.tolist() == ["none", "one", "two"]
    assert classifier.n_features_in_ == 64
    assert made.score(x[y < 3], names) > 0.9
    assert np.array_equal(classifier.classes_[made.predict_proba(x[:5]).argmax(axis=1)], made.predict(x[:5]))


@pytest.fixture(scope="module")
def fitted():
    x, y = make_regression(60, 4, noise=1.0, random_state=0)
    return SearchRegressor(**TINY).fit(x, y), x, y


def test_a_pickled_estimator_predicts_the_same_without_its_folder(fitted):
    estimator, x, y = fitted
    stored = pickle.dumps(estimator)
    back = pickle.loads(stored)
    assert np.array_equal(back.predict(x), estimator.predict(x))
    assert back.score(x, y) == estimator.score(x, y)
    assert back.run_.best == estimator.run_.best


def test_the_temporary_run_lives_as_long_as_its_estimator_and_a_chosen_one_stays(fitted, tmp_path):
    estimator, x, y = fitted
    assert estimator.run_.report().is_file()
    kept = clone(estimator).set_params(out=tmp_path / "run").fit(x, y)
    folder = kept.run_.path
    del kept
    assert (folder / "report.html").is_file()
    gone = clone(estimator).fit(x, y)
    folder = gone.run_.path
    del gone
    assert not folder.exists()


def test_images_are_taken_as_a_search_takes_them():
    images = load_digits(n_class=3).images.astype(np.uint8) * 15
    classifier = SearchClassifier(**TINY).fit(images, load_digits(n_class=3).target)
    assert classifier.run_.record.data.kind == "image"
    assert classifier.predict_proba(images[:4]).shape == (4, 3)


def test_what_is_wrong_is_a_value_error():
    with pytest.raises(ValueError, match="unknown architecture"):
        SearchClassifier({"architectures": ["linaer"]}).fit(np.eye(20), np.arange(20) % 2)
    with pytest.raises(NotFittedError):
        SearchClassifier().predict(np.eye(3))


def test_several_targets_of_a_frame_are_predicted_together_in_their_order():
    x, y = make_regression(60, 3, n_targets=2, noise=1.0, random_state=0)
    frame = pd.DataFrame(x, columns=["a", "price", "c"])
    y = y * [1, 1000]
    for answers, names in (
        (pd.DataFrame(y, columns=["price", "rate"]), ["price_", "rate"]),
        (y, ["target_0", "target_1"]),
    ):
        made = SearchRegressor(**TINY).fit(frame, answers)
        assert made.model_.targets == names
        assert made.predict(frame).shape == (60, 2)
        assert made.score(frame, y) == pytest.approx(r2_score(y, made.predict(frame)))
        assert np.array_equal(pickle.loads(pickle.dumps(made)).predict(frame), made.predict(frame))
    assert SearchRegressor(**TINY).fit(frame, y[:, :1]).predict(frame).shape == (60, 1)
    assert SearchRegressor(**TINY).fit(frame, y[:, 0]).predict(frame).shape == (60,)


def test_labels_are_predicted_together_as_scikit_learns_multi_label_classifiers_do():
    x, y = make_multilabel_classification(80, 4, n_classes=3, random_state=0)
    frame = pd.DataFrame(x, columns=list("abcd"))
    for samples, answers, names in (
        (x, y, []),
        (x, csr_matrix(y), []),
        (frame, y.astype(bool), ["target_0", "target_1", "target_2"]),
        (frame, pd.DataFrame(y, columns=["cat", "dog", "a"]), ["cat", "dog", "a_"]),
    ):
        made = SearchClassifier(**TINY).fit(samples, answers)
        predicted, shares = made.predict(samples), made.predict_proba(samples)
        assert made.run_.record.data.task == "multilabel"
        assert made.model_.targets == names
        assert made.classes_.tolist() == [0, 1, 2]
        assert (predicted.shape, predicted.dtype.kind, shares.shape) == ((80, 3), "i", (80, 3))
        assert np.array_equal(predicted, shares > 0.5)
        assert made.score(samples, y) == accuracy_score(y, predicted)
        assert (predicted == y).mean() > (y == (y.mean(0) > 0.5)).mean()  # better than the commoner answer
        assert np.array_equal(pickle.loads(pickle.dumps(made)).predict(samples), predicted)
    again = made.fit(x, y[:, 0])  # of another kind than before
    assert again.predict(x).shape == (80,)
