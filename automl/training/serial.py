"""The serial executor: one fold after the other, each as a plain training loop."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.optim.lr_scheduler import ReduceLROnPlateau

from automl.data.resident import Resident
from automl.training.device import autocast, evaluation_batch
from automl.training.fold import Fold
from automl.training.losses import Loss, merge_members, training_loss
from automl.training.network import seen_shape
from automl.training.seeds import forked, seed_torch


def train_epoch(
    fold: Fold, resident: Resident, loss: Loss, precision: torch.dtype, metric: str, tick: Callable[[], None]
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
    output = find_gradients(fold, resident, loss, precision, index)
    fold.update(total_step)
    return output


def find_gradients(fold: Fold, resident: Resident, loss: Loss, precision: torch.dtype, index: Tensor) -> Tensor:
    """Gives the fold's parameters their gradients for the samples `index` [b]; the output [b, outputs] in float32.

    Draws what is random, augmentation and dropout, from torch's generator of the device.
    """
    x, y = resident.training_batch(index, fold.normalisation.rows)
    y = loss.normalise_targets(y, fold.normalisation)
    x, y = fold.augmentation(x, y, resident.num_outputs if resident.task == "classification" else None)
    with autocast(resident.device, precision):
        output = fold.forward(x)
    minimised, output = training_loss(fold.criterion, fold.network, output, y)
    parameters = [parameter for parameter in fold.network.parameters() if parameter.requires_grad]
    # Not `backward()`, which adds gradients up on a stream of its choice.
    gradients = torch.autograd.grad(minimised, parameters, allow_unused=True)
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = _laid_out(gradient, parameter)
    return merge_members(fold.network, output.detach(), resident.task).float()


def _laid_out(gradient: Tensor | None, parameter: Tensor) -> Tensor | None:
    """The gradient in its parameter's memory layout, for fused optimizers walk both in the order of memory."""
    if gradient is None:
        return None
    strides = zip(gradient.stride(), parameter.stride(), parameter.shape, strict=True)
    if all(own == wanted for own, wanted, size in strides if size > 1):
        return gradient
    return torch.empty_like(parameter).copy_(gradient)


def evaluate(fold: Fold, resident: Resident, loss: Loss, precision: torch.dtype, metric: str) -> tuple[float, float]:
    """(validation loss, validation metric) of the fold as it is."""
    output = predict(fold, resident, fold.validation, precision)
    return loss.score(output, resident.y[fold.validation], fold.normalisation, metric)


@torch.no_grad()
def predict(fold: Fold, resident: Resident, index: Tensor, precision: torch.dtype) -> Tensor:
    """The network's raw output [m, outputs] in float32 on the samples `index` [m], the mean of their views: half as
    many at a time where the device's memory does not suffice.
    """
    network = fold.deployed.eval()
    size = evaluation_batch(seen_shape(network, resident.input_shape), resident.device)
    outputs: list[Tensor] = []
    done = 0
    while done < len(index):
        try:
            views = resident.views(index[done : done + size], fold.normalisation.rows, mirrored=fold.averages_mirrored)
            seen = []
            for x in views:
                with autocast(resident.device, precision):
                    output = fold.forward(x, network)
                seen.append(merge_members(network, output, resident.task).float())
            outputs.append(seen[0] if len(seen) == 1 else torch.stack(seen).mean(0))
        except torch.OutOfMemoryError:
            if size == 1:
                raise
            size //= 2
            continue
        done += len(outputs[-1])
    return torch.cat(outputs)


def step_plateau(fold: Fold, validation_loss: float) -> None:
    """Tells a plateau schedule the epoch's validation loss; other schedules were stepped batch by batch."""
    if isinstance(fold.schedule, ReduceLROnPlateau):
        fold.schedule.step(validation_loss)
