"""Schedules that spend fold-epochs on a table of recorded curves: the race, its opponents, and what they would return.

Each is a function of a `Replay`: it takes the configs in their order, pays for what it looks at, and notes every score.
Opponents on one split see the first fold only, and are complete when that is trained. The folds are shuffled with the
configs, so that the luck of the split counts.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import optuna
from numpy.typing import NDArray
from optuna.pruners import BasePruner, MedianPruner, SuccessiveHalvingPruner
from optuna.trial import TrialState

from automl.racing.climb import climb
from automl.racing.curves import Curves, FoldEpoch
from automl.racing.ladder import Ladder, Rung
from automl.racing.objective import Objective
from automl.racing.overfitting import OverfittingRule
from automl.racing.race import Race

Array = NDArray[np.float64]
SHORTLIST = 10  # configs of `one_epoch_then_best` that are trained in full


@dataclass
class Replay:
    """One search on a table: what it has spent, and what it would return by then.

    Args:
        table: [config, fold, epoch, 4], the folds in the order in which they are trained.
        order: the configs, as a sampler would draw them.
        objective: what the score is.
    """

    table: Array
    order: list[int]
    objective: Objective = field(default_factory=Objective)
    spent: int = 0
    complete: dict[int, int] = field(default_factory=dict)  # by config, what had been spent when it was
    returned: list[tuple[int, int]] = field(default_factory=list)  # (spent, config), whenever another one led
    best: tuple[int, float] = (0, math.inf)

    @property
    def folds(self) -> int:
        """How many folds the table has."""
        return self.table.shape[1]

    @property
    def epochs(self) -> int:
        """How many epochs a config is trained at most."""
        return self.table.shape[2]

    def score(self, config: int, epochs: int, folds: int) -> float:
        """The cost after so many epochs on the first `folds` folds."""
        return Curves.of(self.table[config], self.objective).score(folds, epochs)

    def note(self, config: int, epochs: int, folds: int, score: float, *, complete: bool = False) -> None:
        """Enters a score. The config with the best of those for which most was trained is the one to return."""
        key = -epochs * folds, score
        if key < self.best:
            self.best = key
            self.returned.append((self.spent, config))
        if complete:
            self.complete.setdefault(config, self.spent)

    def returned_after(self, budget: float) -> int | None:
        """The config that would be returned when so much is spent; None: nothing was trained by then."""
        return next((config for spent, config in reversed(self.returned) if spent <= budget), None)


Schedule = Callable[[Replay], None]


def in_full(replay: Replay, folds: int) -> None:
    """Every config, all epochs of the first `folds` folds."""
    for config in replay.order:
        replay.spent += folds * replay.epochs
        replay.note(config, replay.epochs, folds, replay.score(config, replay.epochs, folds), complete=True)


def pruned(replay: Replay, folds: int, make_pruner: Callable[[], BasePruner]) -> None:
    """Every config epoch by epoch, the fold mean reported to one of Optuna's pruners, which may stop it for good."""
    study = optuna.create_study(direction=replay.objective.direction, pruner=make_pruner())
    means = replay.table[:, :folds, :, replay.objective.column].mean(axis=1)
    for config in replay.order:
        trial = study.ask()
        for epoch in range(1, replay.epochs + 1):
            replay.spent += folds
            trial.report(float(means[config, epoch - 1]), epoch)
            if epoch < replay.epochs and trial.should_prune():
                break
        score = replay.score(config, epoch, folds)
        replay.note(config, epoch, folds, score, complete=epoch == replay.epochs)
        if epoch == replay.epochs:
            study.tell(trial, float(means[config, -1]))
        else:
            study.tell(trial, state=TrialState.PRUNED)


def one_epoch_then_best(replay: Replay) -> None:
    """One epoch of one fold for every config; then all folds and epochs for the best few, best first."""
    for config in replay.order:
        replay.spent += 1
        replay.note(config, 1, 1, replay.score(config, 1, 1))
    for config in sorted(replay.order, key=lambda config: replay.score(config, 1, 1))[:SHORTLIST]:
        replay.spent += replay.folds * replay.epochs - 1
        score = replay.score(config, replay.epochs, replay.folds)
        replay.note(config, replay.epochs, replay.folds, score, complete=True)


def early_stopped_cv(replay: Replay) -> None:
    """Fold by fold in full, stopped as soon as the mean is worse than the worst fold of the best config so far.

    The 'forgiving' rule of Bergman, Purucker and Hutter (2024), 'Don't waste your time: early stopping
    cross-validation', arXiv 2405.03389.
    """
    best, worst_fold = math.inf, math.inf
    for config in replay.order:
        costs: list[float] = []
        for fold in range(replay.folds):
            replay.spent += replay.epochs
            costs.append(Curves.of(replay.table[config, fold : fold + 1], replay.objective).score())
            if np.mean(costs) > worst_fold:
                break
        done = len(costs) == replay.folds
        score = replay.score(config, replay.epochs, len(costs))
        replay.note(config, replay.epochs, len(costs), score, complete=done)
        if done and score < best:
            best, worst_fold = score, max(costs)


class TableRun:
    """Recorded curves [fold, epoch, 4] in the place of training."""

    def __init__(self, curves: Array):
        self.curves = curves
        self.done = [0] * len(curves)

    def advance(self, epochs: int, folds: int) -> Iterator[list[FoldEpoch]]:
        """What training would have shown, epoch by epoch."""
        for epoch in range(1, epochs + 1):
            behind = [fold for fold in range(folds) if self.done[fold] < epoch]
            if behind:
                for fold in behind:
                    self.done[fold] = epoch
                yield [FoldEpoch(fold, epoch, *map(float, self.curves[fold, epoch - 1])) for fold in behind]


def race(replay: Replay, ladder: Ladder, eta: float, rule: OverfittingRule | None) -> None:
    """automl's own: the code of `automl.racing` on this ladder."""
    contest = Race(ladder, eta=eta)
    runs: dict[int, tuple[TableRun, Curves]] = {}
    waiting_to_start = iter(replay.order)
    shape = replay.table.shape[1:3]
    while True:
        step = contest.promote()
        if step is None:
            config = next(waiting_to_start, None)
            step = contest.carry() if config is None else (config, contest.start(config))
        if step is None:
            return
        config, rung = step
        run, curves = runs.setdefault(config, (TableRun(replay.table[config]), Curves(*shape, replay.objective)))
        climbing = climb(contest, config, rung, run, curves, rule)
        while True:
            try:
                results = next(climbing)
            except StopIteration as ended:
                complete = contest.standings[config].complete
                budget = ladder[-1] if complete else ladder[rung]
                replay.note(config, budget.epochs, budget.folds, ended.value.score, complete=complete)
                break
            replay.spent += len(results)
            if not all(math.isfinite(r.validation_loss) and math.isfinite(r.train_loss) for r in results):
                contest.leave(config)
                break


def on_one_fold(ladder: Ladder) -> Ladder:
    """The ladder with the first fold only."""
    return tuple(dict.fromkeys(Rung(rung.epochs, 1) for rung in ladder))


def opponents(ladder: Ladder, eta: float) -> dict[str, Schedule]:
    """The schedules beside the race, by name; those called `one_split_...` see one fold."""
    folds = ladder[-1].folds
    return {
        "one_split_halving": partial(race, ladder=on_one_fold(ladder), eta=eta, rule=None),
        "one_split_median": partial(pruned, folds=1, make_pruner=MedianPruner),
        "one_split_stop_only": partial(pruned, folds=1, make_pruner=SuccessiveHalvingPruner),
        "one_split_in_full": partial(in_full, folds=1),
        "one_epoch_then_best": one_epoch_then_best,
        "early_stopped_cv": early_stopped_cv,
        "all_folds_median": partial(pruned, folds=folds, make_pruner=MedianPruner),
        "all_folds_stop_only": partial(pruned, folds=folds, make_pruner=SuccessiveHalvingPruner),
        "all_folds_in_full": partial(in_full, folds=folds),
    }
