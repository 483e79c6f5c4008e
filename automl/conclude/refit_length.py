"""How long a refit is whose score came from an epoch before the end of its schedule, with the learning rate still high.

It gets a schedule that comes to its end, so long that its learning rates add up to what they had added up to at that
epoch: the weights move about as far, and then come to rest. Of a cosine that is up to twice as many epochs; of a
constant rate as many.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from torch import nn
from torch.optim.lr_scheduler import ReduceLROnPlateau

from automl.training.recipe import Recipe

STEPS = 8  # of an epoch, by which rates are added up
MANY = 1_000  # epochs; of more than that several are taken for one, as a step of each would take minutes


def refit_length(recipe_for: Callable[[int], Recipe], epochs: int, horizon: int) -> int:
    """The epochs of a schedule of its own, `epochs` to `horizon`, for what was scored after `epochs` of `horizon`.

    `recipe_for` has the recipe laid out for so many epochs. Raises what the plugins' builders raise.
    """
    if (several := epochs // MANY) > 1:
        found = several * refit_length(recipe_for, epochs // several, horizon // several)
        return max(epochs, min(found, horizon))
    wanted = rates_until(recipe_for(horizon), epochs)[-1] * (1 - 1e-9)

    def learnt(length: int) -> float:
        return float(rates_until(recipe_for(length))[-1])

    longest = epochs
    while longest < horizon and learnt(longest) < wanted:
        longest = min(2 * longest, horizon)
    shortest = max(epochs, longest // 2)
    return shortest + bisect_left(range(shortest, longest), wanted, key=learnt)


def rates_until(recipe: Recipe, epochs: int | None = None) -> NDArray[np.float64]:
    """The sum of the learning rates of all steps until the end of each of the first `epochs`, by default of all,
    [epochs]; 8 steps stand for an epoch.

    A plateau schedule, which waits for validation losses, keeps its rate.
    """
    optimizer = recipe.build_optimizer(nn.Linear(1, 1))
    schedule = recipe.build_schedule(optimizer, STEPS)
    rates = []
    for _ in range((recipe.epochs if epochs is None else epochs) * STEPS):
        rates.append(float(optimizer.param_groups[0]["lr"]))
        optimizer.step()
        if not isinstance(schedule, ReduceLROnPlateau):
            schedule.step()
    return np.cumsum(rates)[STEPS - 1 :: STEPS]
