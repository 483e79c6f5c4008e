"""Guessing, against scikit-learn's dummies, and what is said of a model that is no better."""

from __future__ import annotations

import json

import numpy as np
import pytest
from sklearn import metrics
from sklearn.dummy import DummyClassifier, DummyRegressor

from automl.conclude.guessing import judge
from automl.data.sources.arrays import from_arrays
from automl.data.splits import make_splits
from automl.models.test_predictions import Predictions
from automl.racing.objective import METRICS, Objective
from automl.training.guessing import guess, guess_means, guess_scores

RNG = np.random.default_rng(0)


def test_of_a_classification_it_is_scikit_learns_dummy_on_the_same_folds():
    y = RNG.choice(3, 200, p=[0.6, 0.3, 0.1])
    dataset = from_arrays(RNG.normal(size=(200, 4)).astype(np.float32), y)
    splits = make_splits(dataset, folds=4, seed=0)
    expected = {name: [] for name in METRICS["classification"]}
    for fold in range(4):
        train, held = splits.train(fold), splits.validation(fold)
        dummy = DummyClassifier(strategy="prior").fit(dataset.x[train], dataset.y[train])
        said, shares = dummy.predict(dataset.x[held]), dummy.predict_proba(dataset.x[held])
        truth = dataset.y[held]
        expected["log_loss"].append(metrics.log_loss(truth, shares, labels=range(3)))
        expected["accuracy"].append(metrics.accuracy_score(truth, said))
        expected["balanced_accuracy"].append(metrics.balanced_accuracy_score(truth, said))
        expected["macro_f1"].append(metrics.f1_score(truth, said, average="macro"))
        expected["auroc"].append(0.5)
    for name, values in expected.items():
        assert guess_scores(dataset, splits, name) == pytest.approx(values)
        assert guess_means(dataset, splits)[name] == pytest.approx(np.mean(values))


def test_of_a_regression_it_is_the_mean_of_the_training_samples(numbers):
    splits, y = make_splits(numbers, folds=3, seed=0), numbers.y / numbers.y.std(0)  # two outputs
    for name, metric in (
        ("rmse", metrics.root_mean_squared_error),
        ("mae", metrics.mean_absolute_error),
        ("r2", metrics.r2_score),
    ):
        for fold, found in enumerate(guess_scores(numbers, splits, name)):
            train, held = splits.train(fold), splits.validation(fold)
            dummy = DummyRegressor().fit(numbers.x[train], y[train])
            assert found == pytest.approx(metric(y[held], dummy.predict(numbers.x[held])), rel=1e-6)


def judged(scores, outputs, y, name="log_loss"):
    guessed = np.log(np.tile([0.5, 0.5], (len(y), 1)))
    tested = Predictions(np.arange(len(y)), y, np.exp(outputs), outputs)
    mean = {"log_loss": np.log(2), "accuracy": 0.5}[name]
    objective = Objective.of("classification", name)
    return judge(objective, scores, [mean] * len(scores), len(scores), tested, guessed)


class TestAModel:
    y = np.arange(60) % 2

    def test_that_has_learnt_is_better(self):
        good = 3.0 * np.eye(2)[self.y] + RNG.normal(0, 1, (60, 2))
        found = judged([0.3, 0.35, 0.28], good, self.y)
        assert (found["better"], found["words"]) == (True, "")
        assert found["test"]["log_loss"] == pytest.approx(np.log(2))

    def test_that_is_worse_than_guessing_is_called_so(self):
        coin = RNG.normal(0, 2, (60, 2))
        found = judged([0.853, 0.90, 0.80], coin, self.y)
        assert not found["better"]
        assert found["words"].startswith("no better than guessing: log_loss 0.851 by cross-validation")
        assert "0.6931" in found["words"]

    @pytest.mark.parametrize("seed", range(5))
    def test_a_coin_that_was_lucky_in_cross_validation_is_not_let_off(self, seed):
        coin = np.random.default_rng(seed).normal(0, 1, (60, 2))
        found = judged([0.53, 0.55, 0.51, 0.54, 0.49], coin, self.y, "accuracy")
        assert not found["better"]
        assert found["words"].startswith("no better than guessing")

    def test_a_small_test_set_alone_does_not_make_it_a_guess(self):
        y = np.array([0, 1, 0, 1])
        found = judged([0.9, 0.88, 0.92, 0.91, 0.9], 2.0 * np.eye(2)[y], y, "accuracy")
        assert found["better"]


def test_guessing_by_a_class_that_training_has_not_is_impossible():
    dataset = from_arrays(RNG.normal(size=(40, 2)).astype(np.float32), np.arange(40) % 2)
    assert np.exp(guess(dataset, np.arange(40), 3)) == pytest.approx(np.full((3, 2), 0.5))


def test_a_search_states_it(finished_run):
    guessing = finished_run.summary["guessing"]
    assert guessing["by"] == "the class frequencies"
    assert guessing["cross_validated"]["log_loss"] == pytest.approx(np.log(3), abs=0.01)
    assert guessing["better"] is True
    assert json.loads(json.dumps(guessing)) == guessing
