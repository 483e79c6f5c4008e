"""The built-in schedules, laid out for a whole training."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

EPOCHS, STEPS = 4, 5  # 20 steps in all


def rates(host: Any, name: str, **config: Any) -> list[float]:
    """The learning rate of each step, from 1.0; the second group has a tenth of it throughout."""
    optimizer = torch.optim.SGD(
        [{"params": [torch.nn.Parameter(torch.zeros(1))]}, {"params": [torch.nn.Parameter(torch.zeros(1))], "lr": 0.1}],
        lr=1.0,
    )
    schedule = host.schedule(name).build(optimizer, EPOCHS, STEPS, **config)
    found = []
    for _ in range(EPOCHS * STEPS):
        found.append(optimizer.param_groups[0]["lr"])
        assert optimizer.param_groups[1]["lr"] == pytest.approx(found[-1] / 10)
        optimizer.step()
        schedule.step()
    return found


def test_step_drops_at_even_distances(host: Any) -> None:
    assert rates(host, "step", drops=3, gamma=0.5) == pytest.approx([1.0] * 5 + [0.5] * 5 + [0.25] * 5 + [0.125] * 5)


def test_multi_step_drops_at_its_milestones(host: Any) -> None:
    assert rates(host, "multi_step", milestones="50 75", gamma=0.1) == pytest.approx(
        [1.0] * 10 + [0.1] * 5 + [0.01] * 5
    )


def test_exponential_falls_evenly_to_its_final_share(host: Any) -> None:
    assert rates(host, "exponential", final=0.01) == pytest.approx([0.01 ** (step / 20) for step in range(20)])


def test_cosine_is_half_a_cosine(host: Any) -> None:
    assert rates(host, "cosine") == pytest.approx([(1 + math.cos(math.pi * step / 20)) / 2 for step in range(20)])


def test_constant_is_constant(host: Any) -> None:
    assert rates(host, "constant") == [1.0] * 20


def test_one_cycle_rises_to_the_learning_rate_and_falls_to_almost_nothing(host: Any) -> None:
    found = rates(host, "one_cycle", rise=0.25)
    assert found[0] == pytest.approx(1 / 25)
    assert max(found) == pytest.approx(1.0, abs=0.01)
    assert found.index(max(found)) == 5  # a quarter of 20 steps
    assert found[5:] == sorted(found[5:], reverse=True)
    assert found[-1] < 0.02
