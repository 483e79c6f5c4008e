"""What is new in a study since the last look, so that a look at thousands of trials costs no more than one at a few."""

from __future__ import annotations

import optuna
from optuna.trial import FrozenTrial

from automl.scheduling.leases import Leases


class Changes:
    """The trials of `study` that are new, have changed, or were claimed by somebody, since the last look.

    Optuna's storages, where nothing is copied, give the same object for a trial until something of it changes.
    """

    def __init__(self, study: optuna.Study, leases: Leases):
        self.study = study
        self.leases = leases
        self._known: list[FrozenTrial | None] = []

    def __len__(self) -> int:
        """How many trials there were at the last look."""
        return len(self._known)

    def look(self) -> list[FrozenTrial]:
        """The trials, in the order of their numbers, after the leases have read what is new."""
        self.leases.sync()
        trials = self.study.get_trials(deepcopy=False)
        claimed = {key.trial for key in self.leases.drain_claims()} - {None}
        known = self._known
        known += [None] * (len(trials) - len(known))
        changed = [
            trial
            for trial, before in zip(trials, known, strict=True)
            if trial is not before or (claimed and trial.number in claimed)
        ]
        self._known = list(trials)
        return changed

    def forget(self, trial: int) -> None:
        """The trial is new at the next look, whatever it says; one that no look has seen yet is that anyway."""
        if trial < len(self._known):
            self._known[trial] = None
