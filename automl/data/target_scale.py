"""The scale on which a regression is learnt: the targets' own or their logarithm, with mean 0 and deviation 1."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

FARTHEST = 10.0
"""Standard deviations from the mean of the logarithms beyond which a prediction is cut: the exponential of what a
network says in its first steps may be any number."""


@dataclass(frozen=True)
class TargetScale:
    """mean, std: [1, outputs], of the training part's targets, or with `log` of their natural logarithms; in float64,
    for float32 would make one number of 1.7e9 and 1.7e9 + 60.
    """

    mean: Tensor
    std: Tensor
    log: bool = False

    @classmethod
    def of(cls, y: Tensor, log: bool) -> TargetScale:
        """The scale of targets [n, outputs]; those that never vary beyond the rounding of sums have the deviation 1."""
        y = y.double().log() if log else y.double()
        mean = y.mean(0, keepdim=True)
        return cls(mean, spread(mean, (y - mean).square().mean(0, keepdim=True)), log)

    def learnt(self, y: Tensor) -> Tensor:
        """What a network is to say for targets [b, outputs]: float32."""
        y = y.double().log() if self.log else y
        return ((y - self.mean) / self.std).to(torch.float32)

    def predicted(self, output: Tensor) -> Tensor:
        """Predictions in the targets' units of what a network said, [b, outputs]."""
        if self.log:
            output = output.clamp(-FARTHEST, FARTHEST)
        predicted = output * self.std + self.mean
        return predicted.exp() if self.log else predicted


def spread(mean: Tensor, variance: Tensor) -> Tensor:
    """The standard deviation; 1 for what never varies beyond the rounding of sums, so that nothing is divided by it."""
    std = variance.clamp_min(0).sqrt()
    return torch.where(std > 1e-12 * mean.abs(), std, torch.ones_like(std))
