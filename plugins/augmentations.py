"""Augmentation policies, from nothing to much, for photos of about 32 x 32 pixels and more.

All but `none` and `trivial` mirror left to right. Digits, letters and whatever else has a side must not be mirrored:
add `horizontal_flip: 0` to the search space. The other parts do digits no harm.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from automl import Augmentation, Policy, augmentation, hookimpl

ALIKE = 4  # images of a batch that `trivial` changes in one way


@augmentation()
def none() -> Policy:
    """Images as they are."""
    return Policy()


@augmentation()
def light() -> Policy:
    """Half of the images mirrored, shifted by up to 7 % of the side (1 pixel of 28, 2 of 32); cheap on a CPU."""
    return Policy(horizontal_flip=0.5, shift=0.07)


@augmentation()
def medium() -> Policy:
    """Mirrored, shifted, turned by up to 10 degrees, scaled, with other light and colours."""
    return Policy(horizontal_flip=0.5, shift=0.1, rotation=10, scale=0.1, brightness=0.2, contrast=0.2, saturation=0.2)


@augmentation()
def strong() -> Policy:
    """Mirrored, crops of half the area or more, turned by up to 15 degrees, colours, noise, cutout and mixup."""
    return Policy(
        horizontal_flip=0.5,
        rotation=15,
        crop_area=0.5,
        brightness=0.4,
        contrast=0.4,
        saturation=0.4,
        hue=0.05,
        noise=0.03,
        cutout=0.3,
        mixup=0.2,
    )


@augmentation()
def trivial() -> Callable[[Tensor], Tensor]:
    """TrivialAugment (Mueller and Hutter, 2021): one change of 14, of a strength that is drawn too; torchvision's."""
    from torchvision.transforms import v2  # not when plugins are loaded: it takes a second

    change = v2.TrivialAugmentWide()

    def change_all(images: Tensor) -> Tensor:
        # Some images share what is drawn, for each draw is a launch of its own on a GPU.
        return torch.cat([change(part) for part in torch.split(images.to(torch.uint8), ALIKE)]).to(images.dtype)

    return change_all


@hookimpl
def automl_augmentations() -> list[Augmentation]:
    """The augmentations of this plugin."""
    return [none, light, medium, strong, trivial]
