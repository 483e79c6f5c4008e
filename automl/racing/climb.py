"""One climb: a trial is trained up to a rung, watched by the overfitting rule. Shared by the search and the replay."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Protocol

from automl.racing.curves import Curves, FoldEpoch
from automl.racing.overfitting import OverfittingRule, Verdict, verdict_at
from automl.racing.race import Race


class Advanceable(Protocol):
    """What the race knows of a trial's training; a table of recorded curves can stand in for it."""

    def advance(self, epochs: int, folds: int) -> Iterator[list[FoldEpoch]]:
        """Brings the first `folds` folds to `epochs` epochs, yielding what the folds showed epoch by epoch."""
        ...


@dataclass(frozen=True)
class Outcome:
    """How a climb ended: at its rung, or by a verdict of overfitting; then the trial is complete or out of the race."""

    score: float
    verdict: Verdict | None = None


def climb(
    race: Race, trial: int, rung: int, run: Advanceable, curves: Curves, rule: OverfittingRule | None
) -> Generator[list[FoldEpoch], None, Outcome]:
    """Trains `run` up to `rung`, entering every epoch into `curves`, and records the result in the race.

    Yields what each epoch showed, so that the caller can report it, save, or stop; returns how the climb ended.
    """
    budget = race.ladder[rung]
    for results in run.advance(budget.epochs, budget.folds):
        curves.add(results)
        yield results
        epoch = results[0].epoch
        over = rung == race.top and epoch == budget.epochs  # nothing is left to be saved
        verdict = verdict_at(curves, rule, budget.folds, epoch) if rule and not over else None
        if verdict:
            return (yield from _stop(race, trial, rung, run, curves, verdict))
    _pass_rungs(race, trial, rung, curves, budget.epochs)
    score = curves.score(budget.folds, budget.epochs)  # its checkpoint may be ahead of the rung
    race.record(trial, rung, score)
    return Outcome(score)


def _stop(
    race: Race, trial: int, rung: int, run: Advanceable, curves: Curves, verdict: Verdict
) -> Generator[list[FoldEpoch], None, Outcome]:
    """Ends an overfitting trial: on all folds at its score's epoch when it is good enough to climb, else at once."""
    _pass_rungs(race, trial, rung, curves, verdict.epoch)
    score = curves.score(race.ladder[rung].folds, verdict.epoch)
    if not race.would_promote(trial, rung, score):
        race.leave(trial, rung=rung, score=score)
        return Outcome(score, verdict)
    folds = race.ladder[race.top].folds
    for results in run.advance(curves.best_epoch(race.ladder[rung].folds, verdict.epoch), folds):
        curves.add(results)
        yield results
    race.leave(trial, complete=True, rung=rung, score=score)
    return Outcome(curves.score(folds), verdict)


def _pass_rungs(race: Race, trial: int, rung: int, curves: Curves, epoch: int) -> None:
    """Enters the scores of the rungs below `rung` that the trial has passed on its way, up to this epoch: only one that
    goes straight to the top passes any, and there it is a bar for others too."""
    for passed in range(race.standings[trial].rung + 1, rung):
        budget = race.ladder[passed]
        if budget.epochs <= epoch:
            race.pass_by(trial, passed, curves.score(budget.folds, budget.epochs))
