"""The networks are those of the papers: torchvision's, to the last parameter and the last logit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torchvision import models

PHOTO = (3, 224, 224)
RESNET = {"width": 64, "kernel_size": 3, "dropout": 0.0}
VGG = {"width": 1.0, "kernel_size": 3, "dropout": 0.5}
DENSENET = {"growth_rate": 32, "kernel_size": 3, "dropout": 0.0}
GOOGLENET = {"width": 1.0, "kernel_size": 3, "dropout": 0.2}

RESNETS = ("resnet18", "resnet34", "resnet50", "resnet101")
VGGS = ("vgg11", "vgg13", "vgg16", "vgg19")
NO_START = {"init_weights": False}  # torchvision's own start of GoogLeNet takes seconds

SAME: dict[str, tuple[str, dict[str, Any], Callable[[], nn.Module]]] = {
    **{name: ("resnet", {"variant": name, **RESNET}, getattr(models, name)) for name in RESNETS},
    **{name: ("vgg", {"variant": name, "batch_norm": False, **VGG}, getattr(models, name)) for name in VGGS},
    **{
        f"{name}_bn": ("vgg", {"variant": name, "batch_norm": True, **VGG}, getattr(models, f"{name}_bn"))
        for name in VGGS
    },
    **{
        name: ("densenet", {"variant": name, **DENSENET}, getattr(models, name))
        for name in ("densenet121", "densenet169")
    },
    "googlenet": (
        "googlenet",
        {"auxiliary": False, **GOOGLENET},
        lambda: models.googlenet(aux_logits=False, **NO_START),
    ),
    "googlenet with auxiliary heads": (
        "googlenet",
        {"auxiliary": True, **GOOGLENET},
        lambda: models.googlenet(aux_logits=True, **NO_START),
    ),
}

PUBLISHED: list[tuple[str, dict[str, Any], tuple[int, ...], int, int]] = [
    ("alexnet", {"depth": 3, "width": 1.0, "kernel_size": 5, "norm": "lrn", "dropout": 0.5}, PHOTO, 1000, 62_378_344),
    (
        "lenet",
        {
            "width": 1,
            "kernel_size": 5,
            "activation": "tanh",
            "pooling": "average",
            "batch_norm": False,
            "dropout": 0.0,
        },
        (1, 32, 32),
        10,
        61_706,
    ),
    (
        "nin",
        {"depth": 3, "width": 192, "kernel_size": 5, "batch_norm": False, "dropout": 0.5},
        (3, 32, 32),
        10,
        966_986,
    ),
    (
        "densenet",
        {"variant": "cifar", "depth": 16, "growth_rate": 12, "kernel_size": 3, "dropout": 0.0},
        (3, 32, 32),
        10,
        769_162,
    ),
    *(
        ("wideresnet", {"depth": depth, "width": width, "kernel_size": 3, "dropout": 0.3}, (3, 32, 32), 10, parameters)
        for depth, width, parameters in ((2, 2, 691_674), (4, 10, 36_479_194), (6, 2, 2_243_546))
    ),
]


def count(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


@pytest.mark.parametrize("network", SAME)
def test_the_parameters_are_as_many_and_of_the_same_shapes_as_torchvisions(host: Any, network: str) -> None:
    name, config, theirs = SAME[network]
    with torch.device("meta"):
        ours, reference = host.architecture(name).build(PHOTO, 1000, **config), theirs()
    assert count(ours) == count(reference)
    assert [p.shape for p in ours.parameters()] == [p.shape for p in reference.parameters()]


@pytest.mark.parametrize(("name", "config", "shape", "outputs", "parameters"), PUBLISHED, ids=[p[0] for p in PUBLISHED])
def test_the_parameters_are_as_many_as_the_authors(
    host: Any, name: str, config: dict[str, Any], shape: tuple[int, ...], outputs: int, parameters: int
) -> None:
    with torch.device("meta"):
        assert count(host.architecture(name).build(shape, outputs, **config)) == parameters


@pytest.mark.parametrize(
    ("depth", "millions"),
    [(3, "0.27"), (5, "0.46"), (7, "0.66"), (9, "0.85"), (18, "1.73")],
    ids=lambda value: str(value),
)
def test_the_cifar_resnets_have_6n_plus_2_layers_and_the_papers_parameters(
    host: Any, depth: int, millions: str
) -> None:
    config = {"variant": "cifar", "depth": depth, "width": 16, "kernel_size": 3, "dropout": 0.0}
    with torch.device("meta"):
        network = host.architecture("resnet").build((3, 32, 32), 10, **config)
    # The paper's shortcuts have no parameters (option A); ours project (option B).
    own = {name: p for name, p in network.named_parameters() if "shortcut" not in name}
    assert sum(p.ndim > 1 for p in own.values()) == 6 * depth + 2
    assert f"{sum(p.numel() for p in own.values()) / 1e6:.2f}" == millions


def randomise(network: nn.Module) -> None:
    """Weights that let every tensor count: norms are neither the identity nor is any bias zero."""
    generator = torch.Generator().manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_mean is not None
            assert module.running_var is not None
            module.running_mean.normal_(0, 0.1, generator=generator)
            module.running_var.uniform_(0.5, 1.5, generator=generator)
            module.weight.data.uniform_(0.5, 1.0, generator=generator)
            module.bias.data.normal_(0, 0.1, generator=generator)
        elif isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight, generator=generator)
            if module.bias is not None:
                module.bias.data.normal_(0, 0.1, generator=generator)


@pytest.mark.parametrize("network", ["resnet18", "vgg16_bn", "densenet121", "googlenet with auxiliary heads"])
def test_torchvisions_weights_give_torchvisions_logits(host: Any, network: str) -> None:
    name, config, theirs = SAME[network]
    torch.manual_seed(0)
    with torch.no_grad():
        reference = theirs().eval()
        randomise(reference)
        with torch.device("meta"):
            ours = host.architecture(name).build(PHOTO, 1000, **config).eval()
        # Both hold their tensors in the order in which the signal passes them, under other names.
        weights = zip(ours.state_dict(), reference.state_dict().values(), strict=True)
        ours.load_state_dict(dict(weights), assign=True)
        x = torch.randn(2, *PHOTO)
        expected = reference(x)
        assert (expected[0] - expected[1]).abs().max() > 1e-2  # the images are told apart
        torch.testing.assert_close(ours(x), expected, atol=1e-5, rtol=1e-5)
