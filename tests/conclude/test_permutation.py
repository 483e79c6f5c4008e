"""Permutation importance of the columns of a table."""

from __future__ import annotations

from itertools import count

import numpy as np
import pytest
from known_networks import columns_of, fold_of
from sklearn.base import BaseEstimator
from sklearn.inspection import permutation_importance

from automl.conclude import permutation
from automl.conclude.permutation import as_importances, permute_all, screen
from automl.data.table_columns import TableColumn
from automl.errors import Interrupted
from automl.racing.objective import Objective
from automl.scheduling.deadline import Deadline

RMSE = Objective.of("regression")
FOLDS = 5


def rows(seed: int, columns: int = 3, count: int = 80) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, columns))


def folds_that_learnt(count: int = FOLDS, columns: int = 3):
    """Each fold's network has learnt 3 a, and by chance a little of the other columns, in every fold another little."""
    made = []
    for number in range(count):
        x = rows(number, columns)
        noise = np.random.default_rng(100 + number).normal(0, 0.1, columns)
        noise[0] = 3.0
        weights = noise.astype(np.float32)[:, None]
        y = 3 * x[:, :1] + np.random.default_rng(number).normal(0, 0.5, (len(x), 1))
        made.append(fold_of(lambda x, weights=weights: x @ x.new_tensor(weights), x, y, number))
    return made


def importances(networks, columns, **more):
    rises = permute_all(networks, columns, RMSE, Deadline(), seed=0, **more)
    return {column.name: found for column, found in as_importances(rises, columns, FOLDS)}


def test_the_column_that_matters_stands_out_and_the_interval_of_noise_covers_zero():
    found = importances(folds_that_learnt(), columns_of("abc"))
    assert next(iter(found)) == "a"
    assert found["a"].beyond_chance
    assert found["a"].mean > 3
    for noise in "bc":
        assert found[noise].ends[0] <= 0 <= found[noise].ends[1]
        assert not found[noise].beyond_chance
        assert abs(found[noise].mean) < 0.02 * found["a"].mean


def test_the_importance_is_that_of_scikit_learn():
    (network,) = folds_that_learnt(1)

    class Estimator(BaseEstimator):
        def fit(self, x, y):
            return self

        def predict(self, x):
            return network.outputs(x)

    expected = permutation_importance(
        Estimator(), network.x, network.y, scoring="neg_root_mean_squared_error", n_repeats=100, random_state=0
    )
    rises = permute_all([network], columns_of("abc"), RMSE, Deadline(), seed=0, repeats=100)[:, 0]
    error = np.sqrt((expected.importances_std**2 + rises.std(axis=0) ** 2) / 100)
    assert (np.abs(rises.mean(axis=0) - expected.importances_mean) < 4 * error + 1e-12).all()
    np.testing.assert_allclose(rises.std(axis=0), expected.importances_std, rtol=0.3)


@pytest.mark.parametrize(("name", "sign"), [("accuracy", 1), ("log_loss", 1), ("auroc", 1)])
def test_a_column_that_matters_is_positive_whichever_way_the_metric_goes(name, sign):
    x = rows(0)
    network = fold_of(lambda x: 4 * x[:, :1] * x.new_tensor([-1.0, 1.0]), x, (x[:, 0] > 0).astype(np.int64))
    rises = permute_all([network], columns_of("abc"), Objective.of("classification", name), Deadline(), seed=0)
    assert (sign * rises[:, 0, 0] > 0.1).all()
    assert (rises[:, 0, 1:] == 0).all()


def test_the_parts_of_a_date_are_permuted_together():
    x = np.repeat(rows(0, 1), 2, axis=1)
    network = fold_of(lambda x: x[:, :1] - x[:, 1:], x, np.zeros((len(x), 1)))
    together = permute_all([network], [TableColumn("when", "date", (0, 1))], RMSE, Deadline(), seed=0)
    assert (together == 0).all()
    apart = permute_all([network], columns_of("ab"), RMSE, Deadline(), seed=0)
    assert (apart > 0.5).all()


def test_a_deadline_leaves_whole_repeats_only():
    ticks = count()
    deadline = Deadline(end=FOLDS * 2 + 1, clock=lambda: next(ticks))
    rises = permute_all(folds_that_learnt(), columns_of("abc"), RMSE, deadline, seed=0)
    assert rises.shape == (2, FOLDS, 3)
    over = permute_all(folds_that_learnt(), columns_of("abc"), RMSE, Deadline(end=0.0, clock=lambda: 1.0), seed=0)
    assert over.shape == (0, FOLDS, 3)


def test_columns_are_permuted_alike_however_many_at_once(monkeypatch):
    together = permute_all(folds_that_learnt(), columns_of("abc"), RMSE, Deadline(), seed=0)
    monkeypatch.setattr(permutation, "STACKED", 1)
    np.testing.assert_allclose(
        permute_all(folds_that_learnt(), columns_of("abc"), RMSE, Deadline(), seed=0), together, atol=1e-6
    )


def test_who_wants_to_stop_need_not_wait():
    with pytest.raises(Interrupted):
        permute_all(folds_that_learnt(), columns_of("abc"), RMSE, Deadline(interrupted=lambda: True), seed=0)


def test_a_single_fold_has_the_interval_of_its_repeats():
    columns = columns_of("abc")
    rises = permute_all(folds_that_learnt(1), columns, RMSE, Deadline(), seed=0)
    (_, found), *_ = as_importances(rises, columns, FOLDS)
    values = rises[:, 0, 0]
    half = 2.7764 * values.std(ddof=1) / np.sqrt(len(values))  # Student's t with 4 degrees of freedom
    assert found.ends == pytest.approx((values.mean() - half, values.mean() + half), rel=1e-4)
    (_, once), *_ = as_importances(rises[:1], columns, FOLDS)
    assert once.ends is None


def test_a_fold_in_which_the_metric_is_not_defined_does_not_count():
    rises = np.array([[[1.0], [np.nan], [3.0]]])
    ((_, found),) = as_importances(rises, columns_of("a"), 3)
    assert found.by_fold == (1.0, 3.0)
    assert as_importances(rises[:, 1:2], columns_of("a"), 3) == []


def test_of_many_columns_those_are_looked_at_that_matter_in_a_first_look():
    x = rows(0, 40)
    network = fold_of(lambda x: 3 * x[:, 37:38] + x[:, 5:6], x, 3 * x[:, 37:38] + x[:, 5:6])
    columns = [TableColumn(f"x{place}", "number", (place,)) for place in range(40)]
    chosen, looked_at = screen(network, columns, 10, RMSE, Deadline(), 0)
    assert [column.name for column in chosen[:2]] == ["x37", "x5"]
    assert (len(chosen), looked_at) == (10, 40)
    ticks = count()
    chosen, looked_at = screen(network, columns, 10, RMSE, Deadline(end=2, clock=lambda: next(ticks)), 0)
    assert (len(chosen), looked_at) == (10, 20)
    assert screen(network, columns[:9], 10, RMSE, Deadline(), 0) == (columns[:9], 9)
