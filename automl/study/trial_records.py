"""What the storage remembers of a trial: where it stands in the race, and what it came to.

The attributes are plain numbers and texts, so that the dashboard shows them. Curves are longer than an attribute may be
and go to the artifacts.
"""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Mapping
from typing import IO, Any

import numpy as np
import optuna
from optuna.trial import FrozenTrial, TrialState

from automl.data.atomic import write_atomic
from automl.data.npz import read_arrays
from automl.errors import RunError
from automl.open_file import open_file
from automl.racing.curves import VALIDATION_LOSS, Curves
from automl.racing.objective import Objective
from automl.racing.race import Race, Standing
from automl.study.folder import RunFolder
from automl.study.storage.cache import STANDING, StudyCache
from automl.study.storage.journal import JournalStudies

CURVES = "automl:curves"
ATTEMPT = "automl:attempt"
REPEATED = "automl:repeated"


def write_attributes(trial: optuna.Trial, values: Mapping[str, Any]) -> None:
    """Sets user attributes of a trial, in their order: at once where the storage can, which saves milliseconds each."""
    if isinstance(trial.storage, StudyCache | JournalStudies):
        trial.storage.set_trial_user_attrs(trial._trial_id, values)
    else:
        for name, value in values.items():
            trial.set_user_attr(name, value)


def standing_attribute(standing: Standing, curves: Curves | None = None, *, judged: bool = False) -> dict[str, str]:
    """The attribute that says where a trial stands, so that others can go on with the race, and what stands beside it.

    It is to be written last of all that is written when a trial rests: from then on others may go on with it.
    `judged`: the trial ends, by what its last climb has shown.
    """
    known: dict[str, Any] = {"scores": standing.scores, "waiting": standing.waiting, "family": standing.family}
    if curves is not None:
        known["beside"] = describe(curves).get(curves.objective.beside)
    if judged:
        known["judged"] = standing.rung
    return {STANDING: json.dumps(known)}


def recall_race(race: Race, trials: list[FrozenTrial]) -> list[tuple[int, int]]:
    """Enters the study's trials into `race`; returns the climbs (trial, rung) that were broken off."""
    broken_off = []
    for trial in trials:
        if trial.state == TrialState.WAITING:
            continue
        standing = recall_standing(trial)
        race.enter(trial.number, standing)
        if trial.state == TrialState.RUNNING and not standing.waiting:
            # Where it was judged and that was not told yet, by that climb again.
            judged = json.loads(trial.user_attrs.get(STANDING, "{}")).get("judged")
            broken_off.append((trial.number, min(standing.rung + 1, race.top) if judged is None else judged))
    return broken_off


def recall_facts(trial: FrozenTrial, objective: Objective) -> dict[str, Any]:
    """What `describe` said of a waiting trial, as far as a display needs it: what stands beside the score, the cost."""
    known = json.loads(trial.user_attrs.get(STANDING, "{}"))
    return {objective.beside: known.get("beside"), "fold_epochs": trial.user_attrs.get("fold_epochs", 0)}


def standing_mark(trial: FrozenTrial) -> tuple[TrialState, str]:
    """What changes whenever a trial rests or ends: to be compared with an earlier look."""
    return trial.state, trial.user_attrs.get(STANDING, "")


def recall_standing(trial: FrozenTrial) -> Standing:
    """Where a trial stands by what was remembered of it."""
    known = json.loads(trial.user_attrs.get(STANDING, "{}"))
    return Standing(
        scores={int(rung): score for rung, score in known.get("scores", {}).items()},
        family=known.get("family", ""),
        waiting=trial.state == TrialState.RUNNING and known.get("waiting", False),
        complete=trial.state == TrialState.COMPLETE,
    )


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


def repeated_fold_epochs(trial: FrozenTrial) -> int:
    """The fold-epochs that the trial was trained for in vain, see `count_repeated`."""
    return int(trial.user_attrs.get(REPEATED, (0, 0))[0])


def seconds_so_far(trial: FrozenTrial | optuna.Trial) -> float:
    """What the trial took on its way to the rungs that it has reached."""
    return float(trial.user_attrs.get("seconds", 0.0))


def remember_result(
    trial: optuna.Trial, folder: RunFolder, curves: Curves, facts: Mapping[str, Any], *, complete: bool = False
) -> None:
    """Writes what an ended trial came to: `facts` (reason, parameters, seconds, ...) and all that its curves tell.

    Of a trial that is not `complete` those folds count that were trained longest; they cost what all of them cost.
    """
    known = {**describe(curves if complete else curves.longest), "fold_epochs": curves.fold_epochs, **facts}
    # A column of the dashboard with a None in it cannot be sorted as numbers.
    write_attributes(trial, {name: value for name, value in known.items() if value is not None})
    save_curves(folder, trial.number, curves)


def save_curves(folder: RunFolder, number: int, curves: Curves) -> None:
    """Writes the curves of a trial, if it has any, for `load_curves`."""
    if curves.fold_epochs:
        write_atomic(folder.curves(number), lambda file: np.savez_compressed(file, curves=curves.values))


def send_curves(trial: optuna.Trial, curves: Curves) -> None:
    """Puts the curves of a trial into the storage: for who cannot see the folder of this worker.

    Some kilobytes of text, as a system attribute, which the dashboard does not show.
    """
    file = io.BytesIO()
    np.savez_compressed(file, curves=curves.values)
    text = base64.b64encode(file.getvalue()).decode()
    trial.storage.set_trial_system_attr(trial._trial_id, CURVES, text)


def received_curves(trial: FrozenTrial, objective: Objective) -> Curves | None:
    """The curves that a worker has put into the storage, or None where there are none."""
    text = trial.system_attrs.get(CURVES)
    try:
        content = base64.b64decode(text) if isinstance(text, str) else b""
    except ValueError:
        return None
    return _read_curves(io.BytesIO(content), objective) if content else None


def collect_curves(trials: list[FrozenTrial], folder: RunFolder, objective: Objective) -> None:
    """Writes the curves that ended trials have in the storage alone into the run's folder. Raises OSError."""
    for trial in trials:
        path = folder.curves(trial.number)
        if trial.state.is_finished() and not path.exists():
            curves = received_curves(trial, objective)
            if curves is not None:
                values = curves.values
                write_atomic(path, lambda file, values=values: np.savez_compressed(file, curves=values))  # type: ignore[misc]


def describe(curves: Curves) -> dict[str, Any]:
    """Epochs, folds, fold-epochs, and what `Curves.summary` says: the score and its spread over the folds, what stands
    beside it (by its name), the generalisation gap, and the epoch for which a model is to be trained.

    Empty curves give zeros.
    """
    objective = curves.objective
    facts: dict[str, Any] = {"epochs": 0, "folds": 0, "fold_epochs": 0}
    if summary := curves.summary():
        facts |= {
            # A fold that joined late may be shorter.
            "epochs": int(np.isfinite(curves.values[0, :, VALIDATION_LOSS]).sum()),
            "folds": curves.folds,
            "fold_epochs": curves.fold_epochs,
            "best_epoch": summary.best_epoch,
            "score": summary.score,
            "score_std": summary.spread,
            objective.beside: summary.beside,
            "generalisation_gap": summary.gap,
        }
    return facts


def load_curves(folder: RunFolder, number: int, objective: Objective) -> Curves | None:
    """The curves of an ended trial, or None when it has none."""
    try:
        with open_file(folder.curves(number), owned=True) as file:
            return _read_curves(file, objective)
    except OSError:
        return None


def counted_curves(folder: RunFolder, trial: FrozenTrial, objective: Objective) -> Curves | None:
    """The curves of the folds by which an ended trial is judged, see `remember_result`; None when it has none."""
    curves = load_curves(folder, trial.number, objective)
    return curves if curves is None or trial.state == TrialState.COMPLETE else curves.longest


def trial_curves(folder: RunFolder, number: int, objective: Objective) -> Curves | None:
    """The curves of a trial that has ended, or of one that waits, from its checkpoint; None when there are none."""
    curves = load_curves(folder, number, objective)
    if curves is None and folder.checkpoint(number).exists():
        from automl.training.run import read_curves  # torch, which the curves of an ended trial do not need

        try:
            return read_curves(folder.checkpoint(number), objective)
        except RunError:
            return None  # written anew while a search goes on, or damaged
    return curves


def _read_curves(file: IO[bytes], objective: Objective) -> Curves | None:
    try:
        return Curves.of(read_arrays(file)["curves"], objective)
    except Exception:  # damaged bytes surface as almost anything in zip, zlib and numpy
        return None
