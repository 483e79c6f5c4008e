"""The trials of a study in a database, as they were last read: what cannot have changed is not read again.

Optuna's own cache reads every running trial anew, with all that belongs to it, at each look at the study. In a race
nearly all trials wait for their promotion, and those are running for Optuna: where hundreds wait, a look takes tenths
of a second.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from optuna.storages._cached_storage import _CachedStorage, _StudyInfo

from automl.study.storage.database import Database

STANDING = "race_standing"
"""A trial's user attribute that changes whenever it rests: where it stands in the race."""


class StudyCache(_CachedStorage):
    """Optuna's cache, which reads an unfinished trial again only when it has changed.

    Whether it has is told by its state, its `STANDING`, and before its first rest by how many parameters and reports it
    has. Whoever goes on with a trial that rests writes its standing last of all, so reports on the way to a higher rung
    are seen when the trial has got there.
    """

    def __init__(self, backend: Database):
        super().__init__(backend)
        self._database = backend
        self._marks: dict[int, dict[int, tuple[Any, ...]]] = {}  # by study and trial

    def read_attribute(self, study_id: int, name: str, newer_than: int) -> list[tuple[int, Any]]:
        """Optuna's id and the user attribute `name` of the trials with a higher id, in their order."""
        return self._database.read_attribute(study_id, name, newer_than)

    def set_trial_user_attrs(self, trial_id: int, values: Mapping[str, Any]) -> None:
        """Sets several attributes at once; raises as `set_trial_user_attr`."""
        self._database.set_trial_user_attrs(trial_id, values)

    def _read_trials_from_remote_storage(self, study_id: int) -> None:
        with self._lock:
            study = self._studies.setdefault(study_id, _StudyInfo())
            marks, unfinished = self._marks.setdefault(study_id, {}), study.unfinished_trial_ids
            # The study is locked while a trial is made, so those not known yet have higher ids than all known ones.
            newest = max(study.last_finished_trial_id, max(unfinished, default=-1))
            now = self._database.read_marks(study_id, STANDING, newest)
            changed = {trial for trial, mark in now.items() if marks.get(trial) != mark} | (unfinished - now.keys())
            if not changed:
                return
            trials = self._database._get_trials(
                study_id, states=None, included_trial_ids=changed, trial_id_greater_than=max(newest, *changed)
            )
            self._add_trials_to_cache(study_id, trials)
            for trial in trials:
                if trial.state.is_finished():
                    study.last_finished_trial_id = max(study.last_finished_trial_id, trial._trial_id)
                    unfinished.discard(trial._trial_id)
                    marks.pop(trial._trial_id, None)
                else:
                    unfinished.add(trial._trial_id)
                    marks[trial._trial_id] = now.get(trial._trial_id, ())
