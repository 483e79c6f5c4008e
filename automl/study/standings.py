"""Where a trial stands in the race, between Optuna's storage and `racing`, so that others can go on with it.

With it: which attempt at a climb it is, and what work was lost and done again.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from automl.racing.curves import Curves
from automl.racing.race import Race, Standing, State
from automl.study.storage.cache import STANDING

ATTEMPT = "automl:attempt"
REPEATED = "automl:repeated"


def standing_attribute(standing: Standing, *, judged: bool = False) -> dict[str, str]:
    """The attribute that says where a trial stands, so that others can go on with the race.

    It is to be written last of all that is written when a trial rests: from then on others may go on with it.
    `judged`: the trial ends, by what its last climb has shown.
    """
    known: dict[str, Any] = {"scores": standing.scores, "waiting": standing.waiting, "family": standing.family}
    if judged:
        known["judged"] = standing.rung
    return {STANDING: json.dumps(known)}


def standing_of(trial: FrozenTrial) -> Standing:
    """Where a trial stands by what was remembered of it."""
    return decode_standing(trial.state, trial.user_attrs)


def standing_mark(trial: FrozenTrial) -> tuple[TrialState, str]:
    """What changes whenever a trial rests or ends: to be compared with an earlier look."""
    return trial.state, trial.user_attrs.get(STANDING, "")


def decode_standing(state: TrialState, attributes: Mapping[str, Any]) -> Standing:
    """Where a trial stands by its state and user attributes."""
    known = json.loads(attributes.get(STANDING, "{}"))
    now = State.COMPLETE if state == TrialState.COMPLETE else State.LEFT
    if state == TrialState.RUNNING and known.get("waiting", False):
        now = State.WAITING
    return Standing(
        scores={int(rung): score for rung, score in known.get("scores", {}).items()},
        family=known.get("family", ""),
        state=now,
    )


def recall_race(race: Race, trials: Iterable[FrozenTrial]) -> list[tuple[int, int]]:
    """Enters the study's trials into `race`; returns the climbs (trial, rung) that were broken off."""
    broken_off = []
    for trial in trials:
        if trial.state == TrialState.WAITING:
            continue
        standing = standing_of(trial)
        race.enter(trial.number, standing)
        if trial.state == TrialState.RUNNING and not standing.waiting:
            # Where it was judged and that was not told yet, by that climb again.
            judged = json.loads(trial.user_attrs.get(STANDING, "{}")).get("judged")
            broken_off.append((trial.number, min(standing.rung + 1, race.top) if judged is None else judged))
    return broken_off


def count_attempt(trial: optuna.Trial, rung: int) -> int:
    """Which attempt (from 1) at this climb begins now, where no leases count them; writes it down.

    One more than the last one, if that was at the same climb and the trial has reported no epoch since then.
    """
    reached = len(trial.storage.get_trial(trial._trial_id).intermediate_values)
    before = trial.user_attrs.get(ATTEMPT)
    attempt = before[2] + 1 if before and before[:2] == [rung, reached] else 1
    trial.set_user_attr(ATTEMPT, [rung, reached, attempt])
    return attempt


def forget_attempt(trial: optuna.Trial) -> None:
    """The attempt was ended in good order, and does not count."""
    trial.set_user_attr(ATTEMPT, None)


def count_repeated(trial: optuna.Trial, curves: Curves, folds: int) -> None:
    """Writes down the work that is lost when a climb on `folds` folds goes on from `curves`, those of its checkpoint.

    That are the epochs that the trial has reported since then, by whichever process; each is counted once.
    """
    reported = max(trial.storage.get_trial(trial._trial_id).intermediate_values, default=0)
    known, counted = trial.user_attrs.get(REPEATED, (0, 0))
    lost = reported - max(counted, curves.epochs(1) if curves.folds else 0)
    if lost > 0:
        trial.set_user_attr(REPEATED, [known + lost * folds, reported])
