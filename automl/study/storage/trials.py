"""One trial of a study by its number, without reading the others."""

from __future__ import annotations

import optuna
from optuna.trial import FrozenTrial

from automl.study.storage.opening import storage_errors


def open_trial(study: optuna.Study, number: int) -> optuna.Trial:
    """The trial, to be asked for its config, written to and told. Raises `MachineFailed` when the storage fails."""
    with storage_errors():
        return optuna.Trial(study, _id_of(study, number))


def frozen_trial(study: optuna.Study, number: int) -> FrozenTrial:
    """The trial as the storage has it. Raises `MachineFailed` when the storage fails."""
    with storage_errors():
        return study._storage.get_trial(_id_of(study, number))


def _id_of(study: optuna.Study, number: int) -> int:
    """The storage's own number of the trial."""
    return study._storage.get_trial_id_from_study_id_trial_number(study._study_id, number)
