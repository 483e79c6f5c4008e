"""Images are trained for as many epochs as a short search has the time for, and for no fewer than make sense."""

import pytest
import torch

from automl.run.image_epochs import FEWEST_TUNED, affordable_epochs
from automl.settings import make_settings

CPU = torch.device("cpu")


@pytest.mark.parametrize(("samples", "timeout", "epochs"), [
    (4_000, "15m", 5), (4_000, "30m", 11), (4_000, "2h", 20), (200, "5m", 20), (80_000, "10m", FEWEST_TUNED)
])  # fmt: skip
def test_epochs_are_what_a_fine_tuning_on_all_folds_has_the_time_for(samples, timeout, epochs):
    settings = make_settings(timeout=timeout, threads=2, workers=2)
    assert affordable_epochs(settings, "photos", samples, (3, 224, 224), CPU) == epochs


@pytest.mark.parametrize(
    ("side", "timeout", "epochs"), [(32, "10m", 15), (32, "5m", 7), (64, "10m", 20), (8, "1m", 20)]
)
def test_epochs_are_what_a_training_from_scratch_on_all_folds_has_the_time_for_or_the_default(side, timeout, epochs):
    settings = make_settings(timeout=timeout, threads=2, workers=2)
    assert affordable_epochs(settings, "images", 4_000, (3, side, side), CPU) == epochs


def test_a_single_worker_has_time_for_half_as_many():
    settings = make_settings(timeout="10m", threads=2, workers=1)
    assert affordable_epochs(settings, "images", 4_000, (3, 32, 32), CPU) == 7


@pytest.mark.parametrize(("timeout", "space", "device"), [
    (None, "photos", CPU), ("1m", "photos", torch.device("cuda", 0)), ("1m", "classics", CPU)
])  # fmt: skip
def test_without_a_timeout_on_a_gpu_and_with_another_space_they_are_the_default(timeout, space, device):
    assert affordable_epochs(make_settings(timeout=timeout), space, 4_000, (3, 32, 32), device) == 20
