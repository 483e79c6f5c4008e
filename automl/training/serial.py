"""The serial executor: one fold after the other, each as a plain training loop."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.optim.lr_scheduler import ReduceLROnPlateau

from automl.data.augment import augment
from automl.data.resident import Resident
from automl.training.fold import Fold
from automl.training.losses import Loss, training_loss
from automl.training.seeds import derive_seed, seed_torch

EVALUATION_BATCH = 512  # bounds the memory of a forward pass; larger batches are no faster


def _autocast(device: torch.device, precision: torch.dtype) -> torch.autocast:
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision is torch.bfloat16)


def train_epoch(
    fold: Fold, resident: Resident, loss: Loss, precision: torch.dtype, tick: Callable[[], None]
) -> tuple[float, float]:
    """Trains the fold for one epoch; (train loss, train metric) are means over the epoch's batches, as trained.

    `tick` is called before each batch and may raise to stop: the fold's state is of no use then. Sums stay on the
    device until the epoch's end, so that nothing waits for it in between.
    """
    fold.network.train()
    total = torch.zeros(2, dtype=torch.float64, device=resident.device)
    count = 0
    by_epoch = isinstance(fold.schedule, ReduceLROnPlateau)
    devices = [resident.device] if resident.device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        batches = fold.batches()
        for step, index in enumerate(batches):
            tick()
            fold.warm_up(fold.epochs * len(batches) + step)
            # Dropout masks depend on (seed, epoch, step) only: a restored or replayed fold draws the same ones.
            seed_torch(derive_seed(fold.seed, "masks", fold.epochs + 1, step), resident.device)
            x, y = resident.batch(index)
            x = augment(x, fold.augmentation)
            y = loss.normalise_targets(y, fold.normalisation)
            with _autocast(resident.device, precision):
                output = fold.forward(x)
            minimised, value, output = training_loss(loss, fold.network, output, y)
            fold.optimizer.zero_grad()
            minimised.backward()  # type: ignore[no-untyped-call]
            fold.optimizer.step()
            if not by_epoch:
                fold.schedule.step()
            with torch.no_grad():
                total += torch.stack(
                    (value.double() * len(index), loss.metric_sums(output, y, fold.normalisation).double())
                )
            count += len(index)
    fold.epochs += 1
    mean_loss, mean_metric = (total / count).tolist()
    return loss.finish(mean_loss, mean_metric, fold.normalisation)


@torch.no_grad()
def evaluate(fold: Fold, resident: Resident, loss: Loss, precision: torch.dtype) -> tuple[float, float]:
    """(validation loss, validation metric) of the fold as it is."""
    output = predict(fold, resident, fold.validation, precision)
    y = loss.normalise_targets(resident.y.index_select(0, fold.validation), fold.normalisation)
    mean_loss, metric_sum = torch.stack(
        (loss(output, y).double(), loss.metric_sums(output, y, fold.normalisation).double())
    ).tolist()
    return loss.finish(mean_loss, metric_sum / len(y), fold.normalisation)


@torch.no_grad()
def predict(fold: Fold, resident: Resident, index: Tensor, precision: torch.dtype) -> Tensor:
    """The network's raw output [m, outputs] in float32 on the samples `index` [m]."""
    fold.network.eval()
    outputs = []
    for part in torch.split(index, EVALUATION_BATCH):
        x, _ = resident.batch(part)
        with _autocast(resident.device, precision):
            outputs.append(fold.forward(x).float())
    return torch.cat(outputs)


def step_plateau(fold: Fold, validation_loss: float) -> None:
    """Tells a plateau schedule the epoch's validation loss; other schedules were stepped batch by batch."""
    if isinstance(fold.schedule, ReduceLROnPlateau):
        fold.schedule.step(validation_loss)
