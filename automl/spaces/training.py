"""What every trial tunes about its training besides optimizer, schedule and augmentation, and what it may tune.

A new training parameter is one line here; it is then known to YAML files, `--set`, the schema and the config (as
`train.NAME`). The trainer reads it from the config.
"""

from __future__ import annotations

from math import inf

from automl.data.augmentation.policy import BOUNDS
from automl.spaces.parameters import Choice, Float, Parameter

TRAINING: dict[str, Parameter] = {
    "lr": Float(1e-4, 1e-1, log=True),
    "weight_decay": Float(1e-6, 1e-1, log=True),
    "batch_size": Choice(32, 64, 128),
}
"""In every search space; the domains where the space names none."""

AUGMENTATION_PARTS: dict[str, Parameter] = {
    "horizontal_flip": Float(0.0, 0.5),
    "vertical_flip": Float(0.0, 0.5),
    "rotation": Float(0.0, 30.0),
    "shift": Float(0.0, 0.2),
    "padded_crop": Float(0.0, 0.2),
    "scale": Float(0.0, 0.3),
    "crop_area": Float(0.1, 1.0),
    "crop_ratio": Float(1.0, 2.0),
    "brightness": Float(0.0, 0.4),
    "contrast": Float(0.0, 0.4),
    "saturation": Float(0.0, 0.4),
    "hue": Float(0.0, 0.1),
    "noise": Float(0.0, 0.1),
    "cutout": Float(0.0, 0.5),
    "mixup": Float(0.0, 0.4),
    "cutmix": Float(0.0, 1.0),
}
"""Parts of an augmentation, see `Policy` in `automl.data.augmentation`; each replaces that part of the chosen one."""

TECHNIQUES: dict[str, Parameter] = {
    "warmup": Float(0.0, 0.2),  # share of the training in which the learning rate rises linearly to its full value
    "unfreeze_at": Float(0.0, 0.5),  # share of the training in which only the head of a trained network learns
    "l1": Float(1e-7, 1e-3, log=True),
    "label_smoothing": Float(0.0, 0.2),
    "class_weights": Choice("none", "balanced"),
    "clip_norm": Float(0.1, 10.0, log=True),
    "clip_value": Float(0.01, 1.0, log=True),
    "ema": Float(0.9, 0.999),  # decay by step
    "scaling": Choice("standard", "robust", "quantile"),  # of a table's numbers
    "target_transform": Choice("none", "log"),  # of a regression
    "tta": Choice("none", "mirror"),  # of images
    **AUGMENTATION_PARTS,
}
"""Off, and absent from the config, where the space does not name them. The domains are what `space schema` suggests."""

KNOWN: dict[str, Parameter] = {**TRAINING, **TECHNIQUES}

LIMITS: dict[str, tuple[float, float]] = {
    "lr": (0.0, inf),
    "weight_decay": (0.0, inf),
    "batch_size": (1, inf),
    "warmup": (0.0, 1.0),
    "unfreeze_at": (0.0, 1.0),
    "l1": (0.0, inf),
    "label_smoothing": (0.0, 0.999),
    "clip_norm": (0.0, inf),
    "clip_value": (0.0, inf),
    "ema": (0.0, 0.99999),
    **BOUNDS,
}
"""The values that make sense, both ends included, also for a pinned one."""
