"""The curves of trials: in the run's folder, and in the storage where a worker does not see the folder."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable
from typing import IO

import numpy as np
import optuna
from optuna.trial import FrozenTrial, TrialState

from automl.data.atomic import write_atomic
from automl.data.npz import read_arrays
from automl.errors import RunError
from automl.open_file import open_file
from automl.racing.curves import Curves
from automl.racing.objective import Objective
from automl.run.folder import RunFolder

CURVES = "automl:curves"


def save_curves(folder: RunFolder, number: int, curves: Curves) -> None:
    """Writes the curves of a trial, if it has any, for `load_curves`."""
    if curves.fold_epochs:
        write_atomic(folder.curves(number), lambda file: np.savez_compressed(file, curves=curves.values))


def send_curves(trial: optuna.Trial, curves: Curves) -> None:
    """Puts the curves of a trial into the storage: for a process that cannot see the folder of this worker.

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


def collect_curves(trials: Iterable[FrozenTrial], folder: RunFolder, objective: Objective) -> None:
    """Writes the curves that ended trials have in the storage alone into the run's folder. Raises OSError."""
    for trial in trials:
        if trial.state.is_finished() and not folder.curves(trial.number).exists():
            curves = received_curves(trial, objective)
            if curves is not None:
                save_curves(folder, trial.number, curves)


def load_curves(folder: RunFolder, number: int, objective: Objective) -> Curves | None:
    """The curves of an ended trial, or None when it has none."""
    try:
        with open_file(folder.curves(number), owned=True) as file:
            return _read_curves(file, objective)
    except OSError:
        return None


def counted_curves(folder: RunFolder, number: int, state: TrialState, objective: Objective) -> Curves | None:
    """The curves of the folds by which an ended trial is judged: of one that is not complete those that were trained
    longest. None when it has none.
    """
    curves = load_curves(folder, number, objective)
    return curves if curves is None or state == TrialState.COMPLETE else curves.longest


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
