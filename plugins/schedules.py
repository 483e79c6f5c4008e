"""Learning-rate schedules from torch.optim.lr_scheduler, stepped after every batch (plateau: after every epoch)."""

from __future__ import annotations

from torch.optim import Optimizer
from torch.optim.lr_scheduler import ConstantLR, CosineAnnealingLR, LRScheduler, ReduceLROnPlateau, StepLR

from automl import Float, Int, Schedule, hookimpl, schedule


@schedule()
def constant(optimizer: Optimizer, epochs: int, steps_per_epoch: int) -> LRScheduler:
    """The same learning rate throughout."""
    return ConstantLR(optimizer, factor=1.0)


@schedule(drops=Int(1, 3), gamma=Float(0.1, 0.5, log=True))
def step(optimizer: Optimizer, epochs: int, steps_per_epoch: int, *, drops: int, gamma: float) -> LRScheduler:
    """Multiplies the learning rate by `gamma` at `drops` evenly spaced moments."""
    return StepLR(optimizer, step_size=max(1, epochs * steps_per_epoch // (drops + 1)), gamma=gamma)


@schedule()
def cosine(optimizer: Optimizer, epochs: int, steps_per_epoch: int) -> LRScheduler:
    """Half a cosine from the learning rate down to zero (Loshchilov and Hutter, 2016, without restarts)."""
    return CosineAnnealingLR(optimizer, T_max=epochs * steps_per_epoch)


@schedule(factor=Float(0.1, 0.5, log=True), patience=Int(1, 3))
def plateau(optimizer: Optimizer, epochs: int, steps_per_epoch: int, *, factor: float, patience: int) -> LRScheduler:
    """Multiplies the learning rate by `factor` when the validation loss has not improved for `patience` epochs."""
    return ReduceLROnPlateau(optimizer, factor=factor, patience=patience)


@hookimpl
def automl_schedules() -> list[Schedule]:
    """The schedules of this plugin."""
    return [constant, step, cosine, plateau]
