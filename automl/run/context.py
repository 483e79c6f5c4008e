"""What a search stands on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from automl.data.dataset import Dataset
from automl.data.resident import Resident
from automl.data.splits import Splits
from automl.hooks.host import PluginHost
from automl.racing.curves import Curves
from automl.racing.ladder import Ladder
from automl.racing.objective import Objective
from automl.settings import Settings
from automl.spaces.space import Space
from automl.training.recipe import Recipe
from automl.training.run import TrialRun
from automl.training.seeds import derive_seed


@dataclass(frozen=True)
class SearchContext:
    """The checked ingredients of a search. Its workers share out the `devices`; `device` is the first, for all else.

    `default_space` names the built-in space that the data chose; None where the user did.
    """

    settings: Settings
    host: PluginHost
    dataset: Dataset
    splits: Splits
    space: Space
    ladder: Ladder
    device: torch.device
    precision: torch.dtype
    devices: tuple[torch.device, ...]
    default_space: str | None = None

    @property
    def fused(self) -> bool:
        """Whether the folds of a trial advance together, on a GPU as one CUDA graph."""
        executor = self.settings.executor
        return executor == "fused" or (executor == "auto" and self.device.type == "cuda")

    @property
    def objective(self) -> Objective:
        """What is optimised."""
        return Objective.of(self.dataset.task, self.settings.metric)

    def resident(self, features: Path | None = None) -> Resident:
        """The data on the device of this search. `features`: the folder for those of frozen parts of networks."""
        return Resident(self.dataset, self.device, features)

    def no_curves(self) -> Curves:
        """The curves of a trial that was not trained yet."""
        return Curves(self.settings.folds, self.settings.epochs, self.objective)

    def trial_run(
        self,
        config: Mapping[str, Any],
        number: int,
        resident: Resident,
        *,
        fused: bool,
        tick: Callable[[], None] = lambda: None,
    ) -> TrialRun:
        """The training of trial `number` with `config` on the folds. Raises as `TrialRun` does."""
        settings, splits = self.settings, self.splits
        return TrialRun(
            Recipe.from_config(config, self.host, settings.epochs),
            resident,
            [(splits.train(fold), splits.validation(fold)) for fold in range(splits.folds)],
            seed=derive_seed(settings.seed, "trial", number),
            precision=self.precision,
            max_params=settings.max_params,
            objective=self.objective,
            fused=fused,
            tick=tick,
        )
