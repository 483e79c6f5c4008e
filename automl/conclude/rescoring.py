"""Rescoring: the finalists are scored again on fresh folds before one of them wins.

The best of many scores is partly luck with its folds: whoever was lucky looks best (the winner's curse). On fresh folds
of the same training part nobody was picked yet. This is repeated cross-validation of the few that can still win.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import optuna

from automl.conclude.fitting import FoldModel, fold_models
from automl.conclude.selection import Finalist, far_behind
from automl.data.resident import Resident
from automl.data.splits import Splits, deal_again
from automl.errors import DataError, MachineFailed, OutOfTime, Stop
from automl.racing.curves import VALIDATION_LOSS
from automl.run.context import SearchContext
from automl.scheduling.callbacks import Callback, FinalistTrained
from automl.scheduling.deadline import Deadline
from automl.scheduling.time_estimates import MARGIN
from automl.study.storage.opening import storage_errors
from automl.study.trial_record import FoldScore, Rescored
from automl.training.recipe import Recipe
from automl.training.run import TrialRun
from automl.training.seeds import derive_seed

log = logging.getLogger("automl.final")


@dataclass(frozen=True)
class Round:
    """Folds that all who may still win are scored on before it is the next ones' turn: one, or a repeat if fused."""

    repeat: int
    folds: tuple[int, ...]
    splits: Splits


@dataclass(eq=False)
class Rescoring:
    """The rescoring of a run's finalists.

    Args:
        context: the ingredients of the search.
        study: remembers each fold's score, so that a resumed run does not train it again.
        resident: the data on their device.
        deadline: leaves time for the final fit.
        rates: seconds per fold-epoch by trial.
        callback: is told what happens.

    Of a table, `networks` are those of each finalist on the folds of the first fresh repeat, after the score's epochs.
    """

    context: SearchContext
    study: optuna.Study
    resident: Resident
    deadline: Deadline
    rates: Mapping[int, float]
    callback: Callback
    failed: dict[int, str] = field(default_factory=dict, init=False)
    networks: dict[int, list[FoldModel]] = field(default_factory=dict, init=False)

    def run(self, finalists: Sequence[Finalist]) -> tuple[list[Finalist], str]:
        """Those that may still win, with their scores on fresh folds, and in words what was left out.

        Nobody is dropped before a whole fresh repeat: the search's own folds are those whose luck is to be undone. From
        then on, before each further repeat, those far behind the best are; the best itself is scored on every fold.
        Raises `Interrupted` and `MachineFailed`; a deadline only ends the rescoring.
        """
        racing = [self._recall(finalist) for finalist in finalists]
        try:
            rounds = self._rounds() if not racing[0].stand_in else []
        except DataError as error:
            return racing, f"the finalists could not be scored again: {error}"
        known = {finalist.number: finalist for finalist in racing}
        done, total = 0, sum(len(each.folds) for each in rounds)
        try:
            for each in rounds:
                if done and done % self.context.settings.folds == 0:
                    racing = self._still_in(racing, done)
                self._check_time(racing, done, each)
                racing = [scored for finalist in racing if (scored := self._score(finalist, done, each)) is not None]
                if not racing:
                    return [known[finalists[0].number]], f"every finalist failed on fresh folds ({self._causes()})"
                known |= {finalist.number: finalist for finalist in racing}
                done += len(each.folds)
        except OutOfTime:
            racing = [known[finalist.number] for finalist in racing]
            left = f"for {done} of the {total} fresh folds" if done else "to score the finalists again"
            return racing, f"the deadline left {'only ' if done else 'no '}time {left}"
        return racing, f"some finalists failed on fresh folds ({self._causes()})" if self.failed else ""

    def _causes(self) -> str:
        return "; ".join(f"trial {number}: {cause}" for number, cause in self.failed.items())

    def _rounds(self) -> list[Round]:
        """All rounds; the search's own folds are the first repeat. Raises `DataError`."""
        settings, rounds = self.context.settings, []
        for repeat in range(2, settings.repeats + 1):
            splits = splits_of(self.context, repeat)
            numbers = tuple(range(settings.folds))
            parts = [numbers] if self.context.fused else [(number,) for number in numbers]
            rounds += [Round(repeat, part, splits) for part in parts]
        return rounds

    def _still_in(self, racing: Sequence[Finalist], done: int) -> list[Finalist]:
        """Those that are not far behind the best on all folds so far."""
        k = self.context.settings.folds
        behind = far_behind(racing, self.context.objective, k + done, k)
        return [finalist for finalist, far in zip(racing, behind, strict=True) if not far]

    def _check_time(self, racing: Sequence[Finalist], done: int, each: Round) -> None:
        """Raises `OutOfTime` when the round would not end before the time of the final fit begins."""
        missing = [f for f in racing if len(f.fresh) < done + len(each.folds)]
        seconds = sum(self.rates.get(f.number, 0.0) * f.epochs for f in missing) * len(each.folds) * MARGIN
        if seconds > self.deadline.left:
            raise OutOfTime

    def _score(self, finalist: Finalist, done: int, each: Round) -> Finalist | None:
        """The finalist with the scores of this round; None when it cannot be trained on these folds."""
        if len(finalist.fresh) >= done + len(each.folds):
            return finalist  # by an earlier session
        self.callback(FinalistTrained(finalist.number, each.repeat, each.folds))
        try:
            scores = self._train(finalist, each)
        except (Stop, MachineFailed):
            raise
        except Exception as error:  # a plugin's code, a loss that is no number: it was good on the other folds only
            log.warning("trial %d failed on fresh folds: %s: %s", finalist.number, type(error).__name__, error)
            self.failed[finalist.number] = f"{type(error).__name__}: {error}"
            return None
        scored = replace(finalist, fresh=(*finalist.fresh[:done], *scores))
        remember(self.study, scored, self.context.settings.folds)
        return scored

    def _train(self, finalist: Finalist, each: Round) -> list[FoldScore]:
        settings, objective = self.context.settings, self.context.objective
        run = TrialRun(
            Recipe.from_config(finalist.trial.config, self.context.host, settings.epochs),
            self.resident,
            [(each.splits.train(fold), each.splits.validation(fold)) for fold in each.folds],
            seed=derive_seed(settings.seed, "rescored", finalist.number, each.repeat, each.folds[0]),
            precision=self.context.precision,
            objective=objective,
            fused=finalist.fused,
            tick=self.deadline.check,
        )
        try:
            *_, last = run.advance(finalist.epochs, len(each.folds))
            if each.repeat == 2 and self.context.dataset.kind == "table":
                self.networks.setdefault(finalist.number, []).extend(fold_models(run, each.folds))
        finally:
            run.release()
        pairs = [(result.validation_loss, result.validation_metric) for result in last]
        return pairs if objective.column == VALIDATION_LOSS else [(metric, loss) for loss, metric in pairs]

    def _recall(self, finalist: Finalist) -> Finalist:
        known = finalist.trial.rescored
        return replace(finalist, fresh=known.fresh) if known else finalist


def splits_of(context: SearchContext, repeat: int) -> Splits:
    """The folds of this repeat of the cross-validation; the first one is the search's own. Raises `DataError`."""
    if repeat == 1:
        return context.splits
    seed = derive_seed(context.settings.seed, "repeat", repeat)
    return deal_again(context.dataset, context.splits, seed=seed)


def remember(study: optuna.Study, finalist: Finalist, folds: int) -> None:
    """Writes down a finalist's fresh scores. With the study, for the attributes of an ended trial are closed."""
    scores = finalist.scores()[:, 0].tolist()
    with storage_errors():
        Rescored.of(scores, finalist.fresh, finalist.epochs, folds).write(study, finalist.number)
