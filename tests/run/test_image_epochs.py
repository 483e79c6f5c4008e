"""How many epochs small images are trained for where the time is short."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from automl.data.arrays import from_arrays
from automl.run.image_epochs import for_images
from automl.settings import make_settings

CPU = torch.device("cpu")


def images(count: int, side: int) -> Any:
    x = np.zeros((count, side, side), np.uint8)
    x[:, 0, 0] = np.arange(count) % 251
    return from_arrays(x, np.arange(count) % 2)


@pytest.mark.parametrize(
    ("timeout", "epochs"), [(None, 20), (3600, 20), (1200, 20), (600, 12), (300, 8), (20, 8)]
)  # fmt: skip
def test_the_shorter_the_time_the_fewer_and_never_less_than_eight(timeout: float | None, epochs: int) -> None:
    found, dataset = for_images(make_settings(timeout=timeout, threads=2), images(6250, 32), CPU)
    assert found.epochs == epochs
    assert any("The time is short" in note for note in dataset.notes) == (epochs < 20)


@pytest.mark.parametrize(
    "given", [{"epochs": 30}, {"ladder": "1x1,20x5"}, {"space": "classics"}, {"threads": 8}, {"timeout": 7200}]
)
def test_what_the_user_has_said_stays_and_so_it_does_where_the_machine_is_large(given: dict[str, Any]) -> None:
    settings = make_settings(**{"timeout": 600, "threads": 2, **given})
    assert for_images(settings, images(6250, 32), CPU)[0] == settings


def test_a_few_tiny_images_are_trained_in_full_and_so_is_all_on_a_gpu() -> None:
    settings = make_settings(timeout=120, threads=2)
    assert for_images(settings, images(1797, 8), CPU)[0].epochs == 20
    assert for_images(settings, images(6250, 32), torch.device("cuda"))[0].epochs == 20
