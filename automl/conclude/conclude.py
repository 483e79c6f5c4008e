"""The end of a search: the finalists are scored again, the winner is fitted, and tested once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import optuna

from automl.conclude.final_model import FinalFit, FinalModel
from automl.conclude.fitting import FoldModel
from automl.conclude.gap import gap
from automl.conclude.guessing import judge
from automl.conclude.rescoring import Rescoring, splits_of
from automl.conclude.selection import Winner, as_finalist, choose, find_finalists
from automl.data.units import units_of
from automl.errors import RunError
from automl.failpoints import passing
from automl.models.mistakes import save_mistakes
from automl.models.model import Model, describe_model, save_model
from automl.models.test_predictions import Predictions, describe_test, predict_test, save_tested, test_scores
from automl.run.context import SearchContext
from automl.run.folder import RunFolder
from automl.run.run_record import Choice, FinalRecord, RunRecord
from automl.scheduling.callbacks import Callback
from automl.scheduling.deadline import Budget
from automl.scheduling.worker_loop import WorkerLoop
from automl.study.storage.opening import storage_errors
from automl.training.guessing import guess, guess_scores
from automl.training.metrics import measure


class Concluded(NamedTuple):
    """What `run.yaml` keeps of the end of a search, of a table networks of the winner's config on fresh folds, and the
    model where this session has fitted it.
    """

    final: FinalRecord
    networks: Sequence[FoldModel] = ()
    model: Model | None = None


def conclude(
    context: SearchContext, work: WorkerLoop, budget: Budget, callback: Callback, earlier: FinalRecord | None
) -> Concluded:
    """The end of a search. `earlier` is what it has of an earlier session: where the winner is
    the same, it stands, and the test set is not touched again.

    Raises `NoTrialSucceeded`, `Interrupted` and `MachineFailed`; the rest of a deadline is shared out.
    """
    timeout, estimates = budget.timeout, work.estimates
    finalists = find_finalists(work.study, work.folder, context.objective, context.settings.finalists)
    numbers = [finalist.number for finalist in finalists]
    later = estimates.test(timeout, numbers) + estimates.inspection(timeout)
    budget = replace(budget, deadline=budget.deadline.minus(later))
    deadline = budget.deadline.minus(estimates.final_fit(timeout, numbers))
    rescoring = Rescoring(context, work.study, work.resident, deadline, estimates.rates, callback)
    racing, left_out = rescoring.run(finalists)
    settings, dropped = context.settings, len(finalists) - len(racing) - len(rescoring.failed)
    winner = choose(racing, context.objective, settings.folds, prefer=settings.prefer, dropped=dropped)
    choice = Choice(words=winner.words, folds=winner.folds, rescoring=left_out)
    if earlier is not None and _is_fitted(earlier, winner, context.settings.final, work.folder):
        return Concluded(earlier.model_copy(update={"choice": choice}))
    fit = FinalFit(context, work.resident, budget, work.folder, context.settings.final, estimates, callback)
    passing("final")
    others = [finalist for finalist in racing if finalist is not winner.finalist]
    final = fit.fit([winner.finalist, *others])
    touched = 1 + (earlier.test_details.get("touched", 0) if earlier else 0)
    fitted = replace(winner, finalist=final.finalist)
    record = _save_and_test(context, final, fitted, work.folder, choice, touched)
    return Concluded(record, rescoring.networks.get(final.finalist.number, ()), final.model)


def fit_later(
    context: SearchContext, study: optuna.Study, folder: RunFolder, record: RunRecord, trial: int | None, kind: str
) -> Model:
    """The final model of `kind` of a run that has ended, for this trial or the winner. The test set is not touched.

    Raises `RunError` for a trial that cannot be fitted, `NoTrialSucceeded` where there is no winner.
    """
    objective = context.objective
    number = trial if trial is not None or record.final is None else record.final.trial
    if number is None:
        finalist = find_finalists(study, folder, objective, 1)[0]
    else:
        finalist = as_finalist(study, folder, objective, number)
    return FinalFit(context, context.resident(), Budget.of(trials=0), folder, kind).fit_one(finalist).model


def _is_fitted(final: FinalRecord, winner: Winner, kind: str, folder: RunFolder) -> bool:
    """Whether the final model of an earlier session is this winner's, and is there: a session may have died since,
    after it had replaced the model and before it could say so.
    """
    wanted = winner.finalist.number, kind
    if (final.trial, final.kind) != wanted or final.cut_short or final.words:
        return False
    try:
        about = describe_model(folder.model)
    except RunError:
        return False
    return (about.trial, about.final) == wanted


def _save_and_test(
    context: SearchContext, final: FinalModel, winner: Winner, folder: RunFolder, choice: Choice, touched: int
) -> FinalRecord:
    model, about = final.model, final.model.description
    with storage_errors():
        path = save_model(model, folder.model)
    tested = predict_test(model, context.dataset, context.splits.test)
    with storage_errors():
        save_tested(folder, tested)
        save_mistakes(folder, tested, context.dataset)
    details, guessing = _judge(context, winner, tested, averaged=about.members > 1)
    return FinalRecord(
        model=str(path),
        kind=about.final,
        trial=final.finalist.number,
        architecture=about.architecture,
        epochs=about.epochs,
        cut_short=about.cut_short,
        words=final.words,
        stand_in=final.finalist.stand_in,
        test=test_scores(tested),
        test_details={**details, "touched": touched},
        guessing=guessing,
        fold_scores=tuple(winner.scores),
        choice=choice,
    )


def _judge(
    context: SearchContext, winner: Winner, tested: Predictions, averaged: bool
) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the test says beside cross-validation, and beside guessing: `test_details` and `guessing` of the record."""
    dataset, splits, objective, k = context.dataset, context.splits, context.objective, context.settings.folds
    units = units_of(dataset)
    together, test_units = units[tested.index], len(np.unique(units[tested.index]))
    groups = together if test_units < len(together) else None
    details = describe_test(tested, dataset.classes, groups, dataset.several)
    guesses: list[float] = []
    for repeat in range(1, 1 + math.ceil(winner.folds / k)):
        guesses += guess_scores(dataset, splits_of(context, repeat), objective.name)
    guessed = guess(dataset, splits.training_part, len(tested.index))
    guessing = judge(objective, winner.scores, guesses[: winner.folds], k, tested, guessed, groups)
    test = measure(objective.name, *tested.measured)
    if math.isfinite(test):
        validated = len(np.unique(units[splits.training_part])) * min(1.0, winner.folds / k)
        ends = details["intervals"].get(objective.name)
        relative, learnt = test_units / validated, guessing["better"]
        details["gap"] = gap(objective, winner.scores, k, test, ends, relative, learnt=learnt, averaged=averaged)
    return details, guessing
