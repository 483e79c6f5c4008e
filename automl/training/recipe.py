"""A recipe: everything that one config says about a network and its training, and the building of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.optim.lr_scheduler import LRScheduler

from automl.data.augmentation.augment import BatchAugmentation
from automl.data.augmentation.policy import BOUNDS, Policy
from automl.data.tables.features import InputColumn
from automl.errors import TrialFailed
from automl.hooks.declarations import Architecture, Augmentation, Declaration, Optimizer, Schedule
from automl.hooks.host import PluginHost
from automl.spaces.space import learning_rate
from automl.training.input_layer import build_network
from automl.training.network import parameters_by_ratio
from automl.training.techniques import Techniques

FoldSamples = tuple[NDArray[np.int64], NDArray[np.int64]]
"""The sample numbers of one fold: (training part, validation part)."""


@dataclass(frozen=True)
class Recipe:
    """How to build and train one network.

    `epochs` is the horizon E: schedules are laid out for it, however early the trial is stopped. The mappings hold the
    keyword arguments of the builders. `augmentation_parts` replace those of the policy (None: images stay as they are).
    """

    architecture: Architecture
    architecture_config: Mapping[str, Any]
    optimizer: Optimizer
    optimizer_config: Mapping[str, Any]
    schedule: Schedule
    schedule_config: Mapping[str, Any]
    lr: float
    weight_decay: float
    batch_size: int
    epochs: int
    augmentation: Augmentation | None = None
    augmentation_config: Mapping[str, Any] = field(default_factory=dict)
    augmentation_parts: Mapping[str, float] = field(default_factory=dict)
    techniques: Techniques = field(default_factory=Techniques)

    @classmethod
    def from_config(cls, config: Mapping[str, Any], host: PluginHost, epochs: int) -> Recipe:
        """The recipe of a sampled config, e.g. `{"architecture": "resnet", "resnet.depth": 2, "train.lr": 0.1, ...}`.

        Raises `PluginError` or `BadInput` when a plugin that the config names is not there.
        """

        def under(prefix: str) -> dict[str, Any]:
            return {k.removeprefix(prefix): v for k, v in config.items() if k.startswith(prefix)}

        architecture, optimizer, schedule, augmentation = (
            config[k] for k in ("architecture", "train.optimizer", "train.schedule", "train.augmentation")
        )
        return cls(
            architecture=host.architecture(architecture),
            architecture_config=under(f"{architecture}."),
            optimizer=host.optimizer(optimizer),
            optimizer_config=_without_lr(under(f"train.{optimizer}.")),
            schedule=host.schedule(schedule),
            schedule_config=_without_lr(under(f"train.{schedule}.")),
            lr=learning_rate(config),
            weight_decay=config["train.weight_decay"],
            batch_size=config["train.batch_size"],
            epochs=epochs,
            augmentation=host.augmentation(augmentation),
            augmentation_config=under(f"train.{augmentation}."),
            augmentation_parts={name: config[f"train.{name}"] for name in BOUNDS if f"train.{name}" in config},
            techniques=Techniques.from_config(config),
        )

    @property
    def averages_mirrored(self) -> bool:
        """Whether an image's answer is the mean of the outputs for it and its mirror image: `tta` says so, and the
        network has seen both, for the augmentation mirrors some of the images.

        Raises as `build_augmentation`.
        """
        return self.techniques.tta == "mirror" and 0 < self.build_augmentation().policy.horizontal_flip < 1

    def build_network(
        self, input_shape: tuple[int, ...], num_outputs: int, columns: Sequence[InputColumn] = ()
    ) -> nn.Module:
        """The network, from the plugin's `build`; `columns` are those of a table.

        Raises what `input_layer.build_network` raises, and `TrialFailed` for a non-module.
        """
        network = build_network(self.architecture, self.architecture_config, input_shape, num_outputs, columns)
        if not isinstance(network, nn.Module):
            raise TrialFailed(
                f"{describe_source(self.architecture)}: build() returned {type(network).__name__}, not an nn.Module"
            )
        return network

    def build_optimizer(self, network: nn.Module) -> torch.optim.Optimizer:
        """The optimizer over two parameter groups: weights are decayed, biases and norm parameters (1-d) are not.

        A network with `lr_ratios` has two such groups for each of its learning rates.
        """
        groups: list[dict[str, Any]] = []
        for ratio, parameters in parameters_by_ratio(network).items():
            lr = {} if ratio == 1 else {"lr": ratio * self.lr}
            weights = [p for p in parameters if p.ndim > 1]
            others = [p for p in parameters if p.ndim <= 1]
            groups.append({"params": weights, "weight_decay": self.weight_decay, **lr})
            groups.append({"params": others, "weight_decay": 0.0, **lr})
        optimizer: torch.optim.Optimizer = self.optimizer.build(
            [g for g in groups if g["params"]], self.lr, **self.optimizer_config
        )
        return optimizer

    def build_schedule(self, optimizer: torch.optim.Optimizer, steps_per_epoch: int) -> LRScheduler:
        """The learning-rate schedule, laid out for the horizon."""
        schedule: LRScheduler = self.schedule.build(optimizer, self.epochs, steps_per_epoch, **self.schedule_config)
        return schedule

    def build_augmentation(self) -> BatchAugmentation:
        """What is done to the images of a training batch. Raises what the plugin raises, and `TrialFailed`."""
        if self.augmentation is None:
            return BatchAugmentation(Policy(**self.augmentation_parts))
        built, source = self.augmentation.build(**self.augmentation_config), describe_source(self.augmentation)
        if isinstance(built, Policy):
            return BatchAugmentation(replace(built, **self.augmentation_parts))
        if not callable(built):
            raise TrialFailed(f"{source}: build() returned {type(built).__name__}, not a Policy or a function")
        return BatchAugmentation(Policy(**self.augmentation_parts), built, source)


def _without_lr(config: Mapping[str, Any]) -> dict[str, Any]:
    """Without a learning rate of its own, which the builder is given by its position."""
    return {name: value for name, value in config.items() if name != "lr"}


def describe_source(declaration: Declaration) -> str:
    """`plugin 'name' (file:line)` for messages."""
    return f"plugin '{declaration.plugin or declaration.name}' ({declaration.source}:{declaration.line})"
