"""Colours of augmented images: brightness, contrast, saturation and hue, as torchvision's functions of these names.

Images are float [b, c, h, w] from 0 to 255; each function takes one value per sample, [b].
"""

from __future__ import annotations

import torch
from torch import Tensor

GREY = (0.2989, 0.587, 0.114)  # of red, green and blue: ITU-R BT.601


def adjust_brightness(images: Tensor, factor: Tensor) -> Tensor:
    """Every pixel times `factor`."""
    return (images * _each(factor)).clamp(0, 255)


def adjust_contrast(images: Tensor, factor: Tensor) -> Tensor:
    """Every pixel's distance from the image's mean grey, times `factor`."""
    mean = (_grey(images) if images.shape[1] == 3 else images).mean((1, 2, 3), keepdim=True)
    return _blend(images, mean, factor)


def adjust_saturation(images: Tensor, factor: Tensor) -> Tensor:
    """Every pixel's distance from its own grey, times `factor`; without three channels nothing changes."""
    return _blend(images, _grey(images), factor) if images.shape[1] == 3 else images


def adjust_hue(images: Tensor, turn: Tensor) -> Tensor:
    """Every colour turned by `turn` of the colour circle (-0.5 to 0.5); without three channels nothing changes.

    To hue, chroma and value, and back (https://en.wikipedia.org/wiki/HSL_and_HSV, "alternative HSV to RGB").
    """
    if images.shape[1] != 3:
        return images
    red, green, blue = images.unbind(1)
    value, chroma = images.amax(1), images.amax(1) - images.amin(1)
    safe = chroma.clamp_min(1e-6)  # a grey has no hue: any will do
    sixths = torch.where(
        value == red,
        (green - blue) / safe,
        torch.where(value == green, (blue - red) / safe + 2, (red - green) / safe + 4),
    )
    sixths = sixths + 6 * turn[:, None, None]
    channels = []
    for start in (5, 3, 1):
        k = (start + sixths) % 6
        channels.append(value - chroma * torch.minimum(k, 4 - k).clamp(0, 1))
    return torch.stack(channels, 1)


def _grey(images: Tensor) -> Tensor:
    red, green, blue = images.unbind(1)
    return (GREY[0] * red + GREY[1] * green + GREY[2] * blue)[:, None]


def _blend(images: Tensor, other: Tensor, share: Tensor) -> Tensor:
    """`share` of the images, the rest of `other`; beyond 1 away from it."""
    return torch.lerp(other, images, _each(share)).clamp(0, 255)


def _each(values: Tensor) -> Tensor:
    return values[:, None, None, None]
