"""How long and in which batches networks for a table are trained where nothing else is said: by the number of rows.

With the defaults for images a table of 500 rows would have 100 steps in all, and one of a million a day of them.
"""

from __future__ import annotations

from dataclasses import replace

from automl.data.dataset import Dataset
from automl.settings import Settings
from automl.spaces.parameters import Choice
from automl.spaces.space import Space

# Epochs of a search of `SECONDS`: 45 of 3,000 rows, where five folds of a small TabM take 70 s of one core, and 9 of
# 28,000, where those of an MLP do. More rows need fewer epochs, but not by as much as they cost more.
SCALE, POWER = 12_000.0, 0.7
SECONDS = 180.0
MOST_TIMES = 4.0  # as many visits at most, where there is more time
FEWEST_EPOCHS, MOST_EPOCHS = 4, 100
FEWEST_STEPS, MOST_STEPS = 800, 4000  # of a fold's training
FEWEST_IN_EPOCH = 8


def for_table(settings: Settings, dataset: Dataset) -> Settings:
    """The settings with as many epochs as suit the rows of a table and `--timeout`; those of `--epochs` or `--ladder`
    stay.
    """
    if dataset.kind != "table" or "epochs" in settings.model_fields_set or settings.ladder:
        return settings
    times = 2.0 if settings.timeout is None else min(max(settings.timeout / SECONDS, 1.0), MOST_TIMES)
    epochs = round(times * SCALE / rows_of_fold(settings, dataset) ** POWER)
    return settings.model_copy(update={"epochs": min(max(epochs, FEWEST_EPOCHS), MOST_EPOCHS)})


def suit_batches(space: Space, settings: Settings, dataset: Dataset) -> Space:
    """The space with those of its batch sizes that give a fold's training neither too few steps nor too many.

    Where it offers none, it keeps the nearest. A space or batch sizes that the user has chosen stay as they are.
    """
    domain = space.training.get("batch_size")
    chosen = settings.space is not None or any("batch_size" in override for override in settings.overrides)
    if dataset.kind != "table" or chosen or not isinstance(domain, Choice):
        return space
    rows = rows_of_fold(settings, dataset)
    most = min(settings.epochs * rows / FEWEST_STEPS, rows / FEWEST_IN_EPOCH)
    least = min(settings.epochs * rows / MOST_STEPS, most)
    offered = sorted(batch for batch in domain.values if isinstance(batch, int))
    kept = [batch for batch in offered if least <= batch <= most]
    kept = kept or [min(offered, key=lambda batch: abs(batch - most))]
    training = {**space.training, "batch_size": Choice(*kept) if len(kept) > 1 else kept[0]}
    return replace(space, training=training)


def rows_of_fold(settings: Settings, dataset: Dataset) -> int:
    """About how many rows a fold trains on."""
    tested = int(dataset.test.sum()) if dataset.test is not None else settings.test_fraction * len(dataset)
    return max(1, round((len(dataset) - tested) * (settings.folds - 1) / settings.folds))
