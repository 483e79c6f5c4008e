"""Optuna's samplers by name, and the view of the study that lets them learn from trials which still race."""

from __future__ import annotations

import copy
import math
from collections import Counter
from collections.abc import Callable, Container, Mapping, Sequence
from typing import Any, cast

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from automl.errors import SettingsError
from automl.racing.objective import Objective
from automl.racing.race import Race
from automl.spaces.parameters import Choice, Float, Int
from automl.spaces.space import Space
from automl.study.logs import quiet_optuna
from automl.training.seeds import derive_seed

STARTUP = 10  # trials drawn at random before a sampler begins to learn: Optuna's default
EACH_FIRST = 2  # of them at least of each architecture
LEARNT_FROM, BEST = 500, 100  # trials that a sampler is shown at most, and how many of them are the best
GRID_LIMIT = 100_000
GRID_STEPS = 3  # points for a range in a grid: both ends and the middle

Standings = Callable[[], Mapping[int, tuple[int, float]]]
"""By trial number, the epochs and the score of each trial that waits for its promotion."""


def standings_of(race: Race, objective: Objective) -> Standings:
    """What the sampler is shown of the trials that wait in `race`, now and later."""

    def standings() -> dict[int, tuple[int, float]]:
        waiting = {trial: standing for trial, standing in race.standings.items() if standing.waiting}
        return {
            trial: (race.ladder[rung].epochs, objective.value(score))
            for trial, standing in waiting.items()
            for rung, score in (max(standing.scores.items()),)
        }

    return standings


def make_sampler(name: str, seed: int, worker: int, trials: int, space: Space, standings: Standings) -> BaseSampler:
    """The sampler `tpe`, `random`, `grid`, `gp` or `cmaes`, seeded by (seed, worker, trials so far).

    A seed that were the same after a restart would repeat the same draws. Raises `SettingsError` when the sampler's
    package is missing or the grid too large.
    """
    number = derive_seed(seed, "sampler", worker, trials) % 2**32
    families = sorted(space.architectures)
    startup = max(STARTUP, len(space.first) + EACH_FIRST * len(families))
    if name == "random":
        return optuna.samplers.RandomSampler(seed=number)
    if name == "grid":
        return _Grid(make_grid(space), order=derive_seed(seed, "grid") % 2**32, draws=number)
    if name == "gp":
        # A Gaussian process looks at COMPLETE trials only.
        gp = optuna.samplers.GPSampler(seed=number, n_startup_trials=startup)
        return WatchingSampler(gp, standings, families, space.first, seen_as=TrialState.COMPLETE)
    if name == "cmaes":
        try:
            import cmaes  # noqa: F401
        except ImportError:
            raise SettingsError("--sampler cmaes needs the package cmaes: pip install 'automl[cmaes]'") from None
        return optuna.samplers.CmaEsSampler(seed=number, warn_independent_sampling=False)
    with quiet_optuna():
        tpe = optuna.samplers.TPESampler(multivariate=True, group=True, seed=number, n_startup_trials=startup)
    return WatchingSampler(tpe, standings, families, space.first)


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


class _Grid(optuna.samplers.GridSampler):
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


class WatchingSampler(BaseSampler):
    """Lets `inner` see waiting trials as pruned at their rung, or as what `seen_as` says.

    For Optuna a trial that waits for its promotion is RUNNING, and samplers do not learn from running trials. In a race
    nearly all trials wait until the end, so a sampler without this view would draw at random all along.

    The trials of the lowest numbers have the values of `first`, as far as it names any. Then each of the `families`
    (architectures) gets its turns: what was never drawn is never learnt about.
    """

    def __init__(
        self,
        inner: BaseSampler,
        standings: Standings,
        families: Sequence[str] = (),
        first: Sequence[Mapping[str, Any]] = (),
        seen_as: TrialState = TrialState.PRUNED,
    ):
        self.inner = inner
        self.standings = standings
        self.families = families
        self.first = first
        self.seen_as = seen_as
        self._newest: _StudyView | None = None
        self._thinned = _Thinned(seen_as)
        self._every_family_drawn = not families

    def _view(self, study: optuna.Study, trial: FrozenTrial) -> optuna.Study:
        """The study as it was when the first parameter of this trial was asked for: it is asked many times."""
        if self._newest is None or not self._newest.is_of(study, trial):
            self._newest = _StudyView(study, trial, self.standings(), self.seen_as, self._thinned)
        return cast(optuna.Study, self._newest)

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
        """As Optuna's, but for the first trials."""
        known = self.first[trial.number] if trial.number < len(self.first) else {}
        if param_name in known:
            return known[param_name]
        if param_name == "architecture" and not self._every_family_drawn:
            drawn = Counter(t.params.get(param_name) for t in study.get_trials(deepcopy=False))
            least = min(self.families, key=lambda family: drawn[family])
            if drawn[least] < EACH_FIRST:
                return least
            self._every_family_drawn = True
        return self.inner.sample_independent(self._view(study, trial), trial, param_name, param_distribution)

    def reseed_rng(self) -> None:
        """As Optuna's."""
        self.inner.reseed_rng()


class _StudyView:
    """A study in which waiting trials have ended as `seen_as`, with their rung's score as the last report and value.

    It is that of the moment in which `trial` was begun. Of more than `LEARNT_FROM` trials, the best `BEST` are shown
    and others in even distances. For each draw a sampler takes time for every trial that it is shown, and TPE, which
    takes the best 25 as good, needs no more than some hundreds to know where the bad ones are.
    """

    def __init__(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        waiting: Mapping[int, tuple[int, float]],
        seen_as: TrialState,
        thinned: _Thinned,
    ):
        self._real = study
        self._for = trial._trial_id
        self._seen_as = seen_as
        sign = -1 if study.direction == StudyDirection.MAXIMIZE else 1
        shown = thinned(study.get_trials(deepcopy=False), waiting, sign)
        self._shown = [self._seen(trial, waiting) for trial in shown]

    def is_of(self, study: optuna.Study, trial: FrozenTrial) -> bool:
        """Whether this is how the study looks for the trial."""
        return self._real is study and self._for == trial._trial_id

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

    def _seen(self, trial: FrozenTrial, waiting: Mapping[int, tuple[int, float]]) -> FrozenTrial:
        if trial.state != TrialState.RUNNING or trial.number not in waiting:
            return trial
        epochs, score = waiting[trial.number]
        seen = copy.copy(trial)
        seen.state = self._seen_as
        seen.value = score
        seen.intermediate_values = {epochs: score}
        return seen


class _Thinned:
    """Which of more than `LEARNT_FROM` trials are shown: chosen anew when there are 2 % more, and all newer ones."""

    def __init__(self, seen_as: TrialState):
        self._seen_as = seen_as
        self._chosen: set[int] = set()
        self._of = 0  # so many trials

    def __call__(
        self, trials: list[FrozenTrial], waiting: Mapping[int, tuple[int, float]], sign: int
    ) -> list[FrozenTrial]:
        if len(trials) <= LEARNT_FROM:
            return trials
        if len(trials) > 1.02 * self._of:
            self._chosen = {trial.number for trial in _thin_out(trials, waiting, self._seen_as, sign)}
            self._of = len(trials)
        return [trials[number] for number in sorted(self._chosen)] + trials[self._of :]


def _thin_out(
    trials: list[FrozenTrial], waiting: Mapping[int, tuple[int, float]], seen_as: TrialState, sign: int
) -> list[FrozenTrial]:
    """`LEARNT_FROM` of the trials that ended or wait, in their order. `sign`: 1 where low values are good, else -1."""

    def rank(trial: FrozenTrial) -> tuple[bool, bool, int, float]:
        """As TPE ranks them: feasible, complete, far up, a good value."""
        if trial.number in waiting:
            step, score = waiting[trial.number]
            return False, seen_as != TrialState.COMPLETE, -step, sign * score
        infeasible = any(violation > 0 for violation in trial.constraints.values())
        if trial.state == TrialState.COMPLETE:
            return infeasible, False, 0, sign * cast(float, trial.value)
        step = max(trial.intermediate_values, default=0)
        return infeasible, True, -step, sign * trial.intermediate_values.get(step, sign * math.inf)

    learnt = (TrialState.COMPLETE, TrialState.PRUNED)
    ended = [trial for trial in trials if trial.state in learnt or trial.number in waiting]
    best = {trial.number for trial in sorted(ended, key=rank)[:BEST]}
    others = [trial for trial in ended if trial.number not in best]
    places = min(LEARNT_FROM - BEST, len(others))
    chosen = best | {others[place * len(others) // places].number for place in range(places)}
    return [trial for trial in ended if trial.number in chosen]
