"""The start of a fully connected network suits its activation."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import nn

CONFIG = {"depth": 4, "width": 512, "batch_norm": False, "dropout": 0.0}


@pytest.mark.parametrize(
    ("activation", "variance"),
    [("relu", 2 / 400), ("gelu", 2 / 400), ("tanh", (5 / 3) ** 2 * 2 / 912), ("sigmoid", 16 * 2 / 912)],
)
def test_first_weights_have_kaimings_or_xaviers_variance(host: Any, activation: str, variance: float) -> None:
    torch.manual_seed(0)
    network = host.architecture("mlp").build((1, 20, 20), 10, activation=activation, **CONFIG)
    first = next(m for m in network.modules() if isinstance(m, nn.Linear))
    assert first.weight.std().item() == pytest.approx(math.sqrt(variance), rel=0.02)
    assert not first.bias.any()


@pytest.mark.parametrize("activation", ["relu", "gelu", "tanh", "sigmoid"])
def test_the_signal_neither_fades_nor_explodes_in_four_layers(host: Any, activation: str) -> None:
    torch.manual_seed(0)
    network = host.architecture("mlp").build((400,), 10, activation=activation, **CONFIG)
    hidden = nn.Sequential(*list(network.children())[:-1])
    with torch.no_grad():
        assert 0.05 < hidden(torch.randn(64, 400)).std(0).mean() < 2
