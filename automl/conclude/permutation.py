"""Permutation importance: by how much the score is worse when the values of a column are shuffled.

Breiman (2001, 'Random forests'), for any model Fisher, Rudin and Dominici (2019, 'All models are wrong, but many are
useful'). It is measured on rows that the network has not seen, so that what was only memorised does not count. A column
is permuted as a whole: the parts of a date go together, and so does what says that a number is missing, which
scikit-learn's `permutation_importance` does not know of; one fold's network and columns of one feature give the same.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from automl.conclude.fold_errors import mean_error
from automl.conclude.out_of_fold import FoldNetwork
from automl.data.table_columns import TableColumn
from automl.errors import OutOfTime
from automl.models.inspection import Importance
from automl.racing.objective import Objective
from automl.scheduling.deadline import Deadline

REPEATS = 5
LEVEL = 0.95
STACKED, STACKED_CELLS = 4096, 4_000_000  # rows, and numbers in them, that are predicted at once

Costs = NDArray[np.float64]


def permute_all(
    networks: Sequence[FoldNetwork],
    columns: Sequence[TableColumn],
    objective: Objective,
    deadline: Deadline,
    *,
    seed: int,
    repeats: int = REPEATS,
) -> Costs:
    """[repeat, fold, column]: by how much the cost of each fold's network rises where a column of its rows is permuted.

    As many repeats as there is time for; where it does not suffice for one, [0, folds, columns].
    """
    base = [network.cost(network.x, objective) for network in networks]
    done = np.empty((0, len(networks), len(columns)))
    for repeat in range(repeats):
        try:
            costs = [
                _permute_each(network, columns, objective, deadline, (seed, repeat, network.number))
                for network in networks
            ]
        except OutOfTime:
            break
        done = np.concatenate([done, (np.array(costs) - np.array(base)[:, None])[None]])
    return done


def _permute_each(
    network: FoldNetwork,
    columns: Sequence[TableColumn],
    objective: Objective,
    deadline: Deadline,
    seed: tuple[int, ...],
) -> list[float]:
    """The cost with each of the columns permuted, all in the same way. Raises `OutOfTime` and `Interrupted`.

    Several columns are predicted at once: a pass over a few rows takes hardly less time than one over many.
    """
    count, features = network.x.shape
    shuffled = network.x[np.random.default_rng(seed).permutation(count)]
    together = max(1, min(STACKED, STACKED_CELLS // features) // count)
    costs: list[float] = []
    for start in range(0, len(columns), together):
        deadline.check()
        part = columns[start : start + together]
        copies = np.tile(network.x, (len(part), 1, 1))
        for copy, column in zip(copies, part, strict=True):
            copy[:, list(column.places)] = shuffled[:, list(column.places)]
        outputs = network.outputs(copies.reshape(-1, features)).reshape(len(part), count, -1)
        costs += [network.cost_of(each, objective) for each in outputs]
    return costs


def as_importances(rises: Costs, columns: Sequence[TableColumn], folds: int) -> list[tuple[TableColumn, Importance]]:
    """The columns with their importances, largest first, by what `permute_all` has found for some of `folds` folds.

    The interval is that of the mean over the folds, see `automl.conclude.fold_errors`; of a single fold over the
    repeats, which tells nothing of other networks. A fold in which the metric is not defined does not count.
    """
    found = []
    for place, column in enumerate(columns):
        by_repeat = rises[:, np.isfinite(rises[:, :, place]).all(axis=0), place]
        by_fold = by_repeat.mean(axis=0)
        if not len(by_fold):
            continue
        mean, half = float(by_fold.mean()), math.nan
        if len(by_fold) > 1:
            half = mean_error(by_fold.tolist(), folds, LEVEL)
        elif len(by_repeat) > 1:
            half = _error_of_repeats(by_repeat[:, 0])
        ends = (mean - half, mean + half) if math.isfinite(half) else None
        found.append((column, Importance(name=column.name, mean=mean, ends=ends, by_fold=tuple(by_fold.tolist()))))
    return sorted(found, key=lambda pair: -pair[1].mean)


def _error_of_repeats(values: Costs) -> float:
    """Half the width of the mean's interval over independent repeats."""
    from scipy.special import stdtrit

    return float(stdtrit(len(values) - 1, (1 + LEVEL) / 2) * values.std(ddof=1) / math.sqrt(len(values)))


def screen(
    network: FoldNetwork,
    columns: Sequence[TableColumn],
    most: int,
    objective: Objective,
    deadline: Deadline,
    seed: int,
) -> tuple[list[TableColumn], int]:
    """The `most` columns that matter most after one permutation of each in one fold, and of how many columns they are.

    Where the time ends before, the columns after that are not looked at.
    """
    if len(columns) <= most:
        return list(columns), len(columns)
    costs: list[float] = []
    for start in range(0, len(columns), most):
        try:
            costs += _permute_each(network, columns[start : start + most], objective, deadline, (seed, 1 << 16))
        except OutOfTime:
            break
    costs = costs or [0.0] * most
    order = np.argsort(-np.nan_to_num(np.array(costs), nan=-np.inf), kind="stable")[:most]
    return [columns[place] for place in order.tolist()], len(costs)
