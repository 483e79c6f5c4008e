"""Drift: how far the columns of two sets of rows of a table differ, and whether that is more than chance explains."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from automl.data.dataset import Dataset
from automl.data.table_columns import LONGEST, TableColumn

MOST_ROWS = 20_000  # of each side
FEWEST = 5  # samples that are expected in each cell of a chi-squared test (Cochran, 1954); rarer categories are one
CHANCE = 0.05

Values = NDArray[np.float64]


class Drift(BaseModel):
    """How far a column differs. statistic: 0 for the same distribution, 1 for two without a common value.

    p: the probability of at least so much by chance in any of the columns that were compared.
    """

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    name: str = Field(max_length=LONGEST)
    measure: Literal["Kolmogorov-Smirnov", "total variation"]
    statistic: float = Field(ge=0, le=1)
    p: float = Field(ge=0, le=1)

    @property
    def beyond_chance(self) -> bool:
        """Whether it is more than chance explains."""
        return self.p < CHANCE


def measure_drift(
    dataset: Dataset, columns: list[TableColumn], train: NDArray[np.int64], test: NDArray[np.int64]
) -> list[Drift]:
    """The drift of each column from the rows `train` to the rows `test`, the largest first; none without both.

    Numbers and dates by the two-sample Kolmogorov-Smirnov test (Hodges, 1958, 'The significance probability of the
    Smirnov two-sample test'), a missing one being smaller than any; categories, a missing one among them, by the total
    variation of their shares, and Pearson's chi-squared test of homogeneity. The p-values are Bonferroni's.
    """
    if not len(train) or not len(test):
        return []
    train, test = _drawn(train), _drawn(test)
    found = []
    for column in columns:
        one, other = (dataset.x[rows, column.places[0]].astype(np.float64) for rows in (train, test))
        compare = compare_categories if column.named else compare_numbers
        statistic, p = compare(one, other)
        measure = "total variation" if column.named else "Kolmogorov-Smirnov"
        facts: dict[str, Any] = {"measure": measure, "statistic": min(1.0, statistic), "p": min(1.0, p * len(columns))}
        found.append(Drift(name=column.name, **facts))
    return sorted(found, key=lambda drift: -drift.statistic)


def compare_numbers(one: Values, other: Values) -> tuple[float, float]:
    """The Kolmogorov-Smirnov statistic of two samples, and its p-value; NaN is smaller than any number."""
    from scipy.stats import ks_2samp

    found = ks_2samp(*(np.where(np.isnan(each), -np.inf, each) for each in (one, other)), method="asymp")
    return float(found.statistic), float(found.pvalue)


def compare_categories(one: Values, other: Values) -> tuple[float, float]:
    """The total variation of two samples of codes, and the p-value of the chi-squared test; NaN is a code too."""
    from scipy.stats import chi2_contingency

    codes, index = np.unique(np.concatenate([one, other]), return_inverse=True)
    counts = np.stack([np.bincount(part, minlength=len(codes)) for part in (index[: len(one)], index[len(one) :])])
    shares = counts / counts.sum(axis=1, keepdims=True)
    variation = float(np.abs(shares[0] - shares[1]).sum() / 2)
    rare = counts.sum(axis=0) * min(len(one), len(other)) / counts.sum() < FEWEST
    pooled = np.column_stack([counts[:, ~rare], counts[:, rare].sum(axis=1)])
    pooled = pooled[:, pooled.sum(axis=0) > 0]
    p = float(chi2_contingency(pooled, correction=False).pvalue) if pooled.shape[1] > 1 else 1.0
    return variation, p


def _drawn(rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """The rows, or `MOST_ROWS` of them, always the same."""
    return rows if len(rows) <= MOST_ROWS else np.random.default_rng(0).choice(rows, MOST_ROWS, replace=False)
