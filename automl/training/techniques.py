"""Optional techniques of training: what happens between the gradient and the step, and to the weights after it.

Each is off at its default, and a config has it only where its search space names it (`automl.spaces.training`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor, nn

from automl.data.table_inputs import Scaling


@dataclass(frozen=True)
class Techniques:
    """What a config says of them.

    `warmup`: the share of all steps in which the learning rate rises linearly to what the schedule says.
    `unfreeze_at`: the share of all steps in which the layers of a trained network, whose learning rate has a ratio
    below 1, do not learn, but only its head; then all does (Kumar et al., 2022, arXiv 2202.10054).
    `l1`: lambda of the penalty lambda * sum |w|; with weight decay the elastic net (Zou and Hastie, 2005).
    `label_smoothing`: the share of a target that is spread over all classes (Szegedy et al., 2015, section 7).
    `class_weights`: `balanced` weighs a sample by n / (classes * samples of its class), as scikit-learn does; of each
    label, yes and no are its two classes.
    `clip_norm`, `clip_value`: the most that the norm of all gradients, or the size of each, may be; 0: no limit.
    `scaling`: of a table's numbers, see `automl.data.table_inputs`. `target_transform`: `log` learns the logarithm of a
    regression's targets, which are positive; scores and predictions are in the targets' units.
    `tta`, test-time augmentation: `mirror` answers for an image by the mean of the outputs for it and its mirror image,
    where training mirrors some (`Recipe.averages_mirrored`).
    `ema`: decay of the moving average of the weights, which is validated and kept in their place; 0: none.
    """

    warmup: float = 0.0
    unfreeze_at: float = 0.0
    l1: float = 0.0
    label_smoothing: float = 0.0
    class_weights: str = "none"
    clip_norm: float = 0.0
    clip_value: float = 0.0
    ema: float = 0.0
    scaling: Scaling = "standard"
    target_transform: str = "none"
    tta: str = "none"

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Techniques:
        """The techniques of a config with keys such as `train.l1`."""
        return cls(**{f.name: config[f"train.{f.name}"] for f in fields(cls) if f"train.{f.name}" in config})


def decayed(network: nn.Module) -> list[nn.Parameter]:
    """The parameters that penalties act on: weights, not biases or norm parameters, which have one dimension."""
    return [p for p in network.parameters() if p.requires_grad and p.ndim > 1]


def treat_gradients(network: nn.Module, techniques: Techniques) -> None:
    """Adds the gradient of the L1 penalty to `grad`, then clips by value and by norm."""
    if techniques.l1:
        pairs = [(p.detach(), p.grad) for p in decayed(network) if p.grad is not None]
        signs = torch._foreach_sign([weight for weight, _ in pairs])
        torch._foreach_add_([gradient for _, gradient in pairs], signs, alpha=techniques.l1)
    if techniques.clip_value:
        nn.utils.clip_grad_value_(network.parameters(), techniques.clip_value)
    if techniques.clip_norm:
        nn.utils.clip_grad_norm_(network.parameters(), techniques.clip_norm)


class FirstSteps:
    """Lowers learning rates in the first steps below what the schedule says: to warm up, or to train the head alone.

    Outside of a step nothing is changed, so that it goes with every schedule and needs no state.

    Args:
        pretrained: which of the parameter groups are those of the trained network, whose learning rate is lower.
        warm_up: steps in which the rates rise, in step number n (from 0) to (n + 1) / `warm_up` of what they are.
        head: steps in which the others learn alone, where there are others.
    """

    def __init__(self, pretrained: Sequence[bool], warm_up: int, head: int):
        self.warm_up, self.head = warm_up, 0 if all(pretrained) else head
        self._pretrained = pretrained

    @contextmanager
    def applied(self, optimizer: torch.optim.Optimizer, step: int) -> Iterator[None]:
        """Within it the learning rates are those of step number `step`, from 0."""
        if step + 1 >= self.warm_up and step >= self.head:
            yield
            return
        rise = min(1.0, (step + 1) / self.warm_up) if self.warm_up else 1.0
        rates = [group["lr"] for group in optimizer.param_groups]
        for group, rate, pretrained in zip(optimizer.param_groups, rates, self._pretrained, strict=True):
            group["lr"] = 0.0 if pretrained and step < self.head else rate * rise
        try:
            yield
        finally:
            for group, rate in zip(optimizer.param_groups, rates, strict=True):
                group["lr"] = rate


class MovingAverage:
    """The exponential moving average of a network's weights and buffers, by step; `module` is the averaged network.

    In the first steps the decay is (1 + n) / (10 + n) where that is less (TensorFlow's ExponentialMovingAverage):
    otherwise the first epochs would validate the initial weights.
    """

    def __init__(self, network: nn.Module, decay: float):
        self.decay = decay
        self.module = deepcopy(network).requires_grad_(False)

    def weight(self, step: int) -> float:
        """How much of the network goes into the average in step number `step`, from 0: all of it in the first."""
        return 1 - min(self.decay, (1 + step) / (10 + step)) if step else 1.0

    def update(self, network: nn.Module, weight: float | Tensor) -> None:
        """Moves the average towards `network` by `weight` of the way: a number, or a tensor [] on the network's device,
        which a CUDA graph can read anew in each replay.
        """
        pairs = list(zip(_state(self.module), _state(network), strict=True))
        averages = [average for average, value in pairs if value.is_floating_point()]
        way = torch._foreach_sub([value for _, value in pairs if value.is_floating_point()], averages)
        torch._foreach_mul_(way, weight)
        torch._foreach_add_(averages, way)
        for average, value in pairs:  # BatchNorm's counts of batches
            if not value.is_floating_point():
                average.copy_(value)


def _state(network: nn.Module) -> list[Tensor]:
    return [tensor.detach() for tensor in (*network.parameters(), *network.buffers())]


def balanced_labels(labels: Tensor) -> Tensor:
    """[2, labels]: `balanced_weights` of no and yes for each of the labels [n, labels]."""
    return torch.stack([balanced_weights(label, 2).to(labels.device) for label in labels.T], dim=1)


def balanced_weights(labels: Tensor, classes: int) -> Tensor:
    """n / (classes * samples of the class) for each class, [classes]; 0 for a class without samples."""
    counts = torch.bincount(labels, minlength=classes)
    return torch.where(counts > 0, len(labels) / (classes * counts.clamp_min(1)), 0.0).to(torch.float32)
