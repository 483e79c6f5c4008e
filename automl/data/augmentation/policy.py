"""A policy: how far augmentation may change images. No torch is imported here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from types import MappingProxyType

from automl.errors import BadInput

BOUNDS: Mapping[str, tuple[float, float]] = MappingProxyType(
    {
        "horizontal_flip": (0.0, 1.0),
        "vertical_flip": (0.0, 1.0),
        "rotation": (0.0, 180.0),
        "shift": (0.0, 0.5),
        "padded_crop": (0.0, 0.5),
        "scale": (0.0, 0.9),
        "crop_area": (0.1, 1.0),
        "crop_ratio": (1.0, 2.0),
        "brightness": (0.0, 1.0),
        "contrast": (0.0, 1.0),
        "saturation": (0.0, 1.0),
        "hue": (0.0, 0.5),
        "noise": (0.0, 0.5),
        "cutout": (0.0, 1.0),
        "mixup": (0.0, 10.0),
        "cutmix": (0.0, 10.0),
    }
)
"""The values that each part of a policy can have, both ends included."""


@dataclass(frozen=True)
class Policy:
    """How far the images of a training batch are changed; each is changed by amounts of its own. All parts are off.

    Args:
        horizontal_flip: probability that an image is mirrored left to right.
        vertical_flip: probability that it is mirrored upside down.
        rotation: up to this many degrees, either way.
        shift: up to this share of the side, each way, by whole pixels (rounded down); the border is repeated.
        padded_crop: the same, but what is uncovered is black, also for the other parts: the padded crop of CIFAR.
        scale: larger or smaller by up to this share: 0.2 is 0.8 to 1.2 times the size.
        crop_area: a random part of at least this share of the area is resized to the whole; 1 is off.
        crop_ratio: that part is up to this many times wider than high, or higher than wide, relative to the image.
        brightness, contrast, saturation: factors from 1 - this to 1 + this, as in torchvision's ColorJitter.
        hue: turned by up to this share of the colour circle, either way. Saturation and hue need three channels.
        noise: standard deviation of Gaussian noise as a share of 255, for each pixel and channel.
        cutout: a rectangle of this share of the sides around a random pixel gets the image's mean colour (DeVries
            and Taylor, 2017).
        mixup: images and targets are mixed with others in a proportion from Beta(mixup, mixup) (Zhang et al., 2018).
        cutmix: a rectangle of each image is that of another one, of a share of the area from Beta(cutmix, cutmix),
            and targets are mixed in this proportion (Yun et al., 2019).

    Raises:
        BadInput: a value outside of `BOUNDS`.
    """

    horizontal_flip: float = 0.0
    vertical_flip: float = 0.0
    rotation: float = 0.0
    shift: float = 0.0
    padded_crop: float = 0.0
    scale: float = 0.0
    crop_area: float = 1.0
    crop_ratio: float = 4 / 3  # torchvision's; of no effect while crop_area is 1
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0
    noise: float = 0.0
    cutout: float = 0.0
    mixup: float = 0.0
    cutmix: float = 0.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value, (least, most) = getattr(self, field.name), BOUNDS[field.name]
            if not least <= value <= most:
                raise BadInput(f"augmentation policy: {field.name} must lie within {least:g}..{most:g}, not {value!r}")

    @property
    def resamples(self) -> bool:
        """Whether some part places pixels between pixels, so that images must be interpolated."""
        return self.rotation > 0 or self.scale > 0 or self.crop_area < 1
