"""One fold in training: a network, its optimizer and schedule, and the samples that it may see."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim.lr_scheduler import LRScheduler

from automl.data.augment import POLICIES, Policy
from automl.data.resident import Normalisation, Resident
from automl.training.batch_norm import BatchNormWarmUp
from automl.training.layout import choose_layout
from automl.training.recipe import Recipe
from automl.training.seeds import derive_seed, seed_torch


@dataclass
class Fold:
    """The state of one fold after `epochs` epochs. `train` and `validation` are sample numbers on the device.

    `seed` is the fold's own: initial weights, the order of samples and dropout masks all derive from it.
    """

    number: int
    network: nn.Module
    optimizer: torch.optim.Optimizer
    schedule: LRScheduler
    normalisation: Normalisation
    train: Tensor
    validation: Tensor
    batch_size: int
    layout: torch.memory_format
    augmentation: Policy
    seed: int
    warm_up: BatchNormWarmUp
    epochs: int = 0

    def forward(self, x: Tensor) -> Tensor:
        """The network's output [b, outputs] on raw samples [b, ...]."""
        x = self.normalisation(x)
        if self.layout is torch.contiguous_format and x.ndim == 4:
            # A copy, for with one channel both layouts are the same to `contiguous()` but not to oneDNN.
            x = x.clone(memory_format=torch.contiguous_format)
        output: Tensor = self.network(x)
        return output

    def batches(self) -> list[Tensor]:
        """The sample numbers of each batch of the next epoch, shuffled by (seed, epoch) alone.

        A last batch of a single sample joins the one before, for BatchNorm cannot take it.
        """
        generator = torch.Generator().manual_seed(derive_seed(self.seed, "order", self.epochs + 1))
        order = self.train[torch.randperm(len(self.train), generator=generator).to(self.train.device)]
        batches = list(torch.split(order, self.batch_size))
        if len(batches) > 1 and len(batches[-1]) == 1 < self.batch_size:
            batches[-2:] = [torch.cat(batches[-2:])]
        return batches


def steps_per_epoch(samples: int, batch_size: int) -> int:
    """Batches in an epoch of `samples` samples; see `Fold.batches`."""
    full, rest = divmod(samples, batch_size)
    return max(1, full + (1 if rest > 1 else 0))


def build_fold(
    recipe: Recipe,
    resident: Resident,
    train: NDArray[np.int64],
    validation: NDArray[np.int64],
    *,
    number: int,
    seed: int,
) -> Fold:
    """A fold before its first epoch. Raises what the plugins' builders raise."""
    devices = [resident.device] if resident.device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        # Built on the CPU, so that the initial weights do not depend on the device.
        seed_torch(derive_seed(seed, "weights"), torch.device("cpu"))
        network = recipe.build_network(resident.input_shape, resident.num_outputs)
    layout = choose_layout(network, resident.device) if resident.image else torch.contiguous_format
    network.to(resident.device, memory_format=layout)  # type: ignore[call-overload]
    optimizer = recipe.build_optimizer(network)
    return Fold(
        number=number,
        network=network,
        optimizer=optimizer,
        schedule=recipe.build_schedule(optimizer, steps_per_epoch(len(train), recipe.batch_size)),
        normalisation=resident.normalisation(train),
        train=torch.from_numpy(np.asarray(train, dtype=np.int64)).to(resident.device),
        validation=torch.from_numpy(np.asarray(validation, dtype=np.int64)).to(resident.device),
        batch_size=recipe.batch_size,
        layout=layout,
        augmentation=POLICIES[recipe.augmentation] if resident.image else Policy(),
        seed=seed,
        warm_up=BatchNormWarmUp(network),
    )
