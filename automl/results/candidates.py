"""Who may win a search, and with which curves."""

from __future__ import annotations

import optuna
from optuna.trial import FrozenTrial, TrialState

from automl.racing.curves import Curves
from automl.racing.objective import Objective
from automl.study.folder import RunFolder
from automl.study.reasons import BROKEN, Reason
from automl.study.trial_records import load_curves

Candidate = tuple[FrozenTrial, Curves]
"""A trial, and the curves of the folds by which it is judged."""


def find_candidates(study: optuna.Study, folder: RunFolder, objective: Objective) -> list[Candidate]:
    """The trials with a score on all folds, best first: COMPLETE, or stopped by the deadline alone.

    What the deadline stopped after 13 of 20 epochs may be better than all that was complete before it began. Without
    any such trial, the pruned one that climbed furthest with the best score. Empty when no trial has a score; what
    diverged or could not run has none that counts.
    """
    ranked = []
    for trial in study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED)):
        reason = trial.user_attrs.get("reason")
        curves = None if reason in BROKEN else load_curves(folder, trial.number, objective)
        if curves is None:
            continue
        complete = trial.state == TrialState.COMPLETE
        counted = curves if complete else curves.longest
        if counted.best_epoch():
            whole = complete or (reason == Reason.DEADLINE and counted.folds == len(curves.values))
            cost = objective.cost(trial.value) if complete and trial.value is not None else counted.score()
            ranked.append(((not whole, -counted.folds, cost, trial.number), whole, (trial, counted)))
    ranked.sort(key=lambda each: each[0])
    return [candidate for _, whole, candidate in ranked if whole] or [candidate for *_, candidate in ranked[:1]]
