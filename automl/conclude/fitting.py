"""Fitting a winner: its config on the whole training part, or the networks of its folds, averaged."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from automl.conclude.selection import Finalist
from automl.data.resident import Resident
from automl.errors import Infeasible, OutOfTime, RunError, TrialFailed
from automl.models.description import ModelDescription, PluginSource
from automl.models.model import Model
from automl.models.modules import Ensemble, Standardised
from automl.racing.curves import VALIDATION_LOSS
from automl.run.context import SearchContext
from automl.run.folder import RunFolder
from automl.run.record import plugin_files
from automl.scheduling.deadline import Budget
from automl.training import serial
from automl.training.network import rebuild_config
from automl.training.recipe import Recipe
from automl.training.run import TrialRun
from automl.training.seeds import derive_seed

log = logging.getLogger("automl.final")

FINAL_KINDS = ("refit", "ensemble")
FinalKind = Literal["refit", "ensemble"]
MORE = 3  # epochs at most that a refit may go on beyond the score's
NO_FEATURES = "the deadline left no time to compute the features of its frozen part again"


class Fit(NamedTuple):
    """How long a refit is: the epochs, those for which its schedule is laid out, and, where there is no time for all
    that it should have, how many these are.
    """

    epochs: int
    horizon: int
    wanted: int = 0


def refit(
    context: SearchContext,
    finalist: Finalist,
    resident: Resident,
    budget: Budget,
    fit: Fit | None = None,
    *,
    cut: bool = True,
) -> Model:
    """One network, trained on the whole training part; `fit` None: as the finalist was scored.

    A deadline that passes meanwhile ends the fit within a batch, unless it is not to be `cut`; the model is what was
    learnt until then, and says so.
    """
    epochs, horizon, _ = fit or Fit(finalist.epochs, context.settings.epochs)
    run = TrialRun(
        Recipe.from_config(finalist.trial.config, context.host, horizon),
        resident,
        [(context.splits.training_part, np.empty(0, dtype=np.int64))],
        seed=derive_seed(context.settings.seed, "final", finalist.number),
        precision=context.precision,
        fused=context.fused,
        tick=budget.deadline.check if cut else budget.deadline.check_interrupted,
        # One fold's, so that the learning rate falls when it fell there. The mean over the folds is smoother, and the
        # rate may never fall with it (on cifar10-6k: test loss 1.22 where cross-validation had said 1.04).
        plateau_losses=[float(v) for v in finalist.curves.values[0, : finalist.curves.epochs(1), VALIDATION_LOSS]],
    )
    cut_short = _train(run, epochs, 1)
    expected = float(finalist.curves.mean(VALIDATION_LOSS)[finalist.epochs - 1])
    for more in range(epochs + 1, min(epochs + MORE, horizon) + 1):
        if cut_short or (seen := loss_on_training_part(run)) <= expected:
            break
        log.info("after %d epochs the loss on what was seen is %.4g: one more epoch", more - 1, seen)
        cut_short = _train(run, more, 1)
    return _model(context, finalist, run, cut_short, "refit")


def loss_on_training_part(run: TrialRun) -> float:
    """The loss of a refitted network on all that it was trained on.

    With a high learning rate the loss leaps from epoch to epoch, and a single network may be caught in mid-leap, where
    the mean over the folds was not: on digits a trial with log loss 0.10 on its folds became a model with 0.61. Worse
    on what it has seen than others were on what they had not: that is the sign.
    """
    fold = run.folds[0]
    output = serial.predict(fold, run.resident, fold.train, run.precision)
    return run.loss.score(output, run.resident.y[fold.train], fold.normalisation, run.objective.metric)[0]


def fit_ensemble(
    context: SearchContext, finalist: Finalist, resident: Resident, budget: Budget, folder: RunFolder
) -> Model:
    """The K networks of the trial's folds, averaged: from its checkpoint when that is at the score's epoch, else they
    are trained again from their seeds, which makes the same ones.
    """
    run = context.trial_run(
        finalist.trial.config,
        finalist.number,
        resident,
        fused=finalist.fused,
        tick=budget.deadline.check,
    )
    cut_short = False
    if not _restored(run, finalist, folder):
        cut_short = _train(run, finalist.epochs, context.splits.folds)
    return _model(context, finalist, run, cut_short, "ensemble")


def restore_folds(
    context: SearchContext, finalist: Finalist, resident: Resident, folder: RunFolder, cut_short: bool
) -> Model | None:
    """The networks of the trial's folds as its checkpoint has them, averaged: of those that were trained longest.

    None where there is no checkpoint that can be read, or nothing in it was trained. `cut_short`: they stand in for a
    fit that the deadline cut.
    """
    run = _longest_folds(context, finalist, resident, folder)
    return None if run is None else _model(context, finalist, run, cut_short, "ensemble")


class FoldModel(NamedTuple):
    """The network of one fold with its preprocessing, and the numbers of the samples that it is validated on."""

    number: int
    module: Standardised
    rows: NDArray[np.int64]


def fold_models(run: TrialRun, numbers: Sequence[int]) -> list[FoldModel]:
    """The networks of a trial's folds as they are, which are called by these numbers."""
    rows = [run.samples[fold.number][1] for fold in run.folds]
    return [FoldModel(*parts) for parts in zip(numbers, _modules(run), rows, strict=True)]


def restore_fold_models(
    context: SearchContext, finalist: Finalist, resident: Resident, folder: RunFolder
) -> tuple[list[FoldModel], int]:
    """The networks of the trial's folds as its checkpoint has them, and after how many epochs that is; none where
    `restore_folds` finds none.
    """
    run = _longest_folds(context, finalist, resident, folder)
    if run is None:
        return [], 0
    found, epochs = fold_models(run, [fold.number for fold in run.folds]), run.folds[0].epochs
    run.release()
    return found, epochs


def _longest_folds(
    context: SearchContext, finalist: Finalist, resident: Resident, folder: RunFolder
) -> TrialRun | None:
    """The trial as its checkpoint has it, with the folds that were trained longest; None where there is none."""
    run = restore_trial(context, finalist, resident, folder)
    if run is not None:
        epochs = max(fold.epochs for fold in run.folds)
        run.folds = [fold for fold in run.folds if fold.epochs == epochs]
    return run


def restore_trial(
    context: SearchContext,
    finalist: Finalist,
    resident: Resident,
    folder: RunFolder,
    tick: Callable[[], None] = lambda: None,
) -> TrialRun | None:
    """The trial as its checkpoint has it, with the folds that were trained; None where there is none.

    `tick` is called while features of a frozen part are computed that are not there any more.
    """
    path = folder.checkpoint(finalist.number)
    if not path.exists():
        return None
    run = context.trial_run(finalist.trial.config, finalist.number, resident, fused=False, tick=tick)
    try:
        run.restore(path)
    except (RunError, Infeasible) as error:
        log.warning("the networks of trial %d cannot be used: %s", finalist.number, error)
        return None
    run.folds = [fold for fold in run.folds if fold.epochs]
    return run if run.folds else None


def _restored(run: TrialRun, finalist: Finalist, folder: RunFolder) -> bool:
    """Whether the trial's checkpoint holds every fold at the score's epoch."""
    path = folder.checkpoint(finalist.number)
    if not path.exists():
        return False
    try:
        run.restore(path)
    except OutOfTime:
        raise TrialFailed(NO_FEATURES) from None
    except RunError as error:
        log.warning("the folds of trial %d are trained again: %s", finalist.number, error)
        run.release()
        return False
    if len(run.folds) == len(run.samples) and {fold.epochs for fold in run.folds} == {finalist.epochs}:
        return True
    run.release()
    return False


def _train(run: TrialRun, epochs: int, folds: int) -> bool:
    """Trains the folds; whether the deadline cut it short."""
    try:
        for _ in run.advance(epochs, folds):
            pass
    except OutOfTime:
        if not run.folds:
            raise TrialFailed(NO_FEATURES) from None
        log.warning("the deadline cut the final fit short at epoch %d of %d", run.folds[0].epochs, epochs)
        return True
    return False


def _model(context: SearchContext, finalist: Finalist, run: TrialRun, cut_short: bool, kind: FinalKind) -> Model:
    members = _modules(run)
    module = members[0] if kind == "refit" else Ensemble(members)
    module = module.to(run.whole.device).eval()
    rebuilt = rebuild_config(members[0].network, run.recipe.architecture_config)
    return Model(module, _described(context, finalist, run, rebuilt, cut_short, kind))


def _modules(run: TrialRun) -> list[Standardised]:
    """The network of each fold with its preprocessing."""
    made = []
    for network, norm in run.networks():
        scale = norm.target
        mean, std, log = (None, None, False) if scale is None else (scale.mean, scale.std, scale.log)
        mirrored, task = run.averages_mirrored, run.resident.task
        made.append(Standardised(network, norm.inputs, mean, std, log, mirrored=mirrored, task=task).eval())
    return made


def _described(
    context: SearchContext, finalist: Finalist, run: TrialRun, rebuilt: dict[str, Any], cut_short: bool, kind: FinalKind
) -> ModelDescription:
    dataset, architecture, techniques = context.dataset, run.recipe.architecture, run.recipe.techniques
    members = len(run.folds) if kind == "ensemble" else 0
    return ModelDescription(
        name=dataset.name,
        task=dataset.task,
        kind=dataset.kind,
        classes=list(dataset.classes),
        targets=list(dataset.understood.targets) if dataset.task != "classification" else [],
        deviations=[] if dataset.deviations is None else dataset.deviations.tolist(),
        conversion=dataset.conversion,
        input_shape=list(dataset.input_shape),
        num_outputs=dataset.num_outputs,
        scaling=techniques.scaling,
        target_transform="log" if techniques.target_transform == "log" else "none",
        tta="mirror" if run.averages_mirrored else "none",
        architecture=architecture.name,
        architecture_config=rebuilt,
        config=dict(finalist.trial.config),
        plugins=[PluginSource(**file.model_dump()) for file in plugin_files(context.host, architecture.plugin)],
        trial=finalist.number,
        final=kind,
        members=members,
        epochs=min(fold.epochs for fold in run.folds),
        cut_short=cut_short,
        parameters=run.parameters * max(1, members),
    )
