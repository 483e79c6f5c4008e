"""What the listeners of this folder log of a trial: its curves, as means over the folds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

LOSSES = ("log_loss", "rmse")


def fold_means(run: Mapping[str, Any], curves: Mapping[str, Any]) -> dict[str, list[tuple[int, float]]]:
    """(epoch, value) by name: `log_loss/train`, `log_loss/validation`, `accuracy/train`, `accuracy/validation`.

    Each value is the mean over the folds that were trained for this epoch. Empty for a trial without curves.
    """
    loss, metric = sorted((run["objective"], run["metric"]), key=lambda name: name not in LOSSES)
    means: dict[str, list[tuple[int, float]]] = {}
    for name, values in curves.items():  # [fold, epoch]
        part, _, kind = name.partition("_")
        trained = np.isfinite(values)
        epochs = np.flatnonzero(trained.any(axis=0))
        means[f"{loss if kind == 'loss' else metric}/{part}"] = [
            (int(epoch) + 1, float(values[trained[:, epoch], epoch].mean())) for epoch in epochs
        ]
    return means


def numbers(trial: Mapping[str, Any]) -> dict[str, float]:
    """What a trial came to, as numbers: score and its spread, metrics, folds, fold-epochs, parameters, seconds."""
    names = ("score", "score_std", "best_epoch", "epochs", "folds", "fold_epochs", "parameters", "seconds")
    found = {name: trial[name] for name in names} | dict(trial["metrics"])
    return {name: float(value) for name, value in found.items() if value is not None}
