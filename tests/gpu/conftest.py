"""What needs a CUDA device. Without one every test here is skipped, and says so."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from automl.data.dataset import Dataset
from automl.data.resident import Resident
from automl.data.sources.arrays import from_arrays
from automl.data.splits import make_splits
from automl.training.recipe import Recipe
from automl.training.run import TrialRun


def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    """Skips the tests of this folder where there is no CUDA device."""
    if torch.cuda.is_available():
        return
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.skip(reason="there is no CUDA device"))


@pytest.fixture(scope="session")
def photos() -> Dataset:
    """300 images 16x16 of 3 classes that can be told apart."""
    rng = np.random.default_rng(0)
    y = np.arange(300) % 3
    x = rng.integers(0, 160, (300, 3, 16, 16))
    for label in range(3):
        x[y == label, :, 2 * label : 2 * label + 3] += 60
    return from_arrays(x.astype(np.uint8), y, name="photos")


@pytest.fixture
def make_cuda_run(photos: Dataset) -> Callable[..., TrialRun]:
    """`make_cuda_run(recipe, fused=True, ...)`: a trial on five folds, on the device."""

    def make(recipe: Recipe, **more: Any) -> TrialRun:
        splits = make_splits(photos, folds=5, seed=0)
        samples = [(splits.train(fold), splits.validation(fold)) for fold in range(5)]
        return TrialRun(recipe, Resident(photos, torch.device("cuda")), samples, seed=1, **more)

    return make
