"""Techniques that mean nothing for the data are left out where the space allows for that, and refused where not."""

from __future__ import annotations

import json

import numpy as np
import pytest

from automl.data.sources.arrays import from_arrays
from automl.errors import SpaceError
from automl.hooks.host import load_plugins
from automl.run.applicable import keep_applicable
from automl.spaces.merge import merge
from automl.spaces.space import Space
from automl.spaces.yaml_file import parse

X = np.random.default_rng(0).normal(size=(60, 3))
IMAGES = np.zeros((60, 4, 4), np.uint8)
SKEWED = np.random.default_rng(0).lognormal(3, 1, 60)


def space_of(**training: object) -> Space:
    document = {"architectures": {"linear": {}}, "training": training, "first": [{"architecture": "linear"}]}
    return merge(parse(json.dumps(document), "mine.yaml"), load_plugins().catalogue())


@pytest.mark.parametrize(
    ("y", "kept"), [(SKEWED, True), (SKEWED - SKEWED.min(), False), (X[:, 0] + 9, False), (np.arange(60) % 2, False)]
)
def test_a_logarithm_of_the_targets_is_tried_where_they_are_positive_and_skewed(y: np.ndarray, kept: bool) -> None:
    space = space_of(target_transform=["none", "log"])
    assert ("target_transform" in keep_applicable(space, from_arrays(X, y)).training) == kept


@pytest.mark.parametrize(
    ("training", "x", "y", "problem"),
    [
        ({"target_transform": "log"}, X, X[:, 0], "only positive numbers have a logarithm, and a target is -"),
        ({"target_transform": "log"}, X, np.arange(60) % 2, "only a regression has numbers as its target"),
        (
            {"scaling": "quantile"},
            np.zeros((60, 4, 4), np.uint8),
            np.arange(60) % 2,
            "only a table has numbers to scale",
        ),
        ({"tta": "mirror"}, X, SKEWED, "only an image has a mirror image"),
        ({"label_smoothing": 0.1}, X, SKEWED, "only a classification has classes"),
    ],
)
def test_what_cannot_be_left_out_is_refused(training: dict, x: np.ndarray, y: np.ndarray, problem: str) -> None:
    with pytest.raises(SpaceError, match=problem):
        keep_applicable(space_of(**training), from_arrays(x, y))
