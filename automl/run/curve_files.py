"""The curves of trials in the run's folder."""

from __future__ import annotations

from typing import IO

import numpy as np
from optuna.trial import TrialState

from automl.data.atomic import write_atomic
from automl.data.npz import read_arrays
from automl.errors import RunError
from automl.open_file import open_file
from automl.racing.curves import Curves
from automl.racing.objective import Objective
from automl.run.folder import RunFolder


def save_curves(folder: RunFolder, number: int, curves: Curves) -> None:
    """Writes the curves of a trial, if it has any, for `load_curves`."""
    if curves.fold_epochs:
        write_atomic(folder.curves(number), lambda file: np.savez_compressed(file, curves=curves.values))


def load_curves(folder: RunFolder, number: int, objective: Objective) -> Curves | None:
    """The curves of an ended trial, or None when it has none."""
    try:
        with open_file(folder.curves(number), owned=True) as file:
            return read_curves(file, objective)
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
        from automl.training.run import read_curves as of_checkpoint  # torch, which an ended trial does not need

        try:
            return of_checkpoint(folder.checkpoint(number), objective)
        except RunError:
            return None  # written anew while a search goes on, or damaged
    return curves


def read_curves(file: IO[bytes], objective: Objective) -> Curves | None:
    """The curves that `save_curves` has written; None for what is damaged."""
    try:
        return Curves.of(read_arrays(file)["curves"], objective)
    except Exception:  # damaged bytes surface as almost anything in zip, zlib and numpy
        return None
