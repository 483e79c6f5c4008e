"""Batches and epochs that fit the data: of few samples, large batches make an epoch of a step or two."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

from automl.spaces.domains import Domain
from automl.spaces.parameters import Choice, Int
from automl.spaces.space import Space

FEWEST_STEPS = 5  # in an epoch
SMALLEST = 16  # samples in a batch: the statistics of BatchNorm need some
TRAINING_STEPS = 200  # in a whole training

_BATCH = "train.batch_size"


def fit_batches(space: Space, samples: int) -> Space:
    """The space with those of its batch sizes that leave `FEWEST_STEPS` steps to an epoch of `samples`.

    Where none does, the largest power of two that does, but not less than `SMALLEST`. A single batch size was pinned on
    purpose, and stays.
    """
    domain = space.training["batch_size"]
    most = max(SMALLEST, samples // FEWEST_STEPS)
    if isinstance(domain, Choice):
        sizes = [cast(int, size) for size in domain.values if cast(int, size) <= most]
        fitted: Domain = Choice(*sizes, when=domain.when) if len(sizes) > 1 else sizes[0] if sizes else _power(most)
        if len(sizes) == len(domain.values):
            return space
    elif isinstance(domain, Int) and domain.high > most:
        low = min(domain.low, _power(most))
        fitted = Int(low, most, log=domain.log, step=domain.step, when=domain.when) if low < most else low
    else:
        return space
    largest = largest_batch(fitted)
    first = tuple(
        {**config, _BATCH: min(cast(int, config[_BATCH]), largest)} if _BATCH in config else config
        for config in space.first
    )
    return replace(space, training={**space.training, "batch_size": fitted}, first=first)


def fit_epochs(space: Space, samples: int, epochs: int) -> int:
    """Epochs in which a training with the smallest batches takes `TRAINING_STEPS` steps, and no less than `epochs`."""
    steps = max(1, samples // smallest_batch(space.training["batch_size"]))
    return max(epochs, -(-TRAINING_STEPS // steps))


def largest_batch(domain: Domain) -> int:
    """The largest size in a domain of batches."""
    return _sizes(domain)[-1]


def smallest_batch(domain: Domain) -> int:
    """The smallest size in a domain of batches."""
    return _sizes(domain)[0]


def _sizes(domain: Domain) -> list[int]:
    if isinstance(domain, Choice):
        return sorted(cast(int, size) for size in domain.values)
    return [domain.low, domain.high] if isinstance(domain, Int) else [cast(int, domain)]


def _power(most: int) -> int:
    return 1 << (most.bit_length() - 1)
