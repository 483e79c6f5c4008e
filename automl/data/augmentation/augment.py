"""Augmentation of training batches: on the device, drawn for each sample, the whole batch at once.

`draw` says by how much each sample is changed, `apply` changes it. Both treat samples independently. Nothing here waits
for the device, so that a step can be a CUDA graph.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from automl.data.augmentation.colour import adjust_brightness, adjust_contrast, adjust_hue, adjust_saturation
from automl.data.augmentation.geometry import cut_out, flip_and_shift, resample, sampling_matrices
from automl.data.augmentation.policy import Policy
from automl.errors import TrialFailed

COLOURS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "brightness": adjust_brightness,
    "contrast": adjust_contrast,
    "saturation": adjust_saturation,
    "hue": adjust_hue,
}
"""In the order in which they are applied."""

Draws = dict[str, Tensor]
"""What was drawn for each sample, by the argument that it is for; what is off is absent. The first dimension is b."""

NOTHING = Policy()


@dataclass(frozen=True)
class BatchAugmentation:
    """What is done to a training batch: a plugin's own `function` on raw images, then `policy`.

    `source` names the plugin in errors.
    """

    policy: Policy = NOTHING
    function: Callable[[Tensor], Tensor] | None = None
    source: str = ""

    def __call__(self, images: Tensor, targets: Tensor, classes: int | None) -> tuple[Tensor, Tensor]:
        """(images, targets) of a batch [b, c, h, w], raw from 0 to 255; targets as `mix_up` has them.

        Raises `TrialFailed` when the plugin's function returns anything but images of the same shape.
        """
        images = self.transform(images)
        return self.apply(images, targets, classes, self.draw(images))

    def transform(self, images: Tensor) -> Tensor:
        """What the plugin's function makes of the images."""
        if self.function is None:
            return images
        shape = images.shape
        images = self.function(images)
        if not isinstance(images, Tensor) or images.shape != shape:
            found = list(images.shape) if isinstance(images, Tensor) else type(images).__name__
            raise TrialFailed(f"{self.source}: the augmentation made {found} of {list(shape)}; keep the shape")
        return images

    def draw(self, images: Tensor) -> Draws:
        """All that is random about the policy, for this batch."""
        if self.policy == NOTHING:  # tables come here too
            return {}
        draws = draw(self.policy, images.shape, images.device)
        if self.policy.mixup:
            draws["mixup"] = draw_mixup(len(images), self.policy.mixup, images.device)
        if self.policy.cutmix:
            draws["cutmix"] = draw_cutmix(images.shape, self.policy.cutmix, images.device)
        return draws

    def apply(self, images: Tensor, targets: Tensor, classes: int | None, draws: Draws) -> tuple[Tensor, Tensor]:
        """The batch, changed as drawn."""
        alone = {name: drawn for name, drawn in draws.items() if name not in ("mixup", "cutmix")}
        images = apply(images, self.policy, alone)
        if "mixup" in draws:
            images, targets = mix_up(images, targets, draws["mixup"], classes)
        if "cutmix" in draws:
            images, targets = cut_mix(images, targets, draws["cutmix"], classes)
        return images, targets


def augment(images: Tensor, policy: Policy) -> Tensor:
    """Images [b, c, h, w], raw from 0 to 255, changed by all of `policy` but mixing; channels-last where changed.

    The dtype stays as long as only flips, shifts and cutout are on, else it is float32. Draws from torch's generator of
    the images' device, so that the seed of a step decides.
    """
    if policy == NOTHING:  # also for tables
        return images
    return apply(images, policy, draw(policy, images.shape, images.device))


def draw(policy: Policy, shape: torch.Size, device: torch.device) -> Draws:
    """By how much each sample of a batch of this `shape` is changed, drawn from torch's generator of `device`."""
    batch, height, width = shape[0], *shape[-2:]
    draws: Draws = {}

    def uniform(low: float, high: float) -> Tensor:
        return torch.empty(batch, device=device).uniform_(low, high)

    for name, chance in (("horizontal", policy.horizontal_flip), ("vertical", policy.vertical_flip)):
        if chance:
            draws[name] = uniform(0, 1) < chance
    for share in (policy.shift, policy.padded_crop):
        if share:
            offset = torch.stack([_whole(batch, int(share * side + 1e-9), device) for side in (height, width)], 1)
            draws["offset"] = draws["offset"] + offset if "offset" in draws else offset
    if policy.rotation:
        draws["angle"] = uniform(-policy.rotation, policy.rotation)
    if policy.scale:
        draws["factor"] = uniform(1 - policy.scale, 1 + policy.scale)
    if policy.crop_area < 1:
        # As torchvision's RandomResizedCrop, but what does not fit is narrowed instead of drawn again.
        area, most = uniform(policy.crop_area, 1), math.log(policy.crop_ratio)
        ratio = uniform(-most, most).exp()
        size = torch.stack((area / ratio, area * ratio), 1).sqrt().clamp_max(1)
        draws["box"] = torch.cat((torch.rand(batch, 2, device=device) * (1 - size), size), 1)
    for name in COLOURS:
        extent = getattr(policy, name)
        if extent:
            draws[name] = uniform(-extent, extent) if name == "hue" else uniform(1 - extent, 1 + extent)
    if policy.noise:
        draws["noise"] = torch.randn(shape, device=device)
    if policy.cutout:
        draws["cutout"] = torch.stack([torch.randint(side, (batch,), device=device) for side in (height, width)], 1)
    return draws


def _whole(batch: int, most: int, device: torch.device) -> Tensor:
    return torch.randint(-most, most + 1, (batch,), device=device)


def apply(images: Tensor, policy: Policy, draws: Draws) -> Tensor:
    """Images [b, c, h, w] changed as drawn: geometry in one resampling, colours, noise, cutout."""
    if not draws:
        return images
    black = policy.padded_crop > 0
    flips = {name: draws[name] for name in ("horizontal", "vertical", "offset") if name in draws}
    if policy.resamples:
        places = {name: draws[name] for name in ("box", "angle", "factor") if name in draws}
        matrices = sampling_matrices(images.shape, images.device, **flips, **places)
        images = resample(images.to(torch.float32), matrices, black=black)
    elif flips:
        images = flip_and_shift(images, **flips, black=black)
    for name, adjust in COLOURS.items():
        if name in draws:
            images = adjust(images.to(torch.float32), draws[name])
    if "noise" in draws:
        images = torch.add(images, draws["noise"], alpha=255 * policy.noise).clamp(0, 255)
    if "cutout" in draws:
        height, width = images.shape[2:]
        images = cut_out(images, draws["cutout"], (round(policy.cutout * height), round(policy.cutout * width)))
    return images.contiguous(memory_format=torch.channels_last)


def draw_mixup(batch: int, alpha: float, device: torch.device) -> Tensor:
    """For each sample its share of its own mixture [b], 0.5 to 1, from Beta(alpha, alpha)."""
    alphas = torch.full((batch,), alpha, device=device)
    share = torch.distributions.Beta(alphas, alphas, validate_args=False).sample()
    return torch.maximum(share, 1 - share)  # every sample stays the larger part of its own mixture


def mix_up(images: Tensor, targets: Tensor, share: Tensor, classes: int | None) -> tuple[Tensor, Tensor]:
    """Mixes every sample with its neighbour in the batch, a random one for batches are shuffled (mixup, Zhang et al.,
    2018, eq. 1).

    Args:
        images: [b, c, h, w], or features [b, ...]. targets: class numbers [b], or numbers [b, outputs].
        share: of each sample in its own mixture, [b].
        classes: how many classes; None for a regression.

    Returns:
        float32 images, and targets: shares of classes [b, classes], or numbers. As cross entropy and mixing are linear
        in the targets, the cross entropy to them is lam * loss(y) + (1 - lam) * loss(y_other).
    """
    layout = torch.channels_last if images.ndim == 4 else torch.contiguous_format
    mixed = mix(images.to(torch.float32), share).contiguous(memory_format=layout)
    return mixed, mix(_as_numbers(targets, classes), share)


def draw_cutmix(shape: torch.Size, alpha: float, device: torch.device) -> Tensor:
    """For each sample of a batch the rectangle that is another one's, [b, 4]: top, left, bottom, right in pixels.

    It has a share of the area from Beta(alpha, alpha) and the image's proportions, lies around a random pixel, and ends
    where the image does (Yun et al., 2019, section 3.1).
    """
    batch, _, height, width = shape
    alphas = torch.full((batch,), alpha, device=device)
    area = torch.distributions.Beta(alphas, alphas, validate_args=False).sample()
    sides = torch.tensor([height, width], device=device)
    half = area.sqrt().unsqueeze(1) * sides / 2
    centre = torch.rand(batch, 2, device=device) * sides
    corners = torch.cat([centre - half, centre + half], 1).round()
    return torch.minimum(corners.clamp_min(0), sides.repeat(2))


def cut_mix(images: Tensor, targets: Tensor, boxes: Tensor, classes: int | None) -> tuple[Tensor, Tensor]:
    """Puts a rectangle of its neighbour in the batch into every sample, and mixes the targets by the areas.

    boxes: [b, 4], as `draw_cutmix` has them. The others and what is returned are as in `mix_up`.
    """
    height, width = images.shape[2:]
    top, left, bottom, right = boxes.view(-1, 4, 1, 1).unbind(1)
    y = torch.arange(height, device=images.device).view(1, -1, 1)
    x = torch.arange(width, device=images.device).view(1, 1, -1)
    inside = ((y >= top) & (y < bottom) & (x >= left) & (x < right)).unsqueeze(1)
    share = 1 - inside.to(torch.float32).mean((1, 2, 3))
    mixed = torch.where(inside, images.roll(1, 0), images).contiguous(memory_format=torch.channels_last)
    return mixed, mix(_as_numbers(targets, classes), share)


def mix(values: Tensor, share: Tensor) -> Tensor:
    """Of each of the values [b, ...] its share [b], and of its neighbour the rest."""
    return torch.lerp(values.roll(1, 0), values, share.view(-1, *[1] * (values.ndim - 1)).to(values.dtype))


def _as_numbers(targets: Tensor, classes: int | None) -> Tensor:
    """Class numbers [b] as shares of classes [b, classes]; what is mixed already, or numbers, as it is."""
    if classes is None or targets.is_floating_point():
        return targets
    return F.one_hot(targets, classes).to(torch.float32)
