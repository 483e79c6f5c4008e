"""The first trials have the configs that the search space begins with, whatever the sampler."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, TrialState


class FirstConfigs(BaseSampler):
    """Gives the trials of the lowest numbers the values of `first`; what these leave out is drawn at random.

    All others are `inner`'s alone: a grid does not count the first trials among its points.

    Args:
        inner: the sampler of all later trials.
        first: the configs, by full names.
        seed: of what they leave out.
    """

    def __init__(self, inner: BaseSampler, first: Sequence[Mapping[str, Any]], seed: int):
        self.inner = inner
        self.first = first
        self._random = optuna.samplers.RandomSampler(seed=seed)

    def _sampler(self, trial: FrozenTrial) -> BaseSampler:
        return self._random if trial.number < len(self.first) else self.inner

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """As Optuna's."""
        return self._sampler(trial).infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """As Optuna's."""
        return self._sampler(trial).sample_relative(study, trial, search_space)

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """As Optuna's, but for the values of the first configs."""
        known = self.first[trial.number] if trial.number < len(self.first) else {}
        if param_name in known:
            return known[param_name]
        return self._sampler(trial).sample_independent(study, trial, param_name, param_distribution)

    def before_trial(self, study: optuna.Study, trial: FrozenTrial) -> None:
        """As Optuna's."""
        self._sampler(trial).before_trial(study, trial)

    def after_trial(
        self, study: optuna.Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None
    ) -> None:
        """As Optuna's."""
        self._sampler(trial).after_trial(study, trial, state, values)
