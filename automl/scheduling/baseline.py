"""The baseline of a short search: one of the configs that its search space begins with, trained to the top at once.

A race completes one trial for the cost of three, and cheap rungs decide which: they favour what learns fast. After two
epochs on photos every LeNet beats the ResNet that will be better in the end. Where the time is good for a few complete
trainings only, one of them goes to a config that is known to be good on most data: then there is one to beat, and the
search ends no worse than that.
"""

from __future__ import annotations

from automl.racing.objective import Objective
from automl.racing.race import Race
from automl.scheduling.time_estimates import TimeEstimates

FEW = 10  # complete trainings; where the time is good for more, the race finds its way by itself
FITTING = 0.85  # of the time that is left, at most, for the baseline
LUCK = 0.3  # by how much of an error two configs differ by luck after an epoch: photos, mirrored or not, up to 0.2
# The same of two architectures: LeNets, which will be worst, lead by up to 0.4 on photos, and what does not suit the
# data at all is behind by 0.9, as airbench on digits of 8 x 8 pixels.
CLEAR = 2 / 3


def all_begun(race: Race, first: int) -> bool:
    """Whether the trials 0 to `first` - 1 have come to the first rung, or will not."""
    return all(trial in race.standings and not _on_its_way(race, trial) for trial in range(first))


def choose_baseline(
    race: Race, first: int, estimates: TimeEstimates, left: float, workers: int, objective: Objective
) -> int | None:
    """The trial to go straight to the top; None where there is one at the top, or where it does not pay.

    It is the first of the space's configs, unless another one of its architecture is better beyond `LUCK` at the first
    rung: where images may not be mirrored, say, that shows at once. Another architecture has its turn where the first
    does not fit into the time, or is behind it by a `CLEAR` part of its error. `left`: seconds that the race still has.
    """
    standings = [race.standings[trial] for trial in range(first)]
    if any(standing.complete for standing in standings):
        return None
    families: dict[str, list[int]] = {}
    for trial, standing in enumerate(standings):
        if standing.waiting:
            families.setdefault(standing.family, []).append(trial)
    errors = {trial: objective.error(standings[trial].scores[0]) for trials in families.values() for trial in trials}
    best = []  # of each architecture that fits
    for trials in families.values():
        # The first epochs of a process are slow, so that the quickest of them says most.
        quickest = min(trials, key=estimates.to_the_top)
        few = estimates.to_the_top(quickest) >= left * workers / FEW
        fit = max(0.0, estimates.fit(quickest) - estimates.final_fit(None))  # beyond what is kept for it already
        if few and estimates.straight_to_the_top(quickest, workers) <= (left - fit) * FITTING:
            best.append(_first_unless_beaten(trials, errors, LUCK))
    return _first_unless_beaten(best, errors, CLEAR) if best else None


def _first_unless_beaten(trials: list[int], errors: dict[int, float], by: float) -> int:
    """The first of the trials, or one whose error is smaller by more than this share of it."""
    chosen = trials[0]
    for trial in trials:
        if errors[chosen] - errors[trial] > by * errors[chosen]:
            chosen = trial
    return chosen


def _on_its_way(race: Race, trial: int) -> bool:
    standing = race.standings[trial]
    return standing.climbing and 0 not in standing.scores
