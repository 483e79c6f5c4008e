"""One fold in training: a network, its optimizer and schedule, and the samples that it may see."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from automl.data.augmentation.augment import BatchAugmentation
from automl.data.augmentation.policy import Policy
from automl.data.resident import Normalisation, Resident
from automl.training.batch_norm import BatchNormWarmUp
from automl.training.frozen import FrozenFeatures, head_of
from automl.training.layout import choose_layout
from automl.training.lazy import materialise
from automl.training.losses import Criterion, Loss, criterion_for
from automl.training.network import expected_normalisation, fit_input, load_weights
from automl.training.recipe import Recipe
from automl.training.seeds import derive_seed, forked, seed_torch
from automl.training.techniques import FirstSteps, MovingAverage, Techniques, treat_gradients

LEFT_OUT = 1 / 20  # of a fold's training samples: so many at most are left out of an epoch, other ones in each


@dataclass(eq=False)
class Fold:
    """The state of one fold after `epochs` epochs. `train` and `validation` are sample numbers on the device.

    An epoch goes through `samples` of the training samples, see `samples_of_epoch`, in batches as `batch_sizes` says.
    `seed` is the fold's own: initial weights, the order of samples and dropout masks all derive from it.
    """

    number: int
    network: nn.Module
    optimizer: torch.optim.Optimizer
    schedule: LRScheduler
    normalisation: Normalisation
    train: Tensor
    validation: Tensor
    samples: int
    batch_size: int
    layout: torch.memory_format
    augmentation: BatchAugmentation
    criterion: Criterion
    techniques: Techniques
    averages_mirrored: bool
    first_steps: FirstSteps
    average: MovingAverage | None
    seed: int
    batch_norm_warm_up: BatchNormWarmUp
    epochs: int = 0
    dtype: torch.dtype = torch.float32

    @property
    def deployed(self) -> nn.Module:
        """The network that is validated and kept: the moving average where there is one."""
        return self.network if self.average is None else self.average.module

    def forward(self, x: Tensor, network: nn.Module | None = None) -> Tensor:
        """The output [b, outputs] of `network` (default: the one in training) on samples [b, ...] of `batch`."""
        if self.normalisation.rows is None:
            x = self.normalisation.inputs(x)
        x = x.to(self.dtype)
        if self.layout is torch.contiguous_format and x.ndim == 4:
            # A copy, for with one channel both layouts are the same to `contiguous()` but not to oneDNN.
            x = x.clone(memory_format=torch.contiguous_format)
        output: Tensor = (network or self.network)(x)
        return output

    def update(self, step: int) -> None:
        """Takes step number `step` (from 0, over all epochs) with the gradients that are there; then the schedule's."""
        with self.first_steps.applied(self.optimizer, step):
            self.change_weights(None if self.average is None else self.average.weight(step))
        self.optimizer.zero_grad()
        self.step_schedule()

    def change_weights(self, averaged: float | Tensor | None) -> None:
        """The optimizer's step with the gradients and learning rates that are there.

        averaged: how much of the new weights goes into their moving average; see `MovingAverage.update`.
        """
        treat_gradients(self.network, self.techniques)
        self.optimizer.step()
        if self.average is not None and averaged is not None:
            self.average.update(self.network, averaged)

    def step_schedule(self) -> None:
        """The schedule's step after a batch; a plateau schedule's comes after the epoch."""
        if not isinstance(self.schedule, ReduceLROnPlateau):
            self.schedule.step()

    def rates(self, step: int) -> list[float]:
        """The learning rate of each parameter group in step number `step`."""
        with self.first_steps.applied(self.optimizer, step):
            return [float(group["lr"]) for group in self.optimizer.param_groups]

    def step_seed(self, step: int) -> int:
        """The seed of all that is random in step number `step` of the next epoch: augmentation and dropout."""
        return derive_seed(self.seed, "masks", self.epochs + 1, step)

    @property
    def steps(self) -> int:
        """Steps in an epoch."""
        return len(batch_sizes(self.samples, self.batch_size))

    def total_step(self, step: int) -> int:
        """The number, over all epochs, of step number `step` of the next one."""
        return self.epochs * self.steps + step

    def batches(self) -> list[Tensor]:
        """The sample numbers of each batch of the next epoch, shuffled by (seed, epoch) alone."""
        generator = torch.Generator().manual_seed(derive_seed(self.seed, "order", self.epochs + 1))
        order = self.train[torch.randperm(len(self.train), generator=generator).to(self.train.device)]
        sizes = batch_sizes(self.samples, self.batch_size)
        return list(torch.split(order[: sum(sizes)], sizes))


def samples_of_epoch(own: int, fewest: int) -> int:
    """How many of a fold's `own` training samples an epoch goes through: as many as the smallest fold of the trial has,
    `fewest`, so that all folds take the same steps, together; all, where that would leave out too many.
    """
    return fewest if own - fewest <= LEFT_OUT * own else own


def batch_sizes(samples: int, batch_size: int) -> list[int]:
    """The samples in each batch of an epoch: `batch_size`, and in the last one what remains.

    A remainder of less than half a batch is left out, for it would weigh as much as a full batch and be what BatchNorm
    measures last; not where it is more than `LEFT_OUT` of the samples. A single sample that remains then joins the
    batch before: BatchNorm cannot take it.
    """
    full, rest = divmod(samples, batch_size)
    sizes = [batch_size] * full
    if sizes and 2 * rest < batch_size and rest <= LEFT_OUT * samples:
        return sizes
    if sizes and rest == 1:
        return [*sizes[:-1], batch_size + 1]
    return [*sizes, rest]


def _augmentation(recipe: Recipe, resident: Resident) -> BatchAugmentation:
    """What is done to a training batch: of frozen features, which are those of unchanged images, they are mixed as
    images would be (manifold mixup, Verma et al., 2019).
    """
    if resident.image:
        return recipe.build_augmentation()
    if isinstance(resident, FrozenFeatures):
        return BatchAugmentation(Policy(mixup=recipe.build_augmentation().policy.mixup))
    return BatchAugmentation()


def build_network(recipe: Recipe, resident: Resident, seed: int) -> nn.Module:
    """The network of a fold with this seed, before its trained weights are loaded. Raises what the plugin raises."""
    with forked(resident.device):
        # Built on the CPU, so that the initial weights do not depend on the device.
        seed_torch(derive_seed(seed, "weights"), torch.device("cpu"))
        network = recipe.build_network(resident.input_shape, resident.num_outputs, resident.columns)
        materialise(network, resident.input_shape)
    return network


def build_fold(
    recipe: Recipe,
    resident: Resident,
    loss: Loss,
    train: NDArray[np.int64],
    validation: NDArray[np.int64],
    *,
    number: int,
    seed: int,
    fewest: int | None = None,
) -> Fold:
    """A fold before its first epoch. Raises what the plugins' builders raise.

    `fewest`: training samples of the smallest fold of its trial (None: it is this one).
    """
    whole = resident.whole if isinstance(resident, FrozenFeatures) else resident
    network = build_network(recipe, whole, seed)
    load_weights(network)
    if whole is not resident:
        network = head_of(network)
    techniques = recipe.techniques
    normalisation = resident.normalisation(train, techniques.scaling, techniques.target_transform == "log")
    normalisation = expected_normalisation(network, normalisation)
    fit_input(network, resident, normalisation, train)
    layout = choose_layout(network, resident.device) if resident.image else torch.contiguous_format
    network.to(resident.device, memory_format=layout)  # type: ignore[call-overload]
    optimizer = recipe.build_optimizer(network)
    samples = samples_of_epoch(len(train), len(train) if fewest is None else fewest)
    steps = len(batch_sizes(samples, recipe.batch_size))
    first_steps = FirstSteps(
        [group["lr"] < recipe.lr for group in optimizer.param_groups],
        warm_up=round(techniques.warmup * recipe.epochs * steps),
        head=round(techniques.unfreeze_at * recipe.epochs * steps),
    )
    index = torch.from_numpy(np.asarray(train, dtype=np.int64)).to(resident.device)
    return Fold(
        number=number,
        network=network,
        optimizer=optimizer,
        schedule=recipe.build_schedule(optimizer, steps),
        normalisation=normalisation,
        train=index,
        validation=torch.from_numpy(np.asarray(validation, dtype=np.int64)).to(resident.device),
        samples=samples,
        batch_size=recipe.batch_size,
        layout=layout,
        augmentation=_augmentation(recipe, resident),
        criterion=criterion_for(loss, techniques, resident.y[index], resident.num_outputs),
        techniques=techniques,
        averages_mirrored=whole.image and recipe.averages_mirrored,
        first_steps=first_steps,
        average=MovingAverage(network, techniques.ema) if techniques.ema else None,
        seed=seed,
        batch_norm_warm_up=BatchNormWarmUp(network),
    )
