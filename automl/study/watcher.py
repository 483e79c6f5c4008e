"""Who watches a search: the terminal's progress, plain lines, event plugins, or nobody."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from optuna.trial import FrozenTrial

from automl.racing.curves import Curves
from automl.racing.race import Race

if TYPE_CHECKING:
    from automl.study.budget import Budget
    from automl.study.prepare import Prepared


class Watcher:
    """Is told what happens in a search. This one ignores it; override what you want to know."""

    def climbing(self, trial: int, rung: int, config: Mapping[str, Any]) -> None:
        """A trial sets out for a rung."""

    def epoch(self, trial: int, rung: int, curves: Curves) -> None:
        """An epoch of a trial is done."""

    def waiting(self, trial: int, race: Race, facts: Mapping[str, Any]) -> None:
        """A trial has reached its rung and waits for its promotion; `facts` as `trial_records.describe` has them."""

    def ended(self, trial: FrozenTrial, race: Race) -> None:
        """A trial is complete, pruned or failed; its attributes say what it came to."""

    def rescoring(self, trial: int, repeat: int, folds: Sequence[int]) -> None:
        """A finalist is scored again on fresh folds, numbered from 0, of this repeat, from 2."""

    def fitting(self, trial: int, epochs: int) -> None:
        """The final model is fitted with the config of this trial."""


class Watchers(Watcher):
    """Tells several watchers, in their order."""

    def __init__(self, *watchers: Watcher):
        self.watchers = watchers

    def climbing(self, trial: int, rung: int, config: Mapping[str, Any]) -> None:
        """A trial sets out for a rung."""
        for watcher in self.watchers:
            watcher.climbing(trial, rung, config)

    def epoch(self, trial: int, rung: int, curves: Curves) -> None:
        """An epoch of a trial is done."""
        for watcher in self.watchers:
            watcher.epoch(trial, rung, curves)

    def waiting(self, trial: int, race: Race, facts: Mapping[str, Any]) -> None:
        """A trial has reached its rung and waits for its promotion."""
        for watcher in self.watchers:
            watcher.waiting(trial, race, facts)

    def ended(self, trial: FrozenTrial, race: Race) -> None:
        """A trial is complete, pruned or failed; its attributes say what it came to."""
        for watcher in self.watchers:
            watcher.ended(trial, race)

    def rescoring(self, trial: int, repeat: int, folds: Sequence[int]) -> None:
        """A finalist is scored again on fresh folds."""
        for watcher in self.watchers:
            watcher.rescoring(trial, repeat, folds)

    def fitting(self, trial: int, epochs: int) -> None:
        """The final model is fitted with the config of this trial."""
        for watcher in self.watchers:
            watcher.fitting(trial, epochs)


MakeWatcher = Callable[["Prepared", "Budget", list[FrozenTrial]], Watcher]
"""Makes who watches a search, from its ingredients, its budget and the trials of earlier sessions."""
