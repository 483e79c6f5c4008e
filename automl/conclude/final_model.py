"""The final model: the best that is known when the time is up, whatever becomes of the fit that was asked for."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from automl.conclude.fitting import Fit, fit_ensemble, refit, restore_folds
from automl.conclude.refit_length import refit_length
from automl.conclude.selection import Finalist
from automl.data.resident import Resident
from automl.errors import MachineFailed, NoTrialSucceeded, Stop
from automl.models.model import Model
from automl.run.context import SearchContext
from automl.run.folder import RunFolder
from automl.scheduling.callbacks import Callback, FinalFitStarted, ignore
from automl.scheduling.deadline import Budget
from automl.scheduling.time_estimates import TimeEstimates
from automl.training.recipe import Recipe

log = logging.getLogger("automl.final")

MOMENT = 1.0  # seconds: a fit of less is not cut short by the deadline
LONGER = 2  # times as many epochs of a longer schedule are no better than all of one that has come to its end


@dataclass(frozen=True)
class FinalModel:
    """What is saved: the model, whose config it has, and in words why it is not what was asked for ("": it is)."""

    model: Model
    finalist: Finalist
    words: str = ""


@dataclass(eq=False)
class FinalFit:
    """Fits the final model.

    Args:
        context: the ingredients of the search.
        resident: the data on their device.
        budget: its deadline ends the fit within a batch.
        folder: the run's, where the networks of the trials' folds are.
        kind: `refit` or `ensemble`.
        estimates: what an epoch takes; None: there is time for all.
        callback: is told of each fit that is begun.
    """

    context: SearchContext
    resident: Resident
    budget: Budget
    folder: RunFolder
    kind: str
    estimates: TimeEstimates | None = None
    callback: Callback = ignore

    def fit(self, finalists: Sequence[Finalist]) -> FinalModel:
        """The model of the first of the `finalists` for which there can be one.

        Raises `Interrupted`, `MachineFailed`, and `NoTrialSucceeded` when none of them can be fitted.
        """
        causes = []
        for finalist in finalists:
            try:
                found = self.fit_one(finalist)
            except (Stop, MachineFailed):
                raise
            except Exception as error:  # a plugin's code, a loss that is no number, no memory
                log.warning("trial %d: no final model: %s: %s", finalist.number, type(error).__name__, error)
                causes.append(f"trial {finalist.number} could not be fitted: {type(error).__name__}: {error}")
            else:
                return FinalModel(found.model, finalist, "; ".join(filter(None, [*causes, found.words])))
        raise NoTrialSucceeded(f"no final model could be fitted ({'; '.join(causes)})")

    def fit_one(self, finalist: Finalist) -> FinalModel:
        """The model that was asked for, or the networks of the trial's folds where they are known to be better.

        That is where the deadline cut the fit short, or leaves time for a shorter one only, which is not begun: its
        quality is that of the trial after as many epochs. They stand in too where the fit fails.
        """
        fit = self.schedule(finalist)
        shorter = self._left(fit, fit.epochs) if fit.epochs < fit.wanted else ""
        if shorter and (saved := self._better_folds(finalist, fit.epochs, cut_short=False)):
            return FinalModel(saved, finalist, f"{shorter}: {_fold_words(saved)}")
        self.callback(FinalFitStarted(finalist.number, fit.epochs))
        try:
            model = self._as_asked(finalist, fit)
        except (Stop, MachineFailed):
            raise
        except Exception as error:
            saved = self._saved(finalist, cut_short=False)
            if saved is None:
                raise
            log.warning("the final fit of trial %d failed: %s: %s", finalist.number, type(error).__name__, error)
            return FinalModel(saved, finalist, f"the final fit failed ({error}): {_fold_words(saved)}")
        reached, cut_short = model.description.epochs, model.description.cut_short
        if not cut_short:
            return FinalModel(model, finalist, shorter)
        if saved := self._better_folds(finalist, reached, cut_short):
            return FinalModel(saved, finalist, f"{self._left(fit, reached)}: {_fold_words(saved)}")
        return FinalModel(model, finalist, f"the deadline cut the final fit short at epoch {reached} of {fit.epochs}")

    def _left(self, fit: Fit, epochs: int) -> str:
        return f"the deadline left {epochs} of {max(fit.epochs, fit.wanted)} epochs to the final fit"

    def _better_folds(self, finalist: Finalist, reached: int, cut_short: bool) -> Model | None:
        """The folds' networks where they are known to be better than a refit of `reached` epochs, and there is time to
        test them all or the refit has had its time already.
        """
        if reached >= finalist.epochs and not cut_short:
            return None
        saved = self._saved(finalist, cut_short=True)
        if saved is None or not self._is_better(finalist, saved, reached, cut_short):
            return None
        more = self._seconds_of_test(finalist) * (saved.description.members - 1)
        return saved if cut_short or more <= self.budget.deadline.left else None

    def _is_better(self, finalist: Finalist, saved: Model, reached: int, cut_short: bool) -> bool:
        """Whether the folds' networks are known to be better than a refit of `reached` epochs.

        One that has come to the end of a schedule of its own is as good as twice as many epochs that have not
        (benchmarks/refits.py).
        """
        unfinished = saved.description.epochs < self.context.settings.epochs
        worth = LONGER * reached if unfinished and not cut_short else reached
        return _known(finalist, saved.description.epochs) < _known(finalist, worth)

    def schedule(self, finalist: Finalist) -> Fit:
        """For how many epochs the finalist is refitted, on a schedule of as many, as far as there is time.

        One that was scored at the end of its schedule is fitted as it was scored. Where its score is that of an earlier
        epoch, because the deadline or overfitting stopped it, its learning rate was still high: see `refit_length`
        (benchmarks/refits.py). An ensemble is of the folds as they were scored.
        """
        horizon = self.context.settings.epochs
        if self.kind == "ensemble":
            return Fit(finalist.epochs, horizon)
        config, host, wanted = finalist.trial.config, self.context.host, finalist.epochs
        if wanted < horizon:
            # What is wrong with a plugin's code is said by the fit.
            with suppress(Exception):
                wanted = refit_length(lambda epochs: Recipe.from_config(config, host, epochs), wanted, horizon)
        epochs = max(1, min(wanted, self._affordable(finalist, wanted)))
        # One whose rate does not fall is laid out as it was: it may have to go on for some epochs, see `refit`.
        return Fit(epochs, horizon if epochs == wanted == finalist.epochs else epochs, wanted)

    def _affordable(self, finalist: Finalist, wanted: int) -> int:
        """How many epochs of a refit there is time for, `wanted` at most."""
        seconds = self._seconds(finalist, 1)
        if self.budget.timeout is None or not seconds or self._momentary(finalist, wanted):
            return wanted
        return int(self.budget.deadline.left / seconds)

    def _seconds(self, finalist: Finalist, epochs: int) -> float:
        """About how long they take; 0 where nothing is known."""
        return epochs * self.estimates.refit_epoch(finalist.number) if self.estimates is not None else 0.0

    def _seconds_of_test(self, finalist: Finalist) -> float:
        """About how long one network's test takes, for which there is time beside the fit; 0 where nothing is known."""
        return self.estimates.test_one(finalist.number) if self.estimates is not None else 0.0

    def _as_asked(self, finalist: Finalist, fit: Fit) -> Model:
        if self.kind == "ensemble":
            return fit_ensemble(self.context, finalist, self.resident, self.budget, self.folder)
        cut = not self._momentary(finalist, fit.epochs)
        return refit(self.context, finalist, self.resident, self.budget, fit, cut=cut)

    def _momentary(self, finalist: Finalist, epochs: int) -> bool:
        """Whether the fit is over before it could be cut, as that of a head on frozen features."""
        return 0 < self._seconds(finalist, epochs) < MOMENT

    def _saved(self, finalist: Finalist, cut_short: bool) -> Model | None:
        return restore_folds(self.context, finalist, self.resident, self.folder, cut_short)


def _known(finalist: Finalist, epochs: int) -> tuple[float, int]:
    """What is known of a network of this config after so many epochs: its cost on the folds; then more epochs win."""
    objective = finalist.curves.objective
    costs = objective.cost(1.0) * finalist.curves.mean(objective.column)
    return (float(costs[min(epochs, len(costs)) - 1]) if epochs else float("inf")), -epochs


def _fold_words(saved: Model) -> str:
    members, epochs = saved.description.members, saved.description.epochs
    several = f"the networks of its {members} folds, averaged" if members > 1 else "the network of its fold"
    return f"the model is {several}, after {epochs} epoch{'s' * (epochs != 1)}"
