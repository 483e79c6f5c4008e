"""The grid of a search space, and Optuna's sampler that visits its points."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import optuna
from optuna.trial import FrozenTrial, TrialState

from automl.errors import SettingsError
from automl.spaces.parameters import Choice, Float, Int
from automl.spaces.space import Space

GRID_LIMIT = 100_000
GRID_STEPS = 3  # points for a range in a grid: both ends and the middle


def make_grid(space: Space) -> dict[str, list[Any]]:
    """All values of choices, both ends and the middle of each range. Raises `SettingsError` above 100,000 points."""
    grid: dict[str, list[Any]] = {}
    for name, domain in space.parameters().items():
        if isinstance(domain, Choice):
            grid[name] = list(domain.values)
        elif isinstance(domain, Int | Float):
            ends = (math.log(domain.low), math.log(domain.high)) if domain.log else (domain.low, domain.high)
            points = np.linspace(*ends, GRID_STEPS)
            values = [float(v) for v in (np.exp(points) if domain.log else points)]
            # The ends are given back exactly, for exp(log(x)) may lie outside the domain.
            values[0], values[-1] = domain.low, domain.high
            values[1] = _on_grid(values[1], domain)
            grid[name] = sorted(set(values))
    size = math.prod(len(values) for values in grid.values())
    if size > GRID_LIMIT:
        raise SettingsError(
            f"--sampler grid: the space has {size:,} grid points, more than {GRID_LIMIT:,}; pin parameters with --set "
            "or use --sampler tpe"
        )
    return grid


def _on_grid(value: float, domain: Int | Float) -> float:
    """The value of the domain that lies nearest to `value`."""
    if domain.step is None:
        return value
    steps = round((value - domain.low) / domain.step)
    # Rounded, for 3 * 0.1 is not 0.3.
    return domain.low + steps * domain.step if isinstance(domain, Int) else round(domain.low + steps * domain.step, 12)


class Grid(optuna.samplers.GridSampler):
    """Optuna's, without the wish to stop at the end of the grid: outside of `optimize` that is an error.

    A visited point is remembered by its number, so the `order` must be the same for all workers and sessions; `draws`
    seeds which of those that are left comes next.
    """

    def __init__(self, grid: Mapping[str, Sequence[Any]], order: int, draws: int):
        super().__init__(grid, seed=order)
        self._rng.rng.seed(draws)

    def after_trial(
        self, study: optuna.Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None
    ) -> None:
        """Nothing: the search has its own budget."""
