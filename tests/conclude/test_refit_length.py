"""How many epochs a schedule of its own has whose learning rates add up to those of the epochs that were scored."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from automl.conclude.refit_length import rates_until, refit_length


def length(make_recipe: Any, schedule: str, epochs: int, horizon: int) -> int:
    return refit_length(lambda laid_out: make_recipe(schedule=schedule, epochs=laid_out), epochs, horizon)


def test_the_rates_of_a_cosine_add_up_to_the_integral_of_the_cosine(make_recipe: Any) -> None:
    ends = np.arange(1, 21)
    integral = (ends + 20 / math.pi * np.sin(math.pi * ends / 20)) / 2
    np.testing.assert_allclose(rates_until(make_recipe(schedule="cosine", lr=1.0, epochs=20)) / 8, integral, rtol=0.08)


@pytest.mark.parametrize(("epochs", "horizon", "found"), [(4, 45, 8), (13, 60, 25), (10, 12, 12), (20, 20, 20)])
def test_a_cosine_is_about_twice_as_long_while_its_rate_is_high_and_no_longer_than_the_whole(
    make_recipe: Any, epochs: int, horizon: int, found: int
) -> None:
    assert length(make_recipe, "cosine", epochs, horizon) == found


@pytest.mark.parametrize("schedule", ["constant", "plateau"])
def test_a_rate_that_stays_asks_for_as_many_epochs(make_recipe: Any, schedule: str) -> None:
    assert length(make_recipe, schedule, 4, 45) == 4


@pytest.mark.parametrize("schedule", ["step", "multi_step", "exponential", "cosine", "one_cycle"])
@pytest.mark.parametrize("epochs", [1, 5, 20, 29])
def test_of_any_schedule_it_is_the_shortest_that_learns_as_much(make_recipe: Any, schedule: str, epochs: int) -> None:
    found = length(make_recipe, schedule, epochs, 30)
    wanted = rates_until(make_recipe(schedule=schedule, epochs=30))[epochs - 1]
    sums = {n: rates_until(make_recipe(schedule=schedule, epochs=n))[-1] for n in (found - 1, found) if n}
    assert epochs <= found <= 30
    assert found == 30 or sums[found] >= wanted * (1 - 1e-6)
    assert found == epochs or sums[found - 1] < wanted


@pytest.mark.parametrize(("epochs", "horizon"), [(40, 10_000), (5_000, 100_000)])
def test_of_an_endless_schedule_few_epochs_are_looked_at(make_recipe: Any, epochs: int, horizon: int) -> None:
    laid_out: list[int] = []

    def recipe_for(length: int) -> Any:
        laid_out.append(length)
        return make_recipe(schedule="cosine", epochs=length)

    assert refit_length(recipe_for, epochs, horizon) == pytest.approx(2 * epochs, rel=0.01)
    assert sum(sorted(laid_out)[:-1]) < 100_000  # of the horizon's own only the first epochs are
