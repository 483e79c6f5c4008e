"""Sees what workers in other processes do, by their study, and tells it to a watcher."""

from __future__ import annotations

import optuna
from optuna.trial import FixedTrial, FrozenTrial, TrialState

from automl.racing.race import Race
from automl.study.changes import Changes
from automl.study.leases import thing_of
from automl.study.prepare import Prepared
from automl.study.trial_records import recall_facts, recall_standing, standing_mark
from automl.study.watcher import Watcher
from automl.study.workers.shared_leases import SharedLeases


class Observer:
    """Tells `watcher` of each climb that begins, each trial that rests, and each that ends, once.

    What the study holds when the observer is made counts as known.
    """

    def __init__(self, prepared: Prepared, study: optuna.Study, race: Race, leases: SharedLeases, watcher: Watcher):
        self.prepared = prepared
        self.study = study
        self.race = race
        self.leases = leases
        self.watcher = watcher
        self._changes = Changes(study, leases)
        trials = self._changes.look()
        self._seen = {trial.number: standing_mark(trial) for trial in trials}
        self._climbs: dict[int, int] = {}
        self.told = 0  # how many trials have come to something, a rung or an end
        for trial in trials:
            race.enter(trial.number, recall_standing(trial))

    def look(self) -> None:
        """Tells what is new since the last time."""
        for trial in self._changes.look():
            self._announce(trial)
            if self._seen.get(trial.number) == standing_mark(trial):
                continue
            self._seen[trial.number] = standing_mark(trial)
            self.race.enter(trial.number, recall_standing(trial))
            if trial.state.is_finished():
                self.told += 1
                self.watcher.ended(trial, self.race)
            elif self.race.standings[trial.number].waiting:
                self.told += 1
                self.watcher.waiting(trial.number, self.race, recall_facts(trial, self.prepared.objective))

    def _announce(self, trial: FrozenTrial) -> None:
        """Tells of a climb that was begun since the last look."""
        lease = self.leases.held.get(thing_of(trial.number))
        if lease is None or lease.version <= self._climbs.get(trial.number, 0) or trial.state != TrialState.RUNNING:
            return
        try:
            config = self.prepared.space.suggest(FixedTrial(trial.params))  # type: ignore[arg-type]
        except ValueError:
            return  # not all of its parameters are there yet
        self._climbs[trial.number] = lease.version
        self.watcher.climbing(trial.number, lease.rung, config)
