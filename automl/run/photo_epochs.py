"""How many epochs networks for photos are trained where nothing else is said: as many as the time is good for."""

from __future__ import annotations

import torch

from automl.settings import Settings

# A fine-tuning of the last stages at 128 px takes about 2 ms a sample and epoch where two workers share out the folds.
# On all folds it shall take no more than this share of the time: 6 epochs of 5,000 photos in ten minutes.
SECONDS, SHARE = 2e-3, 0.4
FEWEST = 5


def affordable_epochs(settings: Settings, samples: int, device: torch.device) -> int:
    """Epochs of a training with so many `samples` in a fold, those of the settings at most."""
    if settings.timeout is None or device.type != "cpu":
        return settings.epochs
    epochs = int(SHARE * settings.timeout / (SECONDS * samples * settings.folds))
    return min(max(epochs, FEWEST), settings.epochs)
