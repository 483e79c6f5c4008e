"""The networks of a trial's folds, each with the validation rows of its own fold, which it has not been trained on."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from automl.conclude.fitting import FoldModel
from automl.data.dataset import Dataset
from automl.models.modules import Standardised, outputs_of
from automl.racing.objective import Objective
from automl.training.metrics import measure
from automl.training.outputs import probabilities

Array = NDArray[Any]

PROBED = 256  # rows


@dataclass(frozen=True, eq=False)
class FoldNetwork:
    """The network of one fold, and rows that it has not seen: x [n, features] and their answers y.

    deviations: those of several targets, see `Dataset.deviations`.
    """

    number: int
    module: Standardised
    x: Array
    y: Array
    deviations: Array | None = None

    def outputs(self, x: Array) -> Array:
        """What the network says of samples, [n, outputs]: logits, or predictions in the targets' units."""
        return outputs_of(self.module, x)

    def probabilities(self, x: Array) -> Array:
        """The same of a classification as probabilities."""
        shares: Array = probabilities(torch.from_numpy(self.outputs(x)).double(), self.module.task).numpy()
        return shares

    def cost(self, x: Array, objective: Objective) -> float:
        """The objective as a cost, lower is better, with samples `x` in place of its own; NaN where it has none."""
        return self.cost_of(self.outputs(x), objective)

    def cost_of(self, outputs: Array, objective: Objective) -> float:
        """The cost of these outputs as answers for its rows."""
        return objective.cost(measure(objective.name, self.y, outputs, self.deviations))

    def draw(self, count: int, seed: int) -> FoldNetwork:
        """With so many of its rows at most, drawn with this seed."""
        if count >= len(self.x):
            return self
        rows = np.sort(np.random.default_rng((seed, self.number)).choice(len(self.x), count, replace=False))
        return replace(self, x=self.x[rows], y=self.y[rows])


def with_rows(models: Sequence[FoldModel], dataset: Dataset) -> list[FoldNetwork]:
    """The networks with the rows that they are validated on."""
    return [
        FoldNetwork(number, module, np.asarray(dataset.x[rows]), np.asarray(dataset.y[rows]), dataset.deviations)
        for number, module, rows in models
    ]


def seconds_per_row(network: FoldNetwork) -> float:
    """How long the network takes for a row, measured on a few; the first pass of a process is slow, and not counted."""
    x = np.resize(network.x, (PROBED, network.x.shape[1]))
    network.outputs(x[:1])
    started = time.perf_counter()
    network.outputs(x)
    return (time.perf_counter() - started) / PROBED


def draw_all(networks: Sequence[FoldNetwork], rows: int, seed: int) -> list[FoldNetwork]:
    """The networks with about so many rows in all, an equal part of each fold's."""
    share = rows / sum(len(network.x) for network in networks)
    return [network.draw(max(1, int(share * len(network.x))), seed) for network in networks]
