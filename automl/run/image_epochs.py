"""For how many epochs networks for small images are trained on a CPU where `--timeout` is good for a few trainings."""

from __future__ import annotations

from dataclasses import replace

import joblib
import torch

from automl.data.dataset import Dataset
from automl.settings import Settings

SECONDS = 3.9e-4
"""Of one core for a pixel of the training part: a search that has so much time is one of the default epochs. Of 5,000
images of 32 x 32, where five folds of 20 epochs of a small network take 500 s of two cores, it is 1,000 s of them."""

FEWEST = 8


def for_images(settings: Settings, dataset: Dataset, device: torch.device) -> tuple[Settings, Dataset]:
    """The settings with fewer epochs where the time is short for so many images, and the data with a note that says so.
    Those of `--epochs` or `--ladder` stay, and those of a search space that the user has chosen.

    A learning rate that falls to its end in 12 epochs is worth more than one that is cut off after 12 of 20, and more
    configs come to the end of their training.
    """
    chosen = "epochs" in settings.model_fields_set or settings.ladder or settings.space or settings.weights
    if dataset.kind != "image" or settings.timeout is None or device.type != "cpu" or chosen:
        return settings, dataset
    height, width = dataset.input_shape[1:]
    tested = int(dataset.test.sum()) if dataset.test is not None else settings.test_fraction * len(dataset)
    cores = settings.threads or joblib.cpu_count()
    needed = SECONDS / cores * (len(dataset) - tested) * height * width
    epochs = max(FEWEST, round(settings.epochs * settings.timeout / needed))
    if epochs >= settings.epochs:
        return settings, dataset
    note = f"The time is short for so many images: {epochs} epochs, not {settings.epochs}; --epochs says otherwise."
    return settings.model_copy(update={"epochs": epochs}), replace(dataset, notes=(*dataset.notes, note))
