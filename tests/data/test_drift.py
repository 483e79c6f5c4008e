"""Drift between two sets of rows of a table."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2_contingency, ks_2samp

from automl.data.drift import compare_categories, compare_numbers, measure_drift
from automl.data.sources.tables import table_dataset
from automl.data.table_columns import table_columns
from automl.data.tables.csv_files import table_of


def drift_of(frame: pd.DataFrame, train: int):
    dataset = table_dataset(
        table_of(frame.assign(y=np.random.default_rng(9).normal(size=len(frame)))), name="made", target="y"
    )
    rows = np.arange(len(frame))
    return {drift.name: drift for drift in measure_drift(dataset, table_columns(dataset), rows[:train], rows[train:])}


def test_numbers_are_compared_by_the_test_of_scipy():
    rng = np.random.default_rng(0)
    one, other = rng.normal(size=300), rng.normal(0.3, 1, 200)
    expected = ks_2samp(one, other, method="asymp")
    assert compare_numbers(one, other) == (expected.statistic, expected.pvalue)


def test_categories_are_compared_by_their_shares_and_by_the_chi_squared_test_of_scipy():
    one, other = np.repeat([0.0, 1.0, 2.0], [50, 30, 20]), np.repeat([0.0, 1.0, 2.0], [20, 20, 10])
    variation, p = compare_categories(one, other)
    assert variation == pytest.approx(0.1)
    assert p == chi2_contingency([[50, 30, 20], [20, 20, 10]]).pvalue


def test_categories_too_rare_for_the_test_count_as_one():
    one = np.concatenate([np.zeros(60), np.arange(1.0, 41)])
    other = np.concatenate([np.zeros(60), np.arange(41.0, 81)])
    assert compare_categories(one, other) == (pytest.approx(0.4), 1.0)
    assert compare_categories(np.zeros(9), np.zeros(5)) == (0.0, 1.0)


def test_a_column_that_has_moved_is_beyond_chance_and_one_that_has_not_is_not():
    rng = np.random.default_rng(0)
    kind = np.where(rng.random(600) < np.repeat([0.5, 0.8], [400, 200]), "new", "old")
    frame = pd.DataFrame({"same": rng.normal(size=600), "moved": rng.normal(size=600), "kind": kind})
    frame.loc[400:, "moved"] += 0.5
    found = drift_of(frame, 400)
    assert [name for name, drift in found.items() if drift.beyond_chance] == ["kind", "moved"]
    assert found["kind"].measure == "total variation"
    assert 0.2 < found["kind"].statistic < 0.4
    assert found["same"].p > 0.05


def test_values_that_are_missing_in_one_part_only_are_drift():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": rng.normal(size=400), "b": rng.normal(size=400)})
    frame.loc[300:380, "a"] = np.nan
    found = drift_of(frame, 300)
    assert found["a"].beyond_chance
    assert found["a"].statistic > 0.7
    assert not found["b"].beyond_chance


def test_without_drift_no_column_of_many_is_beyond_chance_in_nineteen_of_twenty_tables():
    rng = np.random.default_rng(0)
    wrong = 0
    for _ in range(20):
        columns = [compare_numbers(rng.normal(size=200), rng.normal(size=100))[1] for _ in range(10)]
        wrong += min(columns) * 10 < 0.05
    assert wrong <= 3  # one is expected


def test_without_test_rows_there_is_nothing_to_compare():
    assert drift_of(pd.DataFrame({"a": np.arange(30.0), "b": np.arange(30.0) ** 2}), 30) == {}
