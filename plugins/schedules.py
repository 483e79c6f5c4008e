"""Learning-rate schedules from torch.optim.lr_scheduler, stepped after every batch (plateau: after every epoch).

A linear warm-up goes with each of them: the training parameter `warmup`.
"""

from __future__ import annotations

from torch.optim import Optimizer
from torch.optim.lr_scheduler import (
    ConstantLR,
    CosineAnnealingLR,
    ExponentialLR,
    LRScheduler,
    MultiStepLR,
    OneCycleLR,
    ReduceLROnPlateau,
    StepLR,
)

from automl import Choice, Float, Int, Schedule, hookimpl, schedule


@schedule()
def constant(optimizer: Optimizer, epochs: int, steps_per_epoch: int) -> LRScheduler:
    """The same learning rate throughout."""
    return ConstantLR(optimizer, factor=1.0)


@schedule(drops=Int(1, 3), gamma=Float(0.1, 0.5, log=True))
def step(optimizer: Optimizer, epochs: int, steps_per_epoch: int, *, drops: int, gamma: float) -> LRScheduler:
    """Multiplies the learning rate by `gamma` at `drops` evenly spaced moments."""
    return StepLR(optimizer, step_size=max(1, epochs * steps_per_epoch // (drops + 1)), gamma=gamma)


@schedule(milestones=Choice("50 75", "30 60 80", "60 80 90"), gamma=Float(0.1, 0.5, log=True))
def multi_step(
    optimizer: Optimizer, epochs: int, steps_per_epoch: int, *, milestones: str, gamma: float
) -> LRScheduler:
    """Multiplies the learning rate by `gamma` at each of the `milestones`, in percent of the training.

    50 and 75 are ResNet's on CIFAR (He et al., 2015), 30, 60 and 80 those of wide residual networks (2016).
    """
    steps = [max(1, epochs * steps_per_epoch * int(percent) // 100) for percent in milestones.split()]
    return MultiStepLR(optimizer, steps, gamma=gamma)


@schedule(final=Float(1e-3, 1e-1, log=True))
def exponential(optimizer: Optimizer, epochs: int, steps_per_epoch: int, *, final: float) -> LRScheduler:
    """Falls by the same factor at every step, to `final` times the learning rate."""
    return ExponentialLR(optimizer, gamma=final ** (1 / (epochs * steps_per_epoch)))


@schedule()
def cosine(optimizer: Optimizer, epochs: int, steps_per_epoch: int) -> LRScheduler:
    """Half a cosine from the learning rate down to zero (Loshchilov and Hutter, 2016, without restarts)."""
    return CosineAnnealingLR(optimizer, T_max=epochs * steps_per_epoch)


@schedule(factor=Float(0.1, 0.5, log=True), patience=Int(1, 3))
def plateau(optimizer: Optimizer, epochs: int, steps_per_epoch: int, *, factor: float, patience: int) -> LRScheduler:
    """Multiplies the learning rate by `factor` when the validation loss has not improved for `patience` epochs."""
    return ReduceLROnPlateau(optimizer, factor=factor, patience=patience)


@schedule(rise=Float(0.1, 0.4))
def one_cycle(optimizer: Optimizer, epochs: int, steps_per_epoch: int, *, rise: float) -> LRScheduler:
    """Up from 1/25 to the learning rate in the share `rise` of the training, then down to almost zero.

    The 1cycle policy (Smith and Topin, 2017) without its cycle of the momentum, which is searched by itself.
    """
    peaks = [group["lr"] for group in optimizer.param_groups]
    # One step more than there are: the scheduler is stepped once after the last batch too.
    return OneCycleLR(optimizer, peaks, total_steps=epochs * steps_per_epoch + 1, pct_start=rise, cycle_momentum=False)


@hookimpl
def automl_schedules() -> list[Schedule]:
    """The schedules of this plugin."""
    return [constant, step, multi_step, exponential, cosine, plateau, one_cycle]
