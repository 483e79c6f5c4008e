"""Sees what workers in other processes do, by their study, and tells it."""

from __future__ import annotations

from pathlib import Path

import optuna
from optuna.trial import FrozenTrial, TrialState

from automl.data.feature_files import progress_of
from automl.racing.objective import Objective
from automl.scheduling.callbacks import Callback, FeaturesComputed, TrialEnded, TrialRested, TrialStarted
from automl.scheduling.changes import Changes
from automl.scheduling.leases import trial_key
from automl.study.standings import standing_mark
from automl.study.trial_record import TrialRecord, config_of
from automl.workers.shared_leases import SharedLeases


class Monitor:
    """Tells `callback` of each trial that a worker sets out with, that rests, and that ends, once.

    What the study holds when the monitor is made counts as known.
    """

    def __init__(self, study: optuna.Study, objective: Objective, leases: SharedLeases, callback: Callback):
        self.study = study
        self.objective = objective
        self.leases = leases
        self.callback = callback
        self._changes = Changes(study, leases)
        self._seen = {trial.number: standing_mark(trial) for trial in self._changes.look()}
        self._started: dict[int, int] = {}
        self._progress = 0, 0
        self.told = 0  # how many trials have come to something, a rung or an end

    def look(self) -> None:
        """Tells what is new since the last time."""
        for trial in self._changes.look():
            self._announce(trial)
            if self._seen.get(trial.number) == standing_mark(trial):
                continue
            self._seen[trial.number] = standing_mark(trial)
            record = TrialRecord.of(trial, self.objective)
            if trial.state.is_finished() or record.standing.waiting:
                self.told += 1
                self.callback(TrialEnded(record) if trial.state.is_finished() else TrialRested(record))

    def look_at_features(self, folder: Path) -> None:
        """Tells how far the features in this folder are, where that has changed."""
        if (progress := progress_of(folder)) != self._progress:
            self._progress = progress
            self.callback(FeaturesComputed(*progress))

    def _announce(self, trial: FrozenTrial) -> None:
        """Tells that a worker has set out with the trial since the last look."""
        lease = self.leases.held.get(trial_key(trial.number))
        if lease is None or lease.version <= self._started.get(trial.number, 0) or trial.state != TrialState.RUNNING:
            return
        if config := config_of(trial):
            self._started[trial.number] = lease.version
            self.callback(TrialStarted(trial.number, lease.rung, config))
