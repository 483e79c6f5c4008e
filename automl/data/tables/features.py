"""What the samples of a table consist of, and what a network is given of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class InputColumn:
    """One column of a table as a network gets it, in a batch float32 [batch, columns].

    A number has mean 0 and deviation 1. A category is one of the codes 0, 1, ..., cardinality - 1 as a float; 0 stands
    for a missing value and for every value that is rare or was not there in training.
    """

    name: str
    kind: Literal["number", "category"]
    cardinality: int = 0


@dataclass(frozen=True)
class Feature:
    """One column of a data set's samples [n, features].

    A number stands in its own units; NaN for a missing one. A category is a code as in `InputColumn`. missing: whether
    a value was missing where it was learnt; then a network is given a further input that says so.
    """

    name: str
    kind: Literal["number", "category"] = "number"
    cardinality: int = 0
    missing: bool = False


def input_columns(features: Sequence[Feature]) -> tuple[InputColumn, ...]:
    """What a network is given: each of the features, then for each number with missing values whether it is missing."""
    own = [InputColumn(feature.name, feature.kind, feature.cardinality) for feature in features]
    flags = [InputColumn(f"{features[place].name} is missing", "number") for place in flagged(features)]
    return (*own, *flags)


def flagged(features: Sequence[Feature]) -> list[int]:
    """The places of the features with an input of their own that says whether they are missing."""
    return [place for place, feature in enumerate(features) if feature.kind == "number" and feature.missing]


def numbers(count: int, missing: Sequence[int] = ()) -> tuple[Feature, ...]:
    """The features of an array [n, count] without names; `missing` are the places of those with missing values."""
    return tuple(Feature(f"x{place}", missing=place in missing) for place in range(count))
