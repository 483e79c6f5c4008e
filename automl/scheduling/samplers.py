"""Optuna's samplers by name, and the view of the study that lets them learn from trials which still race."""

from __future__ import annotations

import copy
import math
from collections import Counter
from collections.abc import Callable, Container, Mapping, Sequence
from typing import Any, cast

import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from automl.errors import SettingsError
from automl.racing.race import Race
from automl.run.logs import quiet_optuna
from automl.scheduling.first_configs import FirstConfigs
from automl.scheduling.grid import Grid, make_grid
from automl.spaces.space import Space
from automl.training.seeds import derive_seed

STARTUP = 10  # trials drawn at random before a sampler begins to learn: Optuna's default
EACH_FIRST = 2  # of them at least of each architecture
LEARNT_FROM, BEST = 500, 100  # trials that a sampler is shown at most, and how many of them are the best

Standings = Callable[[], Mapping[int, Mapping[int, float]]]
"""By trial number and rung, the scores of all trials that have reached one, as costs: lower is better."""

Shown = Mapping[int, tuple[int, float]]
"""By trial number, the rung and the cost by which a sampler is shown a trial."""


def standings_of(race: Race) -> Standings:
    """The scores of the trials in `race`, now and later."""
    return lambda: {trial: standing.scores for trial, standing in race.standings.items() if standing.scores}


def at_their_last_rung(standings: Mapping[int, Mapping[int, float]]) -> Shown:
    """Each trial as it stands, for a sampler that ranks those of a higher rung before the others."""
    return {trial: max(scores.items()) for trial, scores in standings.items()}


def at_one_rung(standings: Mapping[int, Mapping[int, float]], enough: int) -> Shown:
    """The trials at the highest rung that `enough` of them have reached (else at the lowest), by their scores there.

    For a sampler that takes all scores for alike: those after one epoch and after twenty are not (so does BOHB, Falkner
    et al., 2018).
    """
    reached = Counter(rung for scores in standings.values() for rung in scores)
    rung = max((rung for rung, trials in reached.items() if trials >= enough), default=0)
    return {trial: (rung, scores[rung]) for trial, scores in standings.items() if rung in scores}


def make_sampler(name: str, seed: int, worker: int, trials: int, space: Space, standings: Standings) -> BaseSampler:
    """The sampler `tpe`, `random`, `grid`, `gp` or `cmaes`, seeded by (seed, worker, trials so far).

    A seed that were the same after a restart would repeat the same draws. Raises `SettingsError` when the sampler's
    package is missing or the grid too large.
    """
    number = derive_seed(seed, "sampler", worker, trials) % 2**32
    sampler = _make_inner(name, seed, number, space, standings)
    if not space.first:
        return sampler
    return FirstConfigs(sampler, space.first, derive_seed(seed, "first", worker, trials) % 2**32)


def _make_inner(name: str, seed: int, number: int, space: Space, standings: Standings) -> BaseSampler:
    """The sampler of all trials but the first; `number` seeds its draws."""
    families = sorted(space.architectures)
    startup = max(STARTUP, len(space.first) + EACH_FIRST * len(families))
    if name == "random":
        return optuna.samplers.RandomSampler(seed=number)
    if name == "grid":
        return Grid(make_grid(space), order=derive_seed(seed, "grid") % 2**32, draws=number)
    if name == "gp":
        gp = optuna.samplers.GPSampler(seed=number, n_startup_trials=startup)
        return WatchingSampler(gp, standings, families, one_rung=startup)
    if name == "cmaes":
        try:
            import cmaes  # noqa: F401
        except ImportError:
            raise SettingsError("--sampler cmaes needs the package cmaes: pip install 'automl[cmaes]'") from None
        return optuna.samplers.CmaEsSampler(seed=number, warn_independent_sampling=False)
    with quiet_optuna():
        tpe = optuna.samplers.TPESampler(multivariate=True, group=True, seed=number, n_startup_trials=startup)
    return WatchingSampler(tpe, standings, families)


class WatchingSampler(BaseSampler):
    """Lets `inner` see the trials of a race by their scores at the rungs.

    For Optuna a trial that waits for its promotion is RUNNING, and samplers do not learn from running trials. In a race
    nearly all trials wait until the end, so a sampler without this view would draw at random all along. What it is
    shown of a trial stays the same when the trial ends, and after a restart.

    First each of the `families` (architectures) gets its turns: what was never drawn is never learnt about.

    Args:
        inner: learns from the trials that it is shown and draws the configs.
        standings: the scores in the race.
        families: the names of the architectures.
        one_rung: None: trials are shown as pruned at their last rung, unless they are COMPLETE. A number: as COMPLETE,
            all at the highest rung that so many have reached, and those alone; without what broke off or overfitted.
    """

    def __init__(
        self, inner: BaseSampler, standings: Standings, families: Sequence[str] = (), one_rung: int | None = None
    ):
        self.inner = inner
        self.standings = standings
        self.families = families
        self.one_rung = one_rung
        self._newest: _StudyView | None = None
        self._thinned = _Thinned()
        self._every_family_drawn = not families

    def _view(self, study: optuna.Study, trial: FrozenTrial) -> optuna.Study:
        """The study as it was when the first parameter of this trial was asked for: it is asked many times."""
        if self._newest is None or not self._newest.is_of(study, trial):
            sign = -1 if study.direction == StudyDirection.MAXIMIZE else 1
            self._newest = _StudyView(study, trial, self._shown(study, sign))
        return cast(optuna.Study, self._newest)

    def _shown(self, study: optuna.Study, sign: int) -> list[FrozenTrial]:
        trials, standings = study.get_trials(deepcopy=False), self.standings()
        if self.one_rung is None:
            shown = at_their_last_rung(standings)
            return [_as_pruned(trial, shown, sign) for trial in self._thinned(trials, shown, sign)]
        sound = {trial.number for trial in trials if trial.state != TrialState.FAIL and not _is_violated(trial)}
        shown = at_one_rung({number: standings[number] for number in standings if number in sound}, self.one_rung)
        there = [trial for trial in trials if trial.number in shown]
        return [_as_complete(trial, shown, sign) for trial in self._thinned(there, shown, sign)]

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """As Optuna's."""
        return self.inner.infer_relative_search_space(self._view(study, trial), trial)

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """As Optuna's."""
        return self.inner.sample_relative(self._view(study, trial), trial, search_space)

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """As Optuna's, but for the architectures of the first trials."""
        if param_name == "architecture" and not self._every_family_drawn:
            drawn = Counter(t.params.get(param_name) for t in study.get_trials(deepcopy=False))
            least = min(self.families, key=lambda family: drawn[family])
            if drawn[least] < EACH_FIRST:
                return least
            self._every_family_drawn = True
        return self.inner.sample_independent(self._view(study, trial), trial, param_name, param_distribution)


def _as_pruned(trial: FrozenTrial, shown: Shown, sign: int) -> FrozenTrial:
    """The trial, if it is not COMPLETE, as pruned at its rung; `sign`: -1 where greater values are better, else 1."""
    racing = trial.state == TrialState.RUNNING and trial.number in shown
    if trial.state != TrialState.PRUNED and not racing:
        return trial
    seen = copy.copy(trial)
    seen.state = TrialState.PRUNED
    # By the rung alone: what was reported epoch by epoch since says less than the score that the race goes by.
    seen.intermediate_values = {}
    if trial.number in shown:
        rung, cost = shown[trial.number]
        seen.value = sign * cost
        seen.intermediate_values = {rung + 1: sign * cost}
    return seen


def _as_complete(trial: FrozenTrial, shown: Shown, sign: int) -> FrozenTrial:
    """The trial as COMPLETE with its score at the rung."""
    seen = copy.copy(trial)
    seen.state = TrialState.COMPLETE
    seen.value = sign * shown[trial.number][1]
    return seen


def _is_violated(trial: FrozenTrial) -> bool:
    return any(violation > 0 for violation in trial.constraints.values())


class _StudyView:
    """A study with the trials `shown`: as it was in the moment in which `trial` was begun."""

    def __init__(self, study: optuna.Study, trial: FrozenTrial, shown: list[FrozenTrial]):
        self._real = study
        self._for = trial.number
        self._shown = shown

    def is_of(self, study: optuna.Study, trial: FrozenTrial) -> bool:
        """Whether this is how the study looks for the trial."""
        return self._real is study and self._for == trial.number

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    @property
    def trials(self) -> list[FrozenTrial]:
        return self._get_trials()

    def get_trials(self, deepcopy: bool = True, states: Container[TrialState] | None = None) -> list[FrozenTrial]:
        return self._get_trials(deepcopy, states)

    def _get_trials(
        self, deepcopy: bool = True, states: Container[TrialState] | None = None, use_cache: bool = False
    ) -> list[FrozenTrial]:
        return [trial for trial in self._shown if states is None or trial.state in states]


class _Thinned:
    """Which of more than `LEARNT_FROM` trials are shown: chosen anew when there are 2 % more, and all newer ones.

    The best `BEST`, and others in even distances. For each draw a sampler takes time for every trial that it is shown,
    and TPE, which takes the best 25 as good, needs no more than some hundreds to know where the bad ones are.
    """

    def __init__(self) -> None:
        self._chosen: set[int] = set()
        self._of = 0  # so many trials

    def __call__(self, trials: list[FrozenTrial], shown: Shown, sign: int) -> list[FrozenTrial]:
        if len(trials) <= LEARNT_FROM:
            return trials
        if len(trials) > 1.02 * self._of:
            self._chosen = {trial.number for trial in _thin_out(trials, shown, sign)}
            self._of = len(trials)
        return [trial for trial in trials[: self._of] if trial.number in self._chosen] + trials[self._of :]


def _thin_out(trials: list[FrozenTrial], shown: Shown, sign: int) -> list[FrozenTrial]:
    """`LEARNT_FROM` of the trials that ended or race, in their order; `sign` as that of `_as_pruned`."""

    def rank(trial: FrozenTrial) -> tuple[bool, bool, int, float]:
        """As TPE ranks them: feasible, complete, far up, a good value."""
        if trial.state == TrialState.COMPLETE:
            return _is_violated(trial), False, 0, sign * cast(float, trial.value)
        rung, cost = shown.get(trial.number, (-1, math.inf))
        return _is_violated(trial), True, -rung, cost

    learnt = (TrialState.COMPLETE, TrialState.PRUNED)
    ended = [trial for trial in trials if trial.state in learnt or trial.number in shown]
    best = {trial.number for trial in sorted(ended, key=rank)[:BEST]}
    others = [trial for trial in ended if trial.number not in best]
    places = min(LEARNT_FROM - BEST, len(others))
    chosen = best | {others[place * len(others) // places].number for place in range(places)}
    return [trial for trial in ended if trial.number in chosen]
