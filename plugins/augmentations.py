"""Augmentation policies, from nothing to much, for photos of about 32 x 32 pixels and more.

All but `none` mirror left to right. Digits, letters and whatever else has a side must not be mirrored: add
`horizontal_flip: 0` to the search space. The other parts do digits no harm.
"""

from __future__ import annotations

from automl import Augmentation, Policy, augmentation, hookimpl


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


@hookimpl
def automl_augmentations() -> list[Augmentation]:
    """The augmentations of this plugin."""
    return [none, light, medium, strong]
