"""Partial dependence of predictions on the columns of a table."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from known_networks import columns_of, fold_of
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.inspection import partial_dependence

from automl.conclude.dependence import depend, find_grid
from automl.data.sources.arrays import from_arrays
from automl.data.sources.tables import table_dataset
from automl.data.table_columns import table_columns
from automl.data.tables.csv_files import table_of
from automl.errors import OutOfTime
from automl.scheduling.deadline import Deadline


def test_partial_dependence_is_that_of_scikit_learn():
    rng = np.random.default_rng(0)
    x = np.column_stack([rng.integers(0, 8, 60), rng.normal(size=60)]).astype(np.float64)
    y = x[:, :1] ** 2 * x[:, 1:]
    network = fold_of(lambda x: x[:, :1] ** 2 + x[:, :1] * x[:, 1:], x, y)

    class Estimator(RegressorMixin, BaseEstimator):
        def fit(self, x, y):
            self.fitted_ = True
            return self

        def predict(self, x):
            return network.outputs(x)[:, 0]

    expected = partial_dependence(Estimator().fit(x, y), x, [0], method="brute")
    found = depend([network], columns_of("ab")[0], from_arrays(x, y, name="made"), Deadline())
    assert found.values == tuple(expected["grid_values"][0]) == tuple(range(8))
    np.testing.assert_allclose(found.means[0][0], expected["average"][0], rtol=1e-5)
    assert (found.outputs, found.names) == (("target",), ())


def test_numbers_are_shown_at_quantiles_and_dates_with_parts_that_belong_together():
    rng = np.random.default_rng(0)
    days = pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 700, 300), unit="D")
    frame = pd.DataFrame({"when": days, "size": rng.lognormal(0, 2, 300), "price": rng.normal(size=300)})
    frame.loc[:9, "size"] = np.nan
    dataset = table_dataset(table_of(frame), name="made", target="price")
    when, size = table_columns(dataset)
    assert len(when.places) > 2
    known = {tuple(row) for row in dataset.x[:, list(when.places)].tolist()}
    assert all(tuple(row) in known for row in find_grid(dataset.x, when).tolist())
    grid = find_grid(dataset.x, size)[:, 0]
    present = dataset.x[10:, size.places[0]]
    assert (np.diff(grid) > 0).all()
    assert grid[0] == pytest.approx(np.quantile(present, 0.05), rel=0.2)
    assert grid[-1] == pytest.approx(np.quantile(present, 0.95), rel=0.2)


def test_classes_and_categories_are_called_by_their_names():
    rng = np.random.default_rng(0)
    colour = rng.choice(["blue", "red", ""], 90)
    answer = np.where(rng.random(90) < 0.5, "yes", "no")
    frame = pd.DataFrame({"colour": colour, "n": rng.normal(size=90), "answer": answer})
    dataset = table_dataset(table_of(frame), name="made", target="answer")
    colour_column = table_columns(dataset)[0]
    network = fold_of(lambda x: x[:, :1] * x.new_tensor([0.0, 1.0]), dataset.x, dataset.y)
    found = depend([network, network], colour_column, dataset, Deadline())
    assert found.names == ("missing", "blue", "red")
    assert found.outputs == ("yes",)
    assert np.array(found.means).shape == (1, 2, 3)
    np.testing.assert_allclose(found.means[0][0], 1 / (1 + np.exp(-np.arange(3))), rtol=1e-5)


def test_a_column_that_does_not_vary_in_these_rows_has_no_dependence_and_a_deadline_ends_it():
    x = np.ones((20, 2))
    x[:, 1] = np.arange(20)
    y = x[:, 1:]
    network, dataset = fold_of(lambda x: x[:, 1:], x, y), from_arrays(x + np.eye(20, 2), y, name="made")
    constant, rising = columns_of("ab")
    assert depend([network], constant, dataset, Deadline()) is None
    with pytest.raises(OutOfTime):
        depend([network], rising, dataset, Deadline(end=0.0, clock=lambda: 1.0))
