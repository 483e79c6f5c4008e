import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.metrics import log_loss, root_mean_squared_error

from automl.data.sources.arrays import from_arrays
from automl.data.splits import make_splits
from automl.training import boosting
from automl.training.boosting import boost


def table(task, rows=300):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(rows, 3))
    y = x[:, 0] * x[:, 1] + 0.1 * rng.normal(size=rows)
    return from_arrays(x, y if task == "regression" else (y > 0).astype(np.int64), task=task)


def test_a_regression_is_scored_as_scikit_learn_would_on_the_same_folds():
    data = table("regression")
    splits = make_splits(data, folds=3, test_fraction=0.2, seed=0)
    found = boost(data, splits, "rmse", seed=0)
    expected = []
    for fold in range(3):
        train, validation = splits.train(fold), splits.validation(fold)
        model = HistGradientBoostingRegressor(random_state=0).fit(data.x[train], data.y[train, 0])
        expected.append(root_mean_squared_error(data.y[validation, 0], model.predict(data.x[validation])))
    assert found.scores == pytest.approx(expected)
    assert found.mean == pytest.approx(np.mean(expected))
    assert found.rows is None


def test_a_classification_is_scored_as_scikit_learn_would_on_the_same_folds():
    data = table("classification")
    splits = make_splits(data, folds=2, test_fraction=0.2, seed=0)
    found = boost(data, splits, "log_loss", seed=0)
    train, validation = splits.train(0), splits.validation(0)
    model = HistGradientBoostingClassifier(random_state=0).fit(data.x[train], data.y[train])
    assert found.scores[0] == pytest.approx(log_loss(data.y[validation], model.predict_proba(data.x[validation])))


def test_no_further_fold_is_begun_when_the_time_is_used_up():
    data = table("regression")
    splits = make_splits(data, folds=5, test_fraction=0.2, seed=0)
    seconds = iter([0.0, 0.0, 4.0, 8.0, 8.0])  # at the start, before each fold, at the end
    assert len(boost(data, splits, "rmse", seed=0, clock=lambda: next(seconds)).scores) == 2


def test_where_the_time_is_short_or_trees_are_many_the_first_fold_is_fitted_to_fewer_rows(monkeypatch):
    monkeypatch.setattr(boosting, "MOST_CELLS", 2_400)  # of 3 columns: 800 rows
    data = table("regression", rows=1_200)
    splits = make_splits(data, folds=2, test_fraction=0.2, seed=0)
    assert boost(data, splits, "rmse", seed=0).rows is None
    assert boost(data, splits, "rmse", seed=0, timeout=25.0).rows == 200
    classes = from_arrays(data.x, np.arange(1_200) % 4)
    assert boost(classes, make_splits(classes, folds=2, test_fraction=0.2, seed=0), "log_loss", seed=0).rows == 200


def test_images_have_no_gradient_boosting():
    pixels = np.random.default_rng(0).integers(0, 256, (20, 8, 8), dtype=np.uint8)
    images = from_arrays(pixels, np.arange(20) % 2)
    assert boost(images, make_splits(images, folds=2, test_fraction=0.2, seed=0), "log_loss", seed=0) is None
