"""Who may win a search, and with which curves."""

from __future__ import annotations

import optuna

from automl.racing.curves import Curves
from automl.racing.objective import Objective
from automl.racing.race import NEAR
from automl.run.curve_files import load_curves
from automl.run.folder import RunFolder
from automl.study.reasons import Reason
from automl.study.trial_record import TrialRecord, read_trials

FEWEST_FOLDS = 2  # on which a trial may win over one that has all

Candidate = tuple[TrialRecord, Curves]
"""A trial, and the curves of the folds by which it is judged."""


def find_candidates(study: optuna.Study, folder: RunFolder, objective: Objective) -> list[Candidate]:
    """The trials with a score on all folds, best first: COMPLETE, or stopped by the deadline alone.

    What the deadline stopped after 13 of 20 epochs may be better than all that was complete before it began. What it
    stopped on some folds comes before them where it is `_clearly_better` on these. Without any such trial, the pruned
    one that climbed furthest with the best score. Empty when no trial has a score; what diverged or could not run has
    none that counts.
    """
    ranked = []
    for trial in read_trials(study, objective):
        ended = trial.state.is_finished() and not trial.is_broken
        curves = load_curves(folder, trial.number, objective) if ended else None
        if curves is None:
            continue
        counted = curves if trial.is_complete else curves.longest
        if counted.best_epoch():
            whole = trial.is_complete or (trial.reason == Reason.DEADLINE and counted.folds == len(curves.values))
            cost = counted.score() if trial.score is None else objective.cost(trial.score)
            ranked.append(((not whole, -counted.folds, cost, trial.number), whole, (trial, counted)))
    ranked.sort(key=lambda each: each[0])
    scored = [candidate for _, whole, candidate in ranked if whole]
    partly = [candidate for _, whole, candidate in ranked if not whole]
    if not scored:
        return partly[:1]
    leading = [each for each in partly if each[0].reason == Reason.DEADLINE and _clearly_better(each, scored)]
    return leading[:1] + scored


def _clearly_better(candidate: Candidate, others: list[Candidate]) -> bool:
    """Whether a trial is better than all `others` on its own folds, two at least, by more than what the race lets two
    of the same folds differ.
    """
    _, curves = candidate
    if curves.folds < FEWEST_FOLDS:
        return False
    best = min(other.score(curves.folds) for _, other in others)
    return curves.score() < best - NEAR * abs(best)
