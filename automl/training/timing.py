"""Whether the stacked folds of an architecture are quicker than the same folds one after the other: by timing steps."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from statistics import median

import torch

from automl.data.resident import Resident
from automl.training import fused, serial
from automl.training.fold import build_fold
from automl.training.losses import Loss
from automl.training.recipe import FoldSamples, Recipe
from automl.training.seeds import forked

STEPS = 3  # timed, after one that warms up


class Timing:
    """What a step of all folds took, by architecture: measured with the first config that is asked for, then kept."""

    def __init__(self) -> None:
        self.seconds: dict[str, tuple[float, float]] = {}

    def why_serial(
        self,
        recipe: Recipe,
        resident: Resident,
        loss: Loss,
        precision: torch.dtype,
        samples: Sequence[FoldSamples],
        seed: int,
    ) -> str:
        """Why folds of this architecture are better not stacked; "" when stacked ones are quicker, or when they do not
        fit into memory together: then the executor finds out how many do.
        """
        name = recipe.architecture.name
        if name not in self.seconds:
            try:
                self.seconds[name] = step_seconds(recipe, resident, loss, precision, samples, seed)
            except torch.OutOfMemoryError:
                return ""
        alone, stacked = self.seconds[name]
        if stacked < alone:
            return ""
        return f"stacked, a step of {len(samples)} folds took {stacked * 1e3:.2g} ms, alone {alone * 1e3:.2g} ms"


def step_seconds(
    recipe: Recipe,
    resident: Resident,
    loss: Loss,
    precision: torch.dtype,
    samples: Sequence[FoldSamples],
    seed: int,
) -> tuple[float, float]:
    """Seconds of a training step of all folds: (one after the other, stacked), medians of a few steps."""
    folds = [
        build_fold(recipe, resident, loss, *own, number=number, seed=seed + number)
        for number, own in enumerate(samples)
    ]
    size = min(min(recipe.batch_size, len(fold.train)) for fold in folds)
    indices = [fold.train[:size] for fold in folds]
    for fold in folds:
        fold.network.train()
        fold.epochs = 1  # as after BatchNorm's warm-up, so that a step may become a CUDA graph as in training

    def alone() -> None:
        for fold, index in zip(folds, indices, strict=True):
            serial.train_step(fold, resident, loss, precision, index, 0)

    with forked(resident.device):
        one_by_one = _median(alone, resident.device)
        stack = fused.Stack(folds)
        return one_by_one, _median(lambda: stack.step(resident, loss, precision, indices, 0), resident.device)


def _median(step: Callable[[], object], device: torch.device) -> float:
    seconds = []
    for _ in range(1 + STEPS):
        started = time.perf_counter()
        step()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        seconds.append(time.perf_counter() - started)
    return median(seconds[1:])
