"""Which parameters told the best trials from the others: Optuna's PED-ANOVA, checked against chance."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import optuna

from automl.run.logs import quiet_optuna
from automl.spaces.space import Space

FEWEST = 20  # trials; with less, five good ones are too large a share of all
GOOD = 0.2
SHUFFLES = 19


@dataclass(frozen=True)
class Importances:
    """`shares` of each parameter, most important first, with the sum 1; over `trials` trials, `good` of them good.

    `left_out` parameters were active in too few trials. `beyond_chance`: the parameters whose importance is larger than
    in each of `SHUFFLES` shuffled rankings, as happens by chance to one parameter in twenty.
    """

    shares: Mapping[str, float]
    beyond_chance: frozenset[str]
    trials: int
    good: int
    left_out: int


def measure_importances(ranked: Sequence[Mapping[str, Any]], space: Space) -> Importances | None:
    """How much the parameters matter for being among the good trials; None for fewer than `FEWEST` trials.

    PED-ANOVA (Watanabe, Bansal and Hutter, 2023, arXiv:2304.10255) compares the distribution of each parameter among
    the good trials with that among all; Optuna's is the conditional one (arXiv:2601.20800), for which a parameter
    counts where it is active. It needs no scores, only who is better, so trials that stopped on different rungs can be
    ranked as the race ranked them. Parameters that are active in fewer than `FEWEST` trials are left out: on one run,
    one of twelve trials came out with 79 % of all importance, and with no less when the ranking was shuffled.

    ranked: the trials' configs, best first.
    """
    trials = [trial for trial in (_as_trial(config, rank, space) for rank, config in enumerate(ranked)) if trial]
    active = Counter(name for trial in trials for name in trial.params)
    params = [name for name, count in active.items() if count >= FEWEST]
    if not params:
        return None
    # Here and not above: it imports scikit-learn, which would delay every search by a second.
    from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

    with quiet_optuna():
        study = optuna.create_study(sampler=optuna.samplers.RandomSampler(0))
        study.add_trials(trials)
    good = max(5, round(GOOD * len(trials)))
    evaluator = PedAnovaImportanceEvaluator(target_quantile=good / len(trials))
    rng = np.random.default_rng(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # `normalize` is experimental; a parameter may be active in a single trial
        found = get_param_importances(study, evaluator=evaluator, params=params, normalize=False)
        highest = dict.fromkeys(found, 0.0)
        for _ in range(SHUFFLES):
            order = rng.permutation(len(trials)).tolist()
            shuffled = get_param_importances(
                study, evaluator=evaluator, params=params, normalize=False, target=partial(_shuffled_rank, order)
            )
            highest = {name: max(highest[name], shuffled[name]) for name in found}
    total = sum(found.values())
    if not total > 0:
        return None
    beyond = frozenset(name for name, value in found.items() if value > highest[name])
    shares = {name: value / total for name, value in found.items()}
    return Importances(shares, beyond, len(trials), good, len(active) - len(params))


def _shuffled_rank(order: Sequence[int], trial: optuna.trial.FrozenTrial) -> float:
    return float(order[trial.number])


def _as_trial(config: Mapping[str, Any], rank: int, space: Space) -> optuna.trial.FrozenTrial | None:
    """A trial with this config and its rank as the value; None for a config that is not of the space."""
    fixed = optuna.trial.FixedTrial(dict(config))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a value out of its range, from a trial that was enqueued
            space.suggest(fixed)  # type: ignore[arg-type]
        return optuna.trial.create_trial(params=fixed.params, distributions=fixed.distributions, value=float(rank))
    except (ValueError, KeyError):  # the trial broke off early, or a plugin has changed since
        return None
