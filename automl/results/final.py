"""The final model: the winner's config fitted on the whole training part, then tested once on the test set."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

import numpy as np
import optuna
import torch
from optuna.trial import FrozenTrial, TrialState

from automl.data.resident import Resident
from automl.errors import NoTrialSucceeded
from automl.racing.curves import VALIDATION_LOSS, Curves
from automl.racing.objective import Objective
from automl.results.leaderboard import full_config
from automl.results.mistakes import save_mistakes
from automl.results.model import Model, Standardised, save_model
from automl.results.tested import describe_test, predict_test, save_tested, test_scores
from automl.study.budget import Budget, OutOfTime
from automl.study.folder import RunFolder
from automl.study.prepare import Prepared
from automl.study.records import describe, load_curves
from automl.study.storage import storage_errors
from automl.training.network import rebuild_config
from automl.training.recipe import Recipe
from automl.training.run import TrialRun
from automl.training.seeds import derive_seed

log = logging.getLogger("automl.final")


@dataclass(frozen=True)
class Winner:
    """The trial whose config becomes the model; `stand_in` when no trial is COMPLETE and the best pruned one serves."""

    trial: FrozenTrial
    curves: Curves
    stand_in: bool

    @property
    def epochs(self) -> int:
        """The score's epoch: for so many epochs the final model is trained."""
        return self.curves.best_epoch()


def choose_winner(study: optuna.Study, folder: RunFolder, objective: Objective) -> Winner:
    """The COMPLETE trial with the best score; without any, the pruned one that climbed furthest with the best score.

    Raises `NoTrialSucceeded` when no trial has a finite score.
    """
    candidates = []
    for trial in study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED)):
        curves = load_curves(folder, trial.number, objective)
        if curves is not None and curves.best_epoch():
            complete = trial.state == TrialState.COMPLETE
            score = objective.cost(trial.value) if complete and trial.value is not None else curves.score()
            candidates.append(((not complete, -curves.folds, score, trial.number), trial, curves))
    if not candidates:
        reasons = [t.user_attrs.get("detail") or t.user_attrs.get("reason") for t in study.get_trials(deepcopy=False)]
        raise NoTrialSucceeded(
            f"no trial succeeded out of {len(reasons)}" + (f"; the last one: {reasons[-1]}" if reasons else "")
        )
    _, trial, curves = min(candidates, key=lambda candidate: candidate[0])
    return Winner(trial, curves, stand_in=trial.state != TrialState.COMPLETE)


def fit_final(prepared: Prepared, winner: Winner, resident: Resident, budget: Budget) -> Model:
    """Fits the winner's config on the whole training part for the score's epoch.

    A deadline that passes meanwhile ends the fit within a batch; the model is what was learnt until then, and says so.
    """
    settings, dataset = prepared.settings, prepared.dataset
    config = full_config(winner.trial, prepared.space)
    recipe = Recipe.from_config(config, prepared.host, settings.epochs)
    run = TrialRun(
        recipe,
        resident,
        [(prepared.splits.training_part, np.empty(0, dtype=np.int64))],
        seed=derive_seed(settings.seed, "final", winner.trial.number),
        precision=prepared.precision,
        tick=budget.check_deadline,
        # One fold's, so that the learning rate falls when it fell there. The mean over the folds is smoother, and the
        # rate may never fall with it (on cifar10-6k: test loss 1.22 where cross-validation had said 1.04).
        plateau_losses=[float(v) for v in winner.curves.values[0, : winner.curves.epochs(1), VALIDATION_LOSS]],
    )
    cut_short = False
    try:
        for _ in run.advance(winner.epochs, 1):
            pass
    except OutOfTime:
        cut_short = True
        log.warning("the deadline cut the final fit short at epoch %d of %d", run.folds[0].epochs, winner.epochs)
    fold = run.folds[0]
    norm = fold.normalisation
    about = {
        "name": dataset.name,
        "task": dataset.task,
        "kind": dataset.kind,
        "classes": list(dataset.classes),
        "columns": [[column.name, column.category] for column in dataset.columns],
        "input_shape": list(dataset.input_shape),
        "num_outputs": dataset.num_outputs,
        "architecture": recipe.architecture.name,
        "architecture_config": rebuild_config(fold.network, recipe.architecture_config),
        "config": config,
        "plugins": [str(file) for file in settings.plugins],
        "trial": winner.trial.number,
        "epochs": fold.epochs,
        "cut_short": cut_short,
        "parameters": run.parameters,
    }
    module = Standardised(fold.deployed, norm.mean, norm.std, norm.y_mean, norm.y_std)
    # In the layout in which a loaded model comes back: sums in another order differ in the last bits.
    return Model(module.to(memory_format=torch.contiguous_format).eval(), about)


def cross_validated(winner: Winner, objective: Objective) -> dict[str, float]:
    """The winner's fold means at the score's epoch: of the objective and of what stands beside it."""
    known = describe(winner.curves)
    return {name: float(known[key]) for name, key in ((objective.name, "score"), (objective.beside, objective.beside))}


def finish(prepared: Prepared, winner: Winner, resident: Resident, budget: Budget, folder: RunFolder) -> dict[str, Any]:
    """Fits, saves and tests the final model; returns what `run.yaml` keeps of it."""
    model = fit_final(prepared, winner, resident, budget)
    with storage_errors():
        path = save_model(model, folder.model)
    tested = predict_test(model, prepared.dataset, prepared.splits.test)
    with storage_errors():
        save_tested(folder, tested)
        save_mistakes(folder, tested, prepared.dataset, prepared.settings.data, prepared.settings.follow_links)
    return {
        "model": str(path),
        "trial": winner.trial.number,
        "architecture": model.about["architecture"],
        "epochs": model.about["epochs"],
        "cut_short": model.about["cut_short"],
        "stand_in": winner.stand_in,
        "test": test_scores(tested),
        "test_details": describe_test(
            tested, prepared.dataset.classes, prepared.objective, cross_validated(winner, prepared.objective)
        ),
    }
