"""Partial dependence: the mean prediction where all rows have the same value in a column.

Friedman (2001, 'Greedy function approximation'). Each fold's network is asked about the rows that it has not seen. The
values are those of rows in the data, so that the parts of a date belong together.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from automl.conclude.out_of_fold import Array, FoldNetwork
from automl.data.dataset import Dataset
from automl.data.table_columns import TableColumn, shown
from automl.data.tables.dates import DAY
from automl.models.inspection import Dependence
from automl.scheduling.deadline import Deadline

POINTS = 20  # values of a number
NAMES = 10  # values of a category, the commonest ones
INNER = (0.05, 0.95)  # quantiles between which a number's values lie, as in scikit-learn
CLASSES = 4  # the commonest ones, of more than two


def depend(
    networks: Sequence[FoldNetwork], column: TableColumn, dataset: Dataset, deadline: Deadline
) -> Dependence | None:
    """The partial dependence on a column; None where its values do not differ. Raises `OutOfTime`."""
    grid = find_grid(np.concatenate([network.x for network in networks]), column)
    if len(grid) < 2:
        return None
    means = np.stack([_means(network, column, grid, dataset, deadline) for network in networks])
    outputs, names = outputs_of(dataset)
    values = grid[:, 0].astype(np.float64)
    return Dependence(
        name=column.name,
        kind=column.kind,
        values=tuple((values * DAY if column.kind == "date" else values).tolist()),
        names=tuple(column.text(value) for value in values) if column.named else (),
        outputs=names,
        means=means[:, :, outputs].transpose(2, 0, 1).tolist(),
    )


def _means(network: FoldNetwork, column: TableColumn, grid: Array, dataset: Dataset, deadline: Deadline) -> Array:
    """[value, outputs]: of classes and labels mean probabilities."""
    deadline.check()
    x = np.tile(network.x, (len(grid), 1))
    x[:, list(column.places)] = np.repeat(grid, len(network.x), axis=0)
    outputs = network.outputs(x) if dataset.task == "regression" else network.probabilities(x)
    means: Array = outputs.reshape(len(grid), len(network.x), -1).mean(axis=1)
    return means


def find_grid(x: Array, column: TableColumn) -> Array:
    """[values, places]: rows of `x` [n, features] in the column, whose values differ and rise.

    Of a number or a date those at quantiles, of a category the commonest ones.
    """
    values = x[:, column.places[0]]
    known = np.flatnonzero(~np.isnan(values))
    distinct, first, counts = np.unique(values[known], return_index=True, return_counts=True)
    if column.named:
        chosen = np.sort(np.argsort(-counts, kind="stable")[:NAMES])
    else:
        chosen = np.unique(_places_of_quantiles(distinct, counts))
    return x[known[first[chosen]]][:, list(column.places)]


def _places_of_quantiles(distinct: Array, counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """The places in the `distinct` values of `POINTS` quantiles; all of them where they are no more."""
    if len(distinct) <= POINTS:
        return np.arange(len(distinct))
    ranks = np.linspace(*INNER, POINTS) * counts.sum()
    places: NDArray[np.int64] = np.minimum(np.searchsorted(np.cumsum(counts), ranks), len(distinct) - 1)
    return places


def outputs_of(dataset: Dataset) -> tuple[list[int], tuple[str, ...]]:
    """Which outputs are shown, and their names: the first target; the first labels; of two classes the second; else the
    commonest.
    """
    if dataset.task == "multilabel":
        return list(range(dataset.num_outputs))[:CLASSES], tuple(map(shown, dataset.output_names[:CLASSES]))
    if not dataset.classes:
        name = next(map(shown, dataset.understood.targets), "target" if dataset.num_outputs == 1 else "output 0")
        return [0], (name,)
    if len(dataset.classes) == 2:
        chosen = [1]
    else:
        counts = np.bincount(dataset.y, minlength=len(dataset.classes))
        chosen = np.sort(np.argsort(-counts, kind="stable")[:CLASSES]).tolist()
    return chosen, tuple(shown(str(dataset.classes[place])) for place in chosen)
