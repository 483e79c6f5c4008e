"""What Optuna has no public name for. Its private ones stand here and in this package's other modules, nowhere else;
`tests/study/storage/test_internals.py` says what is taken for granted of them.
"""

from __future__ import annotations

from typing import Any

import optuna
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial


def storage_of(study: optuna.Study) -> BaseStorage:
    """The storage that the study was loaded from, with its caches."""
    return study._storage


def study_id(study: optuna.Study) -> int:
    """The storage's own number of the study."""
    return study._study_id


def trial_id(trial: FrozenTrial | optuna.Trial) -> int:
    """The storage's own number of the trial."""
    return trial._trial_id


def trial_of(study: optuna.Study, trial: FrozenTrial) -> optuna.Trial:
    """The trial, to be written to and told; the storage is not asked."""
    return optuna.Trial(study, trial._trial_id)


def system_attributes(study: optuna.Study) -> dict[str, Any]:
    """What is kept with the study and not shown as its attributes."""
    return study._storage.get_study_system_attrs(study._study_id)


def set_system_attribute(study: optuna.Study, name: str, value: Any) -> None:
    """Keeps a value with the study, which is not shown as its attribute."""
    study._storage.set_study_system_attr(study._study_id, name, value)
