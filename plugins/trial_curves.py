"""What the listeners of this folder log of a trial: its curves, as means over the folds."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

LOSSES = ("log_loss", "rmse")


def fold_means(run: Mapping[str, Any], trial: Mapping[str, Any]) -> dict[str, list[tuple[int, float]]]:
    """(epoch, value) by name: `log_loss/train`, `log_loss/validation`, `accuracy/train`, `accuracy/validation`.

    Each value is the mean over the folds that were trained for this epoch. Empty for a trial without curves.
    """
    file = Path(run["folder"], "artifacts", f"trial-{trial['number']:05d}-curves.npz")
    if not file.is_file():
        return {}
    with np.load(file, allow_pickle=False) as stored:
        curves = stored["curves"]  # [fold, epoch, (train loss, train metric, validation loss, validation metric)]
    names = sorted((run["objective"], run["metric"]), key=lambda name: name not in LOSSES)
    means: dict[str, list[tuple[int, float]]] = {}
    for column, name in enumerate(f"{name}/{part}" for part in ("train", "validation") for name in names):
        values = curves[:, :, column]
        trained = np.isfinite(values)
        epochs = np.flatnonzero(trained.any(axis=0))
        means[name] = [(int(epoch) + 1, float(values[trained[:, epoch], epoch].mean())) for epoch in epochs]
    return means


def numbers(trial: Mapping[str, Any]) -> dict[str, float]:
    """What a trial came to, as numbers: score and its spread, metrics, folds, fold-epochs, parameters, seconds."""
    names = ("score", "score_std", "best_epoch", "epochs", "folds", "fold_epochs", "parameters", "seconds")
    found = {name: trial[name] for name in names} | dict(trial["metrics"])
    return {name: float(value) for name, value in found.items() if value is not None}
