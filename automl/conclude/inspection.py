"""The inspection of a table: what its columns are, and what the networks of the winner's folds make of them.

It is made when the search is over, in the seconds that are kept for it, for the report, which only reads.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from automl.conclude.dependence import POINTS, depend
from automl.conclude.fitting import FoldModel, restore_fold_models
from automl.conclude.out_of_fold import FoldNetwork, draw_all, seconds_per_row, with_rows
from automl.conclude.permutation import as_importances, permute_all, screen
from automl.conclude.reliability import find_calibration, find_residuals
from automl.conclude.selection import as_finalist
from automl.data.dataset import Dataset
from automl.data.drift import measure_drift
from automl.data.table_columns import TableColumn, shown, summarise_columns, table_columns
from automl.errors import MachineFailed, OutOfTime, Stop
from automl.models.inspection import (
    MOST_COLUMNS,
    MOST_INSPECTED,
    Dependence,
    Inspection,
    load_inspection,
    save_inspection,
)
from automl.run.context import SearchContext
from automl.scheduling.deadline import Budget, Deadline
from automl.scheduling.time_estimates import INSPECTION
from automl.scheduling.worker_loop import WorkerLoop
from automl.study.storage.opening import storage_errors
from automl.training.seeds import derive_seed

log = logging.getLogger("automl.inspection")

ROWS = 5_000  # of all folds, for which permuted columns are predicted
FEWEST = 30  # rows of a fold; where there is time for less, importances would be noise
DEPENDED = 3  # columns with a picture of their partial dependence
DEPENDENCE_ROWS = 500
OTHER_PASSES = 3  # over all rows: before the permutations, for the score, for residuals or calibration
FIRST_LOOK, ONE_REPEAT, DEPENDENCE = 0.2, 0.35, 0.35
"""Shares of the time left: for the choice of columns, for one permutation of each, for partial dependence."""


def inspect_table(
    context: SearchContext, work: WorkerLoop, budget: Budget, trial: int, fresh: Sequence[FoldModel] = ()
) -> None:
    """Writes down the inspection of a table for the model of this trial, unless an earlier session has done so.

    `fresh` are networks of its config on fresh folds, as `Rescoring` has trained them. It takes `INSPECTION` seconds,
    and not longer than the budget. What goes wrong with the networks is said there, and stops nothing. Raises
    `Interrupted` and `MachineFailed`.
    """
    dataset, splits = context.dataset, context.splits
    known = load_inspection(work.folder)
    if dataset.kind != "table" or (known is not None and known.trial == trial and not known.left_out):
        return
    deadline = inspection_deadline(budget)
    columns = table_columns(dataset)
    summaries, summarised = summarise_columns(dataset, splits.training_part, MOST_COLUMNS)
    facts: dict[str, Any] = {
        "columns": len(columns),
        "summarised": summarised,
        "summaries": summaries,
        "drift": measure_drift(dataset, columns[:MOST_COLUMNS], splits.training_part, splits.test),
    }
    try:
        facts |= inspect_networks(context, work, trial, fresh, columns, deadline)
    except OutOfTime:
        facts["left_out"] = "the deadline left no time for it"
    except (Stop, MachineFailed):
        raise
    except Exception as error:  # a plugin's code, no memory, an output that is no number
        log.warning("the columns of trial %d were not inspected: %s: %s", trial, type(error).__name__, error)
        facts["left_out"] = shown(f"the networks of the folds could not be asked ({type(error).__name__}: {error})")
    with storage_errors():
        save_inspection(work.folder, Inspection(trial=trial, **facts))


def inspect_networks(
    context: SearchContext,
    work: WorkerLoop,
    trial: int,
    fresh: Sequence[FoldModel],
    columns: Sequence[TableColumn],
    deadline: Deadline,
) -> dict[str, Any]:
    """What the networks of the trial's folds say: fields of `Inspection`. Raises `OutOfTime` where nothing is known."""
    dataset, objective = context.dataset, context.objective
    deadline.check()
    models, epochs = choose_networks(context, work, trial, fresh)
    if not models:
        return {"left_out": f"the networks of the folds of trial {trial} are not on this machine any more"}
    seed = derive_seed(context.settings.seed, "inspection")
    every = with_rows(models, dataset)
    pace = seconds_per_row(every[0])
    looked = draw_all(every[:1], _affordable(FIRST_LOOK * deadline.left, pace, len(columns)), seed)[0]
    chosen, screened = screen(
        looked, columns, MOST_INSPECTED, objective, deadline.minus((1 - FIRST_LOOK) * deadline.left), seed
    )
    rows = _affordable(ONE_REPEAT * deadline.left, pace, len(chosen) + OTHER_PASSES)
    if rows < min(FEWEST * len(every), sum(len(network.x) for network in every)):
        raise OutOfTime
    networks = draw_all(every, rows, seed)
    rises = permute_all(networks, chosen, objective, deadline.minus(DEPENDENCE * deadline.left), seed=seed)
    if not len(rises):
        raise OutOfTime
    ranked = as_importances(rises, chosen, context.settings.folds)
    costs = [network.cost(network.x, objective) for network in networks]
    return {
        "metric": objective.name,
        "score": objective.value(sum(costs) / len(costs)),
        "folds": len(networks),
        "epochs": epochs,
        "rows": sum(len(network.x) for network in networks),
        "repeats": len(rises),
        "screened": screened,
        "importances": [importance for _, importance in ranked],
        "calibration": None if dataset.task == "regression" else find_calibration(networks, dataset),
        "residuals": find_residuals(networks, dataset, seed) if dataset.task == "regression" else None,
        "dependences": _dependences(networks, [column for column, _ in ranked[:DEPENDED]], dataset, deadline, pace),
    }


def choose_networks(
    context: SearchContext, work: WorkerLoop, trial: int, fresh: Sequence[FoldModel]
) -> tuple[Sequence[FoldModel], int]:
    """The networks to be looked at, and after how many epochs they are: if possible as many as the score's.

    A checkpoint holds the last epoch. Where the score is that of an earlier one, networks on fresh folds are more like
    the model: on flchain, those of a checkpoint of 23 epochs had a log loss of 0.473 and a calibration error of 4.9 %,
    those of a score's 6 epochs 0.422 and 1.1 %.
    """
    finalist = as_finalist(work.study, work.folder, context.objective, trial)
    kept, epochs = restore_fold_models(context, finalist, work.resident, work.folder)
    if len(fresh) > 1 and epochs != finalist.epochs:
        return fresh, finalist.epochs
    return kept, epochs


def _dependences(
    networks: Sequence[FoldNetwork], columns: Sequence[TableColumn], dataset: Dataset, deadline: Deadline, pace: float
) -> list[Dependence]:
    """The partial dependence on the columns, as far as there is time."""
    rows = min(DEPENDENCE_ROWS, _affordable(deadline.left, pace, 2 * POINTS * len(columns)))
    fewer = draw_all(networks, rows, seed=0)
    found = []
    for column in columns:
        try:
            dependence = depend(fewer, column, dataset, deadline)
        except OutOfTime:
            break
        if dependence is not None:
            found.append(dependence)
    return found


def inspection_deadline(budget: Budget) -> Deadline:
    """`INSPECTION` seconds from now, or the end of the budget before that."""
    clock = budget.deadline.clock
    soon = clock() + INSPECTION
    end = soon if budget.deadline.end is None else min(soon, budget.deadline.end)
    return Deadline(end, budget.deadline.interrupted, clock)


def _affordable(seconds: float, pace: float, passes: int) -> int:
    """How many rows can be predicted so many times in these seconds; no more than are useful."""
    return min(ROWS, int(seconds / max(pace * passes, 1e-12)))
