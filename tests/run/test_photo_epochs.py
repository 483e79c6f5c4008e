"""Photos are trained for as many epochs as a short search has the time for, and for no fewer than make sense."""

import pytest
import torch

from automl.run.photo_epochs import FEWEST, affordable_epochs
from automl.settings import make_settings

CPU = torch.device("cpu")


@pytest.mark.parametrize(("samples", "timeout", "epochs"), [
    (4_000, "10m", 6), (4_000, "20m", 12), (4_000, "2h", 20), (200, "5m", 20), (80_000, "10m", FEWEST)
])  # fmt: skip
def test_epochs_are_what_a_fine_tuning_on_all_folds_has_the_time_for(samples, timeout, epochs):
    assert affordable_epochs(make_settings(timeout=timeout), samples, CPU) == epochs


@pytest.mark.parametrize(("timeout", "device"), [(None, CPU), ("1m", torch.device("cuda", 0))])
def test_without_a_timeout_and_on_a_gpu_they_are_the_default(timeout, device):
    assert affordable_epochs(make_settings(timeout=timeout), 4_000, device) == 20
