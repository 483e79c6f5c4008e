"""A small catalogue in plain dicts, as the plugin host would hand it over, for the tests of search spaces."""

from __future__ import annotations

from automl.spaces.merge import merge
from automl.spaces.parameters import Choice, Float, Int
from automl.spaces.space import Catalogue, Space
from automl.spaces.yaml_file import parse

CATALOGUE = Catalogue(
    architectures={
        "lenet": {"width": Int(4, 16, step=4), "dropout": Float(0.0, 0.6)},
        "resnet": {
            "depth": Int(1, 5),
            "kernel_size": Choice(3, 5),
            "norm": Choice("batch", "group", None),
            "groups": Int(2, 8, when={"norm": "group"}),
            "bias": Choice(True, False),
        },
        "linear": {},
    },
    optimizers={"sgd": {"momentum": Float(0.0, 0.99), "nesterov": Choice(True, False)}, "adam": {}},
    schedules={"constant": {}, "step": {"gamma": Float(0.1, 0.9, step=0.1)}},
    augmentations={"none": {}, "light": {}, "blur": {"sigma": Float(0.5, 2.0)}},
)


def merged(text: str | None = None, *overrides: str, architectures: tuple[str, ...] = ()) -> Space:
    document = None if text is None else parse(text, "space.yaml")
    return merge(document, CATALOGUE, architectures=architectures, overrides=overrides)
