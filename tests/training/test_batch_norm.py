"""BatchNorm's running statistics: an average at first, PyTorch's moving average after that."""

import torch
from torch import nn

from automl.training.batch_norm import BatchNormWarmUp


def run(steps: int, warm: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """(running mean, mean of the batches so far) of a layer that saw `steps` batches around 5."""
    generator = torch.Generator().manual_seed(0)
    layer = nn.BatchNorm1d(3)
    warm_up = BatchNormWarmUp(nn.Sequential(nn.Linear(2, 3), layer))
    batches = [torch.randn(16, 3, generator=generator) + 5 for _ in range(steps)]
    for step, batch in enumerate(batches):
        if warm:
            warm_up(step)
        layer(batch)
    return layer.running_mean, torch.stack([batch.mean(0) for batch in batches]).mean(0)


def test_the_first_steps_average_the_batches_and_forget_the_start_at_zero():
    for steps in (1, 3, 10):
        running, average = run(steps, warm=True)
        torch.testing.assert_close(running, average)
    assert run(3, warm=False)[0].mean() < 1.5  # what PyTorch alone makes of a mean of 5


def test_later_steps_are_the_moving_average_with_the_layers_own_momentum():
    layer = nn.BatchNorm1d(3, momentum=0.1)
    BatchNormWarmUp(layer)(10)
    assert layer.momentum == 0.1


def test_layers_that_average_on_their_own_are_left_alone():
    layer = nn.BatchNorm1d(3, momentum=None)
    BatchNormWarmUp(layer)(0)
    assert layer.momentum is None
