"""Curves in the storage of a study: from workers that do not see the run's folder."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable

import numpy as np
import optuna
from optuna.trial import FrozenTrial

from automl.racing.curves import Curves
from automl.racing.objective import Objective
from automl.run.curve_files import read_curves, save_curves
from automl.run.folder import RunFolder
from automl.study.storage.internals import trial_id

CURVES = "automl:curves"


def send_curves(trial: optuna.Trial, curves: Curves) -> None:
    """Puts the curves of a trial into the storage.

    Some kilobytes of text, as a system attribute, which the dashboard does not show.
    """
    file = io.BytesIO()
    np.savez_compressed(file, curves=curves.values)
    text = base64.b64encode(file.getvalue()).decode()
    trial.storage.set_trial_system_attr(trial_id(trial), CURVES, text)


def received_curves(trial: FrozenTrial, objective: Objective) -> Curves | None:
    """The curves that a worker has put into the storage, or None where there are none."""
    text = trial.system_attrs.get(CURVES)
    try:
        content = base64.b64decode(text) if isinstance(text, str) else b""
    except ValueError:
        return None
    return read_curves(io.BytesIO(content), objective) if content else None


def collect_curves(trials: Iterable[FrozenTrial], folder: RunFolder, objective: Objective) -> None:
    """Writes the curves that ended trials have in the storage alone into the run's folder. Raises OSError."""
    for trial in trials:
        if trial.state.is_finished() and not folder.curves(trial.number).exists():
            curves = received_curves(trial, objective)
            if curves is not None:
                save_curves(folder, trial.number, curves)
