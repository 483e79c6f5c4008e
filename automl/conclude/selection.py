"""The winner: chosen among the finalists by all the folds that they were scored on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import optuna
from numpy.typing import NDArray

from automl.conclude.candidates import find_candidates
from automl.conclude.fold_errors import mean_error, standard_error
from automl.errors import NoTrialSucceeded, RunError
from automl.racing.curves import Curves
from automl.racing.objective import Objective
from automl.run.curve_files import counted_curves
from automl.run.folder import RunFolder
from automl.study.trial_record import FoldScore, TrialRecord, read_trials

CHANCE = 0.05


@dataclass(frozen=True, eq=False)
class Finalist:
    """A trial that may win. `fresh` are its scores on the fresh folds that it was scored on again, in their order.

    `stand_in`: it is not COMPLETE: the deadline stopped it, or nothing is complete.
    """

    trial: TrialRecord
    curves: Curves
    fresh: tuple[FoldScore, ...] = ()

    @property
    def number(self) -> int:
        """The trial's number."""
        return self.trial.number

    @property
    def stand_in(self) -> bool:
        """Whether the trial is not COMPLETE."""
        return not self.trial.is_complete

    @property
    def epochs(self) -> int:
        """For so many epochs it is scored again, and the final model is trained."""
        return self.curves.best_epoch()

    @property
    def fused(self) -> bool:
        """Whether its folds were trained as one CUDA graph."""
        return self.trial.executor == "fused"

    @property
    def parameters(self) -> int:
        """Of its network; where that is unknown, more than any."""
        return 2**63 if self.trial.parameters is None else self.trial.parameters

    def scores(self, folds: int | None = None) -> NDArray[np.float64]:
        """[fold, 2]: the score and what stands beside it, first of its own folds, then of the fresh ones.

        The epoch of an own fold is the one that its other folds choose, see `racing.curves.Summary`. `folds`: only so
        many, from the first.
        """
        summary, objective = self.curves.summary(), self.curves.objective
        own = summary.by_fold[:, [objective.column, objective.beside_column]] if summary else np.empty((0, 2))
        together: NDArray[np.float64] = np.concatenate([own, np.array(self.fresh).reshape(-1, 2)])
        return together[:folds]


@dataclass(frozen=True, eq=False)
class Winner:
    """The finalist whose config becomes the model, by its first `folds` folds; `words` say how it came to win."""

    finalist: Finalist
    folds: int
    words: str

    @property
    def scores(self) -> list[float]:
        """Its scores on the folds that decided."""
        return [float(score) for score in self.finalist.scores(self.folds)[:, 0]]


def find_finalists(study: optuna.Study, folder: RunFolder, objective: Objective, count: int) -> list[Finalist]:
    """The best `count` candidates, best first; see `find_candidates`. Raises `NoTrialSucceeded` when there is none."""
    candidates = find_candidates(study, folder, objective)
    if not candidates:
        reasons = [trial.detail or trial.why for trial in read_trials(study, objective)]
        raise NoTrialSucceeded(
            f"no trial succeeded out of {len(reasons)}" + (f"; the last one: {reasons[-1]}" if reasons else "")
        )
    return [Finalist(trial, curves) for trial, curves in candidates[:count]]


def as_finalist(study: optuna.Study, folder: RunFolder, objective: Objective, number: int) -> Finalist:
    """The trial of this number. Raises `RunError` when there is none, or it was not trained."""
    trials = read_trials(study, objective)
    if not 0 <= number < len(trials):
        raise RunError(f"{folder.path} has no trial {number}; it has: 0 to {len(trials) - 1}")
    trial = trials[number]
    curves = counted_curves(folder, number, trial.state, objective)
    if curves is None or not curves.best_epoch():
        reason = trial.why or trial.state.name.lower()
        raise RunError(f"trial {number} has no score to fit a model for ({reason}); choose another one")
    return Finalist(trial, curves)


def costs_of(finalists: Sequence[Finalist], objective: Objective, folds: int) -> NDArray[np.float64]:
    """[finalist, fold]: their costs on the first `folds` folds."""
    costs: NDArray[np.float64] = objective.cost(1.0) * np.array([each.scores(folds)[:, 0] for each in finalists])
    return costs


def far_behind(finalists: Sequence[Finalist], objective: Objective, folds: int, k: int) -> list[bool]:
    """Of each finalist whether it is behind the best mean over the first `folds` folds by more than chance explains.

    The finalists were scored on the same folds, so the differences are taken fold by fold: what makes a fold hard for
    all of them cancels. Their mean is judged by its interval for folds of a `k`-fold cross-validation that share
    training samples, see `automl.conclude.fold_errors`: of 95 % for two finalists, wider for more (Bonferroni).
    """
    costs = costs_of(finalists, objective, folds)
    differences = costs - costs[costs.mean(axis=1).argmin()]
    level = 1 - CHANCE / max(1, len(finalists) - 1)
    return [bool(each.mean() > mean_error(each, k, level)) for each in differences]


def choose(
    finalists: Sequence[Finalist], objective: Objective, k: int, *, prefer: str = "score", dropped: int = 0
) -> Winner:
    """The one with the best mean over the folds that all were scored on.

    Args:
        finalists: those that may still win.
        objective: what is optimised.
        k: K of the cross-validation.
        prefer: `score`, or `small`: of those within one standard error of the best mean the smallest network (the rule
            of Breiman et al., 1984, 'Classification and regression trees'). It is the smaller one of two standard
            errors, of the best one's mean and of the difference: a fold on which the other one exploded makes no tie.
        dropped: how many finalists more were far behind, which is only said.
    """
    folds = min(len(finalist.scores()) for finalist in finalists)
    costs = costs_of(finalists, objective, folds)
    means = costs.mean(axis=1)
    leader = int(means.argmin())
    best = winner = finalists[leader]
    if prefer == "small" and folds > 1:
        own = standard_error(costs[leader], k)
        tied = [
            finalist
            for finalist, cost, mean in zip(finalists, costs, means, strict=True)
            if mean - means[leader] <= min(own, standard_error(cost - costs[leader], k))
        ]
        winner = min(tied, key=lambda finalist: (finalist.parameters, finalist is not best))
    if len(finalists) == 1:
        words = "the other finalists lie further behind than chance explains" if dropped else ""
    elif winner is not best:
        words = (
            f"trial {best.number} has the better mean, but by less than one standard error over {folds} folds, and the "
            f"network of trial {winner.number} is smaller (--prefer small)"
        )
    else:
        words = f"the best mean over {folds} folds of {len(finalists)} finalists"
    return Winner(winner, folds, words)
