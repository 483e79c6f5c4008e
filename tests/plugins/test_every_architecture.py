"""What every built-in architecture must do: build, train and save at each size, or say why it cannot."""

from __future__ import annotations

import dataclasses
import itertools
import re
from typing import Any

import pytest
import torch
from torch import nn

from automl import Choice, Float, Infeasible, Int, Text
from automl.hooks.configs import corner_configs
from automl.testing import check_architecture
from automl.training.losses import split_auxiliary

DIGITS, CIFAR, PHOTOS = (1, 8, 8), (3, 32, 32), (3, 224, 224)
ALL = ["linear", "mlp", "lenet", "alexnet", "vgg", "nin", "googlenet", "resnet", "resnet9", "airbench",
       "wideresnet", "densenet", "transfer", "efficientnet_lite", "timm"]  # fmt: skip
IMAGES = ALL[2:]
TABLES = ["tabm", "tabular_mlp", "tabular_resnet", "ft_transformer"]  # see test_table_networks.py
TOO_SMALL = {
    "alexnet": "alexnet: image 8x8 is too small: three poolings (3x3, stride 2) need 15x15",
    "vgg": "vgg: image 8x8 is too small: halved four times, it must have 16 pixels",
}
# The whole spaces take minutes. The quick tests leave out what is of many layers, and the corners of dropout.
QUICK = {
    "vgg": {"variant": Choice("vgg11"), "width": Float(0.0625, 0.25)},
    "resnet": {"variant": Choice("small")},
    "densenet": {"variant": Choice("cifar"), "depth": Int(2, 6, when={"variant": "cifar"})},
    "googlenet": {"width": Float(0.125, 0.25)},
    "resnet9": {"width": Int(16, 32, step=16)},
    "airbench": {"width": Int(16, 32, step=16)},
    "wideresnet": {"depth": Int(1, 2), "width": Int(1, 2)},
    "nin": {"width": Int(16, 96)},
    "transfer": {
        "backbone": Choice("shufflenet_v2_x1_0"),
        "size": Choice(32, when={"weights": "random"}),
        "backbone_lr_ratio": Float(0.1, 0.1, when={"tuning": ("all", "last")}),
    },
    "efficientnet_lite": {
        "variant": Choice("lite0"),
        "size": Choice(32),
        "backbone_lr_ratio": Float(0.1, 0.1, when={"tuning": ("all", "last")}),
        "stage_lr_ratio": Float(0.5, 0.5, when={"tuning": ("last", "all")}),
        "hidden": Choice(16),
    },
    "timm": {"network": Text("test_resnet"), "size": Choice(32)},
}
WITH_WEIGHTS = ("transfer", "efficientnet_lite", "timm")
RANDOM = {"weights": Text("random")}  # no downloads; what comes with weights is in test_transfer.py
SMALL: dict[str, dict[str, Any]] = {
    "linear": {"dropout": 0.0},
    "mlp": {"depth": 2, "width": 6, "activation": "sigmoid", "batch_norm": True, "dropout": 0.0},
    "lenet": {
        "width": 1,
        "kernel_size": 3,
        "activation": "relu",
        "pooling": "average",
        "batch_norm": True,
        "dropout": 0.0,
    },
    "alexnet": {"depth": 3, "width": 0.0625, "kernel_size": 3, "norm": "lrn", "dropout": 0.0},
    "vgg": {"variant": "vgg11", "width": 0.0625, "kernel_size": 3, "batch_norm": True, "dropout": 0.0},
    "nin": {"depth": 2, "width": 8, "kernel_size": 3, "batch_norm": True, "dropout": 0.0},
    "googlenet": {"width": 0.125, "kernel_size": 3, "auxiliary": False, "dropout": 0.0},
    "resnet9": {"width": 16, "dropout": 0.0},
    "airbench": {"width": 16, "dropout": 0.0},
    "resnet": {"variant": "cifar", "depth": 1, "width": 4, "kernel_size": 3, "dropout": 0.0},
    "wideresnet": {"depth": 1, "width": 1, "kernel_size": 3, "dropout": 0.0},
    "densenet": {"variant": "cifar", "depth": 2, "growth_rate": 4, "kernel_size": 3, "dropout": 0.0},
    "transfer": {"backbone": "shufflenet_v2_x1_0", "weights": "random", "size": 32, "tuning": "all", "dropout": 0.0},
    "efficientnet_lite": {
        "variant": "lite0",
        "weights": "random",
        "size": 32,
        "tuning": "all",
        "hidden": 0,
        "dropout": 0.0,
    },
    "timm": {"network": "test_resnet", "weights": "random", "size": 32, "tuning": "all", "hidden": 0, "dropout": 0.0},
}


def built_in(host: Any, name: str, **domains: Any) -> Any:
    """The architecture, with other domains for some parameters."""
    whole = host.architecture(name)
    domains = {**domains, **(RANDOM if name in WITH_WEIGHTS else {})}
    return dataclasses.replace(whole, parameters={**whole.parameters, **domains})


def size_for(name: str) -> tuple[int, ...]:
    return (1, 16, 16) if name in TOO_SMALL else DIGITS


def test_every_built_in_architecture_is_examined_here(host: Any) -> None:
    assert sorted(a for a in host.architectures if host.architecture(a).source.count("plugins")) == sorted(ALL + TABLES)


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize(
    "shape", [pytest.param(DIGITS, id="digits"), pytest.param(CIFAR, id="cifar", marks=pytest.mark.slow)]
)
def test_it_works_in_the_corners_of_its_space_or_says_why_not(host: Any, name: str, shape: tuple[int, ...]) -> None:
    architecture = built_in(host, name, dropout=Float(0.3, 0.3), **QUICK.get(name, {}))
    if shape == DIGITS and name in TOO_SMALL:
        with pytest.raises(AssertionError, match=f"no config is feasible.*{re.escape(TOO_SMALL[name])}"):
            check_architecture(architecture, shape, 10, random_configs=0)
    else:
        checks = check_architecture(architecture, shape, 10, random_configs=0)
        assert {c.outcome for c in checks} == {"ok"}


@pytest.mark.slow
@pytest.mark.parametrize("name", ALL)
def test_it_works_in_its_whole_space_or_says_why_not(host: Any, name: str) -> None:
    checks = check_architecture(built_in(host, name), size_for(name), 10)
    assert {c.outcome for c in checks if c.config.get("backbone") != "saved"} == {"ok"}


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 49, 61), PHOTOS], ids=str)
def test_shapes_fit_at_any_size_on_meta(host: Any, name: str, shape: tuple[int, ...]) -> None:
    architecture = built_in(host, name)
    smallest, largest = corner_configs(architecture.parameters)[:2]
    for config in (smallest, largest):
        if shape == (3, 49, 61) and config.get("auxiliary"):
            with pytest.raises(Infeasible, match="image 49x61 leaves less than 4x4 for the auxiliary classifiers"):
                architecture.build(shape, 10, **config)
            continue
        with torch.device("meta"), torch.no_grad():
            network = architecture.build(shape, 10, **config)
            output, auxiliary = split_auxiliary(network, network(torch.empty(2, *shape)))
        assert all(each.shape == (2, 10) for each in (output, *auxiliary))


@pytest.mark.parametrize("name", IMAGES)
def test_a_table_is_infeasible_before_anything_is_built(host: Any, name: str) -> None:
    with pytest.raises(Infeasible, match=rf"{name} needs images \(channels, height, width\), not the shape \(64,\)"):
        host.architecture(name).build((64,), 10, **SMALL[name])


@pytest.mark.parametrize("name", IMAGES)
def test_no_bias_is_trained_before_batch_norm_and_no_layer_works_in_place(host: Any, name: str) -> None:
    network = host.architecture(name).build(size_for(name), 3, **SMALL[name])
    modules = [m for m in network.modules() if not list(m.children())]
    pairs = [(a, b) for a, b in itertools.pairwise(modules) if isinstance(b, nn.BatchNorm2d)]
    assert pairs or name == "alexnet"  # its norm is of responses here
    convolutions = [a for a, _ in pairs if isinstance(a, nn.Conv2d)]
    assert not [a for a in convolutions if a.bias is not None and a.bias.requires_grad]
    assert not [m for m in modules if getattr(m, "inplace", False)]
