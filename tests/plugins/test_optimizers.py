"""The built-in optimizers take the steps that their papers write down."""

from __future__ import annotations

from typing import Any

import pytest
import torch

GRADIENTS = [2.0, -1.0, 0.5]
LR = 0.1


def steps(host: Any, name: str, weight_decay: float = 0.0, **config: Any) -> list[float]:
    """The weight after each of three steps from 1.0 with the gradients above."""
    weight = torch.nn.Parameter(torch.tensor([[1.0]]))
    optimizer = host.optimizer(name).build([{"params": [weight], "weight_decay": weight_decay}], LR, **config)
    values = []
    for gradient in GRADIENTS:
        weight.grad = torch.full((1, 1), gradient)
        optimizer.step()
        values.append(float(weight))
    return values


def by_hand(update: Any) -> list[float]:
    weight, values, state = 1.0, [], {}
    for gradient in GRADIENTS:
        weight -= update(gradient, state)
        values.append(weight)
    return values


def accumulated(state: dict[str, float], name: str, decay: float, value: float) -> float:
    state[name] = decay * state.get(name, 0.0) + value
    return state[name]


def test_sgd_without_momentum_is_plain(host: Any) -> None:
    expected = by_hand(lambda g, _: LR * g)
    assert steps(host, "sgd", momentum=0.0, nesterov=True) == pytest.approx(expected)


@pytest.mark.parametrize(("name", "config"), [("momentum", {}), ("sgd", {"nesterov": False})])
def test_heavy_ball_momentum(host: Any, name: str, config: Any) -> None:
    expected = by_hand(lambda g, s: LR * accumulated(s, "v", 0.9, g))
    assert steps(host, name, momentum=0.9, **config) == pytest.approx(expected)


@pytest.mark.parametrize(("name", "config"), [("nesterov", {}), ("sgd", {"nesterov": True})])
def test_nesterovs_momentum_looks_ahead(host: Any, name: str, config: Any) -> None:
    expected = by_hand(lambda g, s: LR * (g + 0.9 * accumulated(s, "v", 0.9, g)))
    assert steps(host, name, momentum=0.9, **config) == pytest.approx(expected)


def test_adagrad_divides_by_the_root_of_the_sum_of_squares(host: Any) -> None:
    expected = by_hand(lambda g, s: LR * g / accumulated(s, "n", 1.0, g * g) ** 0.5)
    assert steps(host, "adagrad") == pytest.approx(expected, rel=1e-6)


def test_rmsprop_divides_by_a_moving_average_and_adds_momentum(host: Any) -> None:
    def update(g: float, s: dict[str, float]) -> float:
        average = accumulated(s, "n", 0.9, 0.1 * g * g)
        return LR * accumulated(s, "v", 0.5, g / average**0.5)

    assert steps(host, "rmsprop", alpha=0.9, momentum=0.5) == pytest.approx(by_hand(update), rel=1e-6)


def test_adadelta_has_units_of_the_weight(host: Any) -> None:
    def update(g: float, s: dict[str, float]) -> float:
        average = accumulated(s, "g", 0.9, 0.1 * g * g)
        step = ((s.get("d", 0.0) + 1e-6) / (average + 1e-6)) ** 0.5 * g
        accumulated(s, "d", 0.9, 0.1 * step * step)
        return LR * step

    assert steps(host, "adadelta", rho=0.9) == pytest.approx(by_hand(update), rel=1e-5)


@pytest.mark.parametrize(
    "name", ["sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adadelta", "adam", "adamw", "muon"]
)
def test_every_one_takes_the_groups_weight_decay(host: Any, name: str) -> None:
    config = {key: parameter.corners()[0] for key, parameter in host.optimizer(name).parameters.items()}
    assert steps(host, name, weight_decay=0.5, **config) != steps(host, name, **config)
