"""The columns of a table as people know them: of each the places of what the samples hold of it.

A date is several features, see `Column.features`; an array without names has one column for each of its features.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from automl.data.dataset import Dataset
from automl.data.images.decode import printable
from automl.data.tables.columns import Column, Kind
from automl.data.tables.dates import DAY

MOST_CELLS = 5_000_000  # that a summary is made of: a second's work; of a larger table some rows are drawn
FREQUENT = 5  # categories of a summary
LONGEST = 200  # letters of a name
MISSING = "missing"


@dataclass(frozen=True)
class TableColumn:
    """A column that networks are given: `places` are those of its features in a sample, the first its value.

    categories: the names of the codes 1, 2, ... of a category; 0 is a missing value.
    """

    name: str
    kind: Kind
    places: tuple[int, ...]
    categories: tuple[str, ...] = ()

    @property
    def named(self) -> bool:
        """Whether its values are names: of categories, or true and false."""
        return self.kind in ("category", "boolean")

    def text(self, value: float) -> str:
        """The name of such a value."""
        if np.isnan(value) or (self.kind == "category" and value == 0):
            return MISSING
        return shown(self.categories[int(value) - 1]) if self.kind == "category" else ("true" if value else "false")

    def missing(self, values: NDArray[Any]) -> NDArray[np.bool_]:
        """Which of its values are missing."""
        empty: NDArray[np.bool_] = values == 0 if self.kind == "category" else np.isnan(values)
        return empty


class ColumnSummary(BaseModel):
    """What a column holds in the training part. missing: the share of its cells. distinct: how many values beside that.

    quantiles: least, quarter, median, three quarters, largest of a number, of a date in seconds since 1970.
    frequent: the commonest categories, with their shares of the cells that are not missing. reason: why it is left out.
    """

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    name: str = Field(max_length=LONGEST)
    kind: Kind
    missing: float = Field(default=0.0, ge=0, le=1)
    distinct: int = Field(default=0, ge=0, le=10**12)
    quantiles: tuple[float, ...] = Field(default=(), max_length=5)
    frequent: tuple[tuple[str, float], ...] = Field(default=(), max_length=FREQUENT)
    reason: str = Field(default="", max_length=LONGEST)


def shown(text: str) -> str:
    """A name from the data as it is stored and shown."""
    return printable(text)[:LONGEST]


def table_columns(dataset: Dataset) -> list[TableColumn]:
    """The columns of a table that its networks are given."""
    if not dataset.columns:
        return [TableColumn(feature.name, "number", (place,)) for place, feature in enumerate(dataset.features)]
    found, place = [], 0
    for column in dataset.columns:
        width = len(column.features)
        if width:
            places = tuple(range(place, place + width))
            found.append(TableColumn(shown(column.name), column.kind, places, column.categories))
        place += width
    return found


def summarise_columns(dataset: Dataset, rows: NDArray[np.int64], most: int) -> tuple[list[ColumnSummary], int]:
    """A summary of each of the first `most` columns over these rows, and of how many of them it was made.

    Those that are left out come last, with the reason.
    """
    columns = table_columns(dataset)[:most]
    enough = max(1000, MOST_CELLS // max(1, len(columns)))
    if len(rows) > enough:
        rows = np.sort(np.random.default_rng(0).choice(rows, enough, replace=False))
    found = [_summary(column, dataset.x[rows, column.places[0]].astype(np.float64)) for column in columns]
    return found + [_left_out(column) for column in dataset.columns if column.kind == "left out"][:most], len(rows)


def _left_out(column: Column) -> ColumnSummary:
    return ColumnSummary(name=shown(column.name), kind="left out", reason=shown(column.reason))


def _summary(column: TableColumn, values: NDArray[np.float64]) -> ColumnSummary:
    empty = column.missing(values)
    values = values[~empty]
    distinct, counts = np.unique(values, return_counts=True)
    facts: dict[str, Any] = {}
    if column.named:
        order: Sequence[int] = np.argsort(-counts, kind="stable")[:FREQUENT].tolist()
        facts["frequent"] = [(column.text(distinct[i]), counts[i] / len(values)) for i in order]
    elif len(values):
        seconds = DAY if column.kind == "date" else 1.0
        facts["quantiles"] = (np.quantile(values, [0, 0.25, 0.5, 0.75, 1]) * seconds).tolist()
    return ColumnSummary(
        name=column.name, kind=column.kind, missing=float(empty.mean()) if len(empty) else 0.0, distinct=len(distinct),
        **facts,
    )  # fmt: skip
