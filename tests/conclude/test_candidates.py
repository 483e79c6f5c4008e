"""Who may win: what is complete, and what only the deadline has stopped."""

from __future__ import annotations

import numpy as np
import optuna
import pytest
from optuna.trial import TrialState

from automl.conclude.candidates import find_candidates
from automl.racing.curves import Curves
from automl.racing.objective import Objective
from automl.run.curve_files import save_curves
from automl.run.folder import RunFolder
from automl.study.trial_record import result_attributes, write_attributes

EPOCHS = 20


def curves_of(loss: float, epochs: int, folds: int, behind: int = 0, metric: str | None = None) -> Curves:
    """Of three folds, so many were trained for so many epochs, the last `behind` of them for one less."""
    curves = Curves(3, EPOCHS, Objective.of("classification", metric))
    curves.values[:folds, :epochs] = [loss, 1 - loss, loss, 1 - loss]
    if behind:
        curves.values[folds - behind : folds, epochs - 1] = np.nan
    return curves


@pytest.fixture
def find(tmp_path):
    """`find((state, reason, curves), ...)`: the numbers of the candidates."""
    (tmp_path / "artifacts").mkdir()

    def go(*ended, metric=None):
        objective = Objective.of("classification", metric)
        study = optuna.create_study(direction=objective.direction)
        for state, reason, curves in ended:
            trial = study.ask()
            complete = state == TrialState.COMPLETE
            write_attributes(trial, result_attributes(curves, state, {"reason": reason}))
            save_curves(RunFolder(tmp_path), trial.number, curves)
            study.tell(trial, objective.value(curves.score()) if complete else None, state=state)
        return [trial.number for trial, _ in find_candidates(study, RunFolder(tmp_path), objective)]

    return go


@pytest.mark.parametrize("metric", [None, "accuracy"])
def test_what_the_deadline_stopped_on_all_folds_may_beat_what_is_complete(find, metric):
    complete = TrialState.COMPLETE, "", curves_of(0.58, EPOCHS, 3, metric=metric)
    stopped = TrialState.PRUNED, "deadline", curves_of(0.44, 13, 3, metric=metric)
    worse = TrialState.PRUNED, "deadline", curves_of(0.7, 13, 3, metric=metric)
    assert find(complete, stopped, worse, metric=metric) == [1, 0, 2]


@pytest.mark.parametrize(("loss", "folds", "behind", "wins"), [
    (0.54, 2, 0, True), (0.54, 3, 1, True), (0.54, 1, 0, False), (0.54, 3, 2, False), (0.56, 2, 0, False)
])  # fmt: skip
def test_on_two_folds_it_may_where_it_is_better_on_these_than_the_race_lets_differ(find, loss, folds, behind, wins):
    complete = TrialState.COMPLETE, "", curves_of(0.58, EPOCHS, 3)
    stopped = TrialState.PRUNED, "deadline", curves_of(loss, 13, folds, behind)
    assert find(complete, stopped) == ([1, 0] if wins else [0])


def test_only_the_best_of_those_on_fewer_folds_joins_what_is_complete(find):
    stopped = [(TrialState.PRUNED, "deadline", curves_of(loss, 13, 2)) for loss in (0.3, 0.2, 0.4)]
    assert find((TrialState.COMPLETE, "", curves_of(0.58, EPOCHS, 3)), *stopped) == [2, 0]


def test_a_better_score_in_a_lost_race_does_not(find):
    complete = TrialState.COMPLETE, "", curves_of(0.58, EPOCHS, 3)
    outpaced = TrialState.PRUNED, "outpaced", curves_of(0.1, 13, 3)
    overfitting = TrialState.PRUNED, "overfitting", curves_of(0.1, 13, 3)
    assert find(complete, outpaced, overfitting) == [0]


def test_where_nothing_was_trained_on_all_folds_the_one_that_got_furthest_stands_in(find):
    low = TrialState.PRUNED, "outpaced", curves_of(0.1, 2, 1)
    high = TrialState.PRUNED, "deadline", curves_of(0.5, 9, 2)
    assert find(low, high) == [1]


@pytest.mark.parametrize("reason", ["diverged", "infeasible"])
def test_what_diverged_or_cannot_run_is_never_one(find, reason):
    broken = TrialState.PRUNED, reason, curves_of(0.1, 9, 2)
    assert find(broken) == []
    assert find(broken, (TrialState.PRUNED, "outpaced", curves_of(0.9, 1, 1))) == [1]
