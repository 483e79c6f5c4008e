"""What is told of a search while it goes on, and to whom: the terminal, the event plugins, or nobody."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from automl.racing.curves import Curves
from automl.study.trial_record import TrialRecord

if TYPE_CHECKING:
    from automl.run.context import SearchContext
    from automl.scheduling.deadline import Budget


@dataclass(frozen=True)
class TrialStarted:
    """A worker sets out with a trial for a rung, for the first time or again."""

    trial: int
    rung: int
    config: Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class EpochEnded:
    """An epoch of a trial is done, on its way to a rung."""

    trial: int
    rung: int
    curves: Curves


@dataclass(frozen=True)
class TrialRested:
    """A trial has reached its rung and waits for its promotion."""

    trial: TrialRecord


@dataclass(frozen=True)
class TrialEnded:
    """A trial is complete, pruned or failed."""

    trial: TrialRecord


@dataclass(frozen=True)
class FeaturesComputed:
    """So many of so many pieces of what frozen parts of networks make of the samples are computed."""

    done: int
    total: int


@dataclass(frozen=True)
class FinalistTrained:
    """A finalist is trained again on fresh folds, numbered from 0, of this repeat, from 2."""

    trial: int
    repeat: int
    folds: Sequence[int]


@dataclass(frozen=True)
class FinalFitStarted:
    """The final model is fitted with the config of this trial."""

    trial: int
    epochs: int


Event = TrialStarted | EpochEnded | TrialRested | TrialEnded | FeaturesComputed | FinalistTrained | FinalFitStarted
Callback = Callable[[Event], None]


def ignore(event: Event) -> None:
    """The callback of nobody."""


def call_all(*callbacks: Callback) -> Callback:
    """One callback for several, in their order."""

    def call(event: Event) -> None:
        for callback in callbacks:
            callback(event)

    return call


MakeCallback = Callable[["SearchContext", "Budget", list[TrialRecord]], Callback]
"""Makes the callback of a search from its ingredients, its budget and the trials of earlier sessions."""
