"""How many epochs networks for images are trained where nothing else is said: as many as the time is good for."""

from __future__ import annotations

import joblib
import torch

from automl.settings import Settings

# Seconds of a thread for a sample and epoch: to fine-tune the last stages of an EfficientNet at 160 px, and to train an
# airbench of width 16, by the pixel of the image.
FINE_TUNING, FROM_SCRATCH = 6.3e-3, 1.6e-3 / 32**2
SHARE = 0.4  # of the time, at most, for one config on all folds
FEWEST_TUNED, FEWEST = 3, 4


def affordable_epochs(
    settings: Settings, space: str, samples: int, input_shape: tuple[int, ...], device: torch.device
) -> int:
    """Epochs of a training with so many `samples` [c, h, w] in a fold, those of the settings at most.

    With the spaces `photos` and `images` on a CPU, whose first configs it is known of what they take. Where a network
    cannot be trained from scratch for `FEWEST` epochs they are those of the settings: a quicker one will win.
    """
    if settings.timeout is None or device.type != "cpu" or space not in ("photos", "images"):
        return settings.epochs
    workers = joblib.cpu_count() if settings.workers == "auto" else settings.workers
    threads = min(workers, settings.threads or joblib.cpu_count(), settings.folds)
    seconds = FINE_TUNING if space == "photos" else FROM_SCRATCH * input_shape[-2] * input_shape[-1]
    epochs = int(SHARE * settings.timeout * threads / (seconds * samples * settings.folds))
    fewest = FEWEST_TUNED if space == "photos" else 0 if epochs >= FEWEST else settings.epochs
    return min(max(epochs, fewest), settings.epochs)
