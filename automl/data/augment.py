"""Augmentation of training batches: on the device, drawn for each sample, all in one resampling."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import Tensor


@dataclass(frozen=True)
class Policy:
    """How far images are changed. `flip`: half of them left to right. `shift`: up to this share of the side, each way.

    What a shift uncovers repeats the border.
    """

    flip: bool = False
    shift: float = 0.0


POLICIES: Mapping[str, Policy] = MappingProxyType({"none": Policy(), "light": Policy(flip=True, shift=0.1)})


def augment(images: Tensor, policy: Policy) -> Tensor:
    """Images [b, c, h, w] of any dtype, changed by `policy`, in channels-last layout.

    Draws from torch's generator of the images' device, so that the seed of a step decides.
    """
    if policy == Policy():
        return images
    batch, _, height, width = images.shape
    device = images.device
    rows = _indices(batch, height, policy.shift, device)
    columns = _indices(batch, width, policy.shift, device)
    if policy.flip:
        flipped = torch.rand(batch, 1, device=device) < 0.5
        columns = torch.where(flipped, width - 1 - columns, columns)
    sample = torch.arange(batch, device=device)[:, None, None]
    changed = images.permute(0, 2, 3, 1)[sample, rows[:, :, None], columns[:, None, :]]
    return changed.permute(0, 3, 1, 2)


def _indices(batch: int, side: int, shift: float, device: torch.device) -> Tensor:
    """For each sample the source of each row or column: [batch, side]."""
    most = round(shift * side)
    offset = torch.randint(-most, most + 1, (batch, 1), device=device)
    return (torch.arange(side, device=device) + offset).clamp(0, side - 1)
