"""The techniques of a search space that the data have a use for."""

from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np

from automl.data.dataset import Dataset
from automl.errors import SpaceError
from automl.spaces.domains import Domain
from automl.spaces.parameters import Parameter, Scalar
from automl.spaces.space import Config, Space

log = logging.getLogger("automl.space")

SKEWED = 1.0
"""Skewness from which on positive targets may be learnt by their logarithms: an exponential distribution has 2."""

OFF: dict[str, Scalar] = {
    "label_smoothing": 0.0,
    "class_weights": "none",
    "scaling": "standard",
    "target_transform": "none",
    "tta": "none",
}
"""Techniques that not all data have a use for, and the value that leaves each of them out."""


def keep_applicable(space: Space, dataset: Dataset) -> Space:
    """The space without the techniques that mean nothing for these data, if it lets them be left out.

    Raises `SpaceError` for one that it does not.
    """
    useless = {name: why for name in OFF if name in space.training and (why := _objection(name, dataset))}
    for name, why in useless.items():
        if not _holds(space.training[name], OFF[name]):
            raise SpaceError(f"training.{name}", f"{why}: leave it out")
        log.info("training.%s is left out: %s", name, why)
    if not useless:
        return space
    training = {name: domain for name, domain in space.training.items() if name not in useless}
    dropped = {f"train.{name}" for name in useless}
    first: list[Config] = []
    for config in space.first:
        kept = {key: value for key, value in config.items() if key not in dropped}
        if kept not in first:
            first.append(kept)
    return replace(space, training=training, first=tuple(first))


def _objection(name: str, dataset: Dataset) -> str:
    """Why the technique means nothing for the data; "" where it does."""
    if name in ("label_smoothing", "class_weights"):
        regression = dataset.task == "regression"
        return "only a classification has classes, and this is a regression" if regression else ""
    if name == "scaling":
        return "only a table has numbers to scale, and these are images" if dataset.kind == "image" else ""
    if name == "tta":
        return "only an image has a mirror image, and this is a table" if dataset.kind != "image" else ""
    if dataset.task != "regression":
        return "only a regression has numbers as its target, and this is a classification"
    y = dataset.y if dataset.test is None else dataset.y[~dataset.test]
    if (dataset.y <= 0).any():
        return f"only positive numbers have a logarithm, and a target is {dataset.y.min():g}"
    skewness = float((((y - y.mean(0)) / np.maximum(y.std(0), 1e-300)) ** 3).mean(0).min())
    return f"the targets are not skewed to large ones (skewness {skewness:.2g})" if skewness < SKEWED else ""


def _holds(domain: Domain, value: Scalar) -> bool:
    return domain.contains(value) if isinstance(domain, Parameter) else domain == value
