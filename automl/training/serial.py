"""The serial executor: one fold after the other, each as a plain training loop."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.optim.lr_scheduler import ReduceLROnPlateau

from automl.data.resident import Resident
from automl.training.fold import Fold
from automl.training.fold_dropout import dropout_alone
from automl.training.losses import Loss, training_loss
from automl.training.seeds import forked, seed_torch

# Bounds the memory of a forward pass. On a CPU 512 is 1.6 times slower than 256: its maps do not fit into the cache.
EVALUATION_BATCH, EVALUATION_BATCH_CPU = 512, 256


def autocast(device: torch.device, precision: torch.dtype) -> torch.autocast:
    """Matrix products in `precision`, all else in float32."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision is torch.bfloat16)


def train_epoch(
    fold: Fold, resident: Resident, loss: Loss, metric: str, precision: torch.dtype, tick: Callable[[], None]
) -> tuple[float, float]:
    """Trains the fold for one epoch; (train loss, train metric) are those of its batches' outputs, as trained.

    `tick` is called before each batch and may raise to stop: the fold's state is of no use then. Outputs stay on the
    device until the epoch's end, so that nothing waits for them in between.
    """
    fold.network.train()
    outputs = []
    with forked(resident.device):
        batches = fold.batches()
        for step, index in enumerate(batches):
            tick()
            outputs.append(train_step(fold, resident, loss, precision, index, step))
    fold.epochs += 1
    return loss.score(torch.cat(outputs), resident.y[torch.cat(batches)], fold.normalisation, metric)


def train_step(fold: Fold, resident: Resident, loss: Loss, precision: torch.dtype, index: Tensor, step: int) -> Tensor:
    """Step number `step` of the fold's next epoch, on the samples `index` [b]; its output [b, outputs].

    Leaves torch's generator in another state.
    """
    total_step = fold.total_step(step)
    fold.batch_norm_warm_up(total_step)
    # Dropout masks depend on (seed, epoch, step) only: a restored or replayed fold draws the same ones.
    seed_torch(fold.step_seed(step), resident.device)
    x, y = resident.batch(index)
    y = loss.normalise_targets(y, fold.normalisation)
    x, y = fold.augmentation(x, y, resident.num_outputs if resident.classification else None)
    with autocast(resident.device, precision), dropout_alone(resident.device, fold.layout):
        output = fold.forward(x)
    minimised, output = training_loss(fold.criterion, fold.network, output, y)
    fold.optimizer.zero_grad()
    minimised.backward()  # type: ignore[no-untyped-call]
    fold.update(total_step)
    return output.detach().float()


def evaluate(fold: Fold, resident: Resident, loss: Loss, metric: str, precision: torch.dtype) -> tuple[float, float]:
    """(validation loss, validation metric) of the fold as it is."""
    output = predict(fold, resident, fold.validation, precision)
    return loss.score(output, resident.y[fold.validation], fold.normalisation, metric)


def evaluation_batch(device: torch.device) -> int:
    """How many samples the device takes at a time when nothing is learnt."""
    return EVALUATION_BATCH_CPU if device.type == "cpu" else EVALUATION_BATCH


@torch.no_grad()
def predict(fold: Fold, resident: Resident, index: Tensor, precision: torch.dtype) -> Tensor:
    """The network's raw output [m, outputs] in float32 on the samples `index` [m]."""
    network = fold.deployed.eval()
    outputs = []
    for part in torch.split(index, evaluation_batch(resident.device)):
        x, _ = resident.batch(part)
        with autocast(resident.device, precision):
            outputs.append(fold.forward(x, network).float())
    return torch.cat(outputs)


def step_plateau(fold: Fold, validation_loss: float) -> None:
    """Tells a plateau schedule the epoch's validation loss; other schedules were stepped batch by batch."""
    if isinstance(fold.schedule, ReduceLROnPlateau):
        fold.schedule.step(validation_loss)
