"""The transformation of a table's rows, against scikit-learn's SimpleImputer and StandardScaler."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import QuantileTransformer, RobustScaler, StandardScaler

from automl.data.table_inputs import ONE_HOT, RARE, Scaling, TableInputs
from automl.data.tables.features import Feature, InputColumn, numbers


def holes(rows: int = 200, columns: int = 3, share: float = 0.2) -> np.ndarray:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(rows, columns)) * [1, 1e3, 1e-3] + [0, 1.7e9, 5]
    x[rng.random(x.shape) < share] = np.nan
    return x


def test_numbers_are_imputed_and_standardised_as_scikit_learn_does_with_the_training_part_alone() -> None:
    x = holes()
    expected = make_pipeline(SimpleImputer(strategy="median", add_indicator=True), StandardScaler()).fit(x[:100])
    found = TableInputs(numbers(3, missing=[0, 1, 2])).fit(x[:100]).transform(x).numpy()
    np.testing.assert_allclose(found[:, :3], expected.transform(x)[:, :3], atol=1e-6)
    np.testing.assert_array_equal(found[:, 3:], np.isnan(x))


def test_an_indicator_that_never_varies_in_the_training_part_is_left_out() -> None:
    x = holes()
    x[:100, 0] = np.linspace(0, 1, 100)
    x[:100, 1] = np.nan
    inputs = TableInputs(numbers(3, missing=[0, 1, 2])).fit(x[:100])
    assert [column.name for column in inputs.columns[3:]] == ["x0 is missing", "x1 is missing", "x2 is missing"]
    found = inputs.transform(x)
    assert not found[:, 3:5].any()
    assert not found[:, 1].isnan().any()
    assert found[100:, 5].any()


def test_a_missing_value_where_training_had_none_is_the_median() -> None:
    x = np.array([[1.0], [2.0], [9.0]])
    inputs = TableInputs(numbers(1)).fit(x)
    assert torch.equal(inputs.transform(np.array([[np.nan]])), inputs.transform(np.array([[2.0]])))


def test_codes_stay_and_those_that_the_training_part_has_not_are_0() -> None:
    features = (Feature("town", "category", 4), Feature("age"))
    x = np.array([[1, 10.0], [2, 20.0], [0, 30.0], [3, 20.0]])
    inputs = TableInputs(features).fit(x[:3])
    assert inputs.columns == (InputColumn("town", "category", 4), InputColumn("age", "number"))
    assert inputs.transform(x)[:, 0].tolist() == [1, 2, 0, 0]


def test_rare_values_of_a_category_with_many_are_taken_as_one() -> None:
    codes = np.repeat(np.arange(1, ONE_HOT + 3), RARE)
    codes[:RARE] = [1, 1, 1, 1, 2]  # one less of the value 1, one more of 2
    features = (Feature("street", "category", ONE_HOT + 3),)
    found = TableInputs(features).fit(codes[:, None].astype(float)).transform(np.array([[1.0], [2.0], [3.0]]))
    assert found[:, 0].tolist() == [0, 2, 3]


@pytest.mark.parametrize("offset", [0, 1_700_000_000])
def test_times_a_second_apart_are_told_apart(offset: int) -> None:
    x = offset + np.arange(1000.0)[:, None]
    found = TableInputs(numbers(1)).fit(x).transform(x)
    assert len(np.unique(found)) == 1000
    assert float(found.std(correction=0)) == pytest.approx(1, rel=1e-5)


@pytest.mark.parametrize("scaling", ["standard", "robust", "quantile"])
def test_it_can_be_exported(scaling: Scaling) -> None:
    features = (Feature("a", missing=True), Feature("town", "category", 4), Feature("b"))
    x = np.column_stack([holes(columns=3)[:, 0], np.arange(200) % 4, np.arange(200.0)])
    inputs = TableInputs(features, scaling).fit(x)
    rows = torch.from_numpy(x)
    program = torch.export.export(inputs, (rows[:3],), dynamic_shapes={"x": {0: torch.export.Dim("batch")}})
    torch.testing.assert_close(program.module()(rows), inputs(rows))


def test_robust_scaling_is_by_the_quartiles_and_draws_in_what_lies_far_out() -> None:
    x = np.random.default_rng(0).normal(50, 7, (500, 1))
    x[0] = 1e9
    found = TableInputs(numbers(1), "robust").fit(x).transform(x)[:, 0].numpy()
    z = RobustScaler().fit_transform(x)[:, 0]
    np.testing.assert_allclose(found, z / np.sqrt(1 + (z / 3) ** 2), rtol=1e-5)
    assert abs(found).max() <= 3


def test_quantile_scaling_is_scikit_learns_between_its_ends() -> None:
    x = np.random.default_rng(0).exponential(size=(5000, 2)) ** 2
    found = TableInputs(numbers(2), "quantile").fit(x).transform(x).numpy()
    expected = QuantileTransformer(n_quantiles=1000, output_distribution="normal").fit_transform(x)
    inner = np.abs(expected) < 2
    np.testing.assert_allclose(found[inner], expected[inner], atol=0.05)
    assert found.max() < 3.2
    assert found.min() > -3.2


@pytest.mark.parametrize("scaling", ["standard", "robust", "quantile"])
def test_columns_of_one_value_or_few_stay_finite_in_every_scaling(scaling: Scaling) -> None:
    x = np.column_stack([np.full(50, 7.0), np.arange(50) % 2, np.where(np.arange(50) < 48, 0.0, 5.0)])
    found = TableInputs(numbers(3), scaling).fit(x).transform(x)
    assert torch.isfinite(found).all()
    assert not found[:, 0].any()
    assert found[0, 1] < found[1, 1]
    assert found[0, 2] < found[49, 2]
