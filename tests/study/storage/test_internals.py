"""What is taken for granted of Optuna's private names, in every storage that a run may have."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import optuna
import pytest

from automl.racing.objective import Objective
from automl.study.storage import internals
from automl.study.storage.opening import create_study, open_storage


@pytest.fixture(params=["journal", "sqlite"])
def study(request: Any, tmp_path: Path) -> optuna.Study:
    url = None if request.param == "journal" else f"sqlite:///{tmp_path / 'study.db'}"
    storage = open_storage(url, tmp_path / "journal.log")
    return create_study(storage, "s", Objective(), optuna.samplers.RandomSampler(0))


def test_a_study_keeps_what_is_none_of_its_attributes(study: optuna.Study) -> None:
    internals.set_system_attribute(study, "automl:kept", {"a": [1, 2]})
    assert internals.system_attributes(study)["automl:kept"] == {"a": [1, 2]}
    assert study.user_attrs == {}
    storage = internals.storage_of(study)
    assert storage.get_study_name_from_id(internals.study_id(study)) == "s"


def test_a_trial_that_was_read_can_be_written_to_and_told(study: optuna.Study) -> None:
    study.ask()
    (read,) = study.get_trials(deepcopy=False)
    trial = internals.trial_of(study, read)
    assert (trial.number, internals.trial_id(trial)) == (read.number, internals.trial_id(read))
    trial.set_user_attr("seen", True)
    study.tell(trial, 1.0)
    assert study.trials[0].user_attrs == {"seen": True}
