"""How long the rest of a search will take: what a deadline must leave room for."""

from __future__ import annotations

import math
from collections.abc import Iterable

from optuna.trial import FrozenTrial

from automl.racing.curves import Curves
from automl.racing.race import CLEAR, Race
from automl.study.trial_record import best_epoch, seconds_per_fold_epoch, seconds_per_prediction

MARGIN = 1.15  # machines are noisy, and the last epochs of a network are no faster than the first
# Times as long an epoch of one fused fold takes as one of two or three, by fold: 1.2 to 1.8, interpolated between one
# fold and five, which take 2.3 to 3.4 times as long on an H200.
ALONE = 1.6
# Shares of the timeout at most, so that something is explored also where a full training does not fit at all.
CARRYING_SHARE = 0.3  # for carrying waiting trials to the top
FIRST_SHARE = 0.5  # for carrying the first that the race has chosen
FINAL_SHARE = 0.3  # for the final fit
TEST_SHARE = 0.2  # for the test
ENDING, ENDING_SHARE = 10.0, 0.015  # seconds, and a share of the timeout at most, until the last worker has ended
INSPECTION, INSPECTION_SHARE = 10.0, 0.03  # seconds, and a share of the timeout at most, for a look at the data
RESCORING_SHARE = 0.2  # for scoring the finalists again; where that does not suffice for two of them, nothing is kept


class TimeEstimates:
    """Seconds per fold-epoch of each trial, learnt from what it took so far.

    `repeats` and `final` are the settings: how often the finalists are cross-validated, and what the final model is.
    `fused`: folds advance together, and cannot be shared out. `tested`: so many samples the final model is tested on.
    """

    def __init__(self, race: Race, repeats: int = 1, final: str = "refit", fused: bool = False, tested: int = 0):
        self.race = race
        self.tested = tested
        self.fused = fused
        self.repeats = repeats
        self.final = final
        self.rates: dict[int, float] = {}
        self._epochs: dict[int, int] = {}  # that the score of each is of
        self._predictions: dict[int, float] = {}  # seconds for a sample

    def learn(self, trial: int, seconds: float, curves: Curves, prediction: float = 0.0) -> None:
        """Enters what a trial has taken so far, and what its network takes to predict a sample."""
        if prediction:
            self._predictions[trial] = prediction
        if curves.fold_epochs:
            self.rates[trial] = seconds / curves.fold_epochs
            self._epochs[trial] = curves.best_epoch()

    def recall(self, trials: list[FrozenTrial]) -> None:
        """Enters the trials of earlier sessions."""
        for trial in trials:
            if rate := seconds_per_fold_epoch(trial):
                self.rates[trial.number] = rate
                if best := best_epoch(trial):
                    self._epochs[trial.number] = best
                if prediction := seconds_per_prediction(trial):
                    self._predictions[trial.number] = prediction

    def finish(self, timeout: float | None) -> float:
        """Seconds for all that follows the race. In it, the trials of `final_fit` and `test` are those that may win."""
        ending = 0.0 if timeout is None else min(ENDING, ENDING_SHARE * timeout)
        later = self.rescoring(timeout) + self.test(timeout) + self.inspection(timeout)
        return ending + self.final_fit(timeout) + later

    def inspection(self, timeout: float | None) -> float:
        """Seconds for the inspection of a table's columns or of photos, see `automl.conclude.inspection`."""
        return INSPECTION if timeout is None else min(INSPECTION, INSPECTION_SHARE * timeout)

    def final_fit(self, timeout: float | None, trials: Iterable[int] | None = None) -> float:
        """Seconds to fit the slowest of the `trials`; None: of those that may win, which are what is complete, else the
        best so far, and what is on its way to the top.
        """
        seconds = max(map(self.fit, self._likely() if trials is None else trials), default=0.0)
        return seconds if timeout is None else min(seconds, FINAL_SHARE * timeout)

    def test(self, timeout: float | None, trials: Iterable[int] | None = None) -> float:
        """Seconds to test the final model: that of the slowest of the `trials`, as `final_fit`."""
        networks = self.race.ladder[self.race.top].folds if self.final == "ensemble" else 1
        candidates = self._likely() if trials is None else trials
        seconds = networks * max(map(self.test_one, candidates), default=0.0)
        return seconds if timeout is None else min(seconds, TEST_SHARE * timeout)

    def test_one(self, trial: int) -> float:
        """Seconds to test one network of this trial; 0 where nothing is known of it."""
        return self._predictions.get(trial, 0.0) * self.tested * MARGIN

    def _likely(self) -> list[int]:
        """The trials that may win: of the complete ones those that others are not `CLEAR` of."""
        coming = [trial for trial in self._arriving() if not self.race.standings[trial].complete]
        ranked = self._candidates(climbing=True)
        complete = [trial for trial in ranked if self.race.standings[trial].complete]
        score = {trial: self.race.standings[trial].scores[self.race.standings[trial].rung] for trial in complete}
        best = min(score.values(), default=0.0)
        near = [trial for trial in complete if score[trial] <= best + CLEAR * abs(best)]
        return (near[: self.race.finalists] or ranked[:1]) + coming

    def fit(self, trial: int) -> float:
        """Seconds to fit this trial on the whole training part, K / (K - 1) of a fold's, or as an ensemble on each
        fold again; 0 where nothing is known of it.

        A schedule of its own has up to twice the epochs of the score.
        """
        top = self.race.ladder[self.race.top]
        epochs = min(top.epochs, 2 * self._scored(trial))
        if self.final == "ensemble":
            return self.rates.get(trial, 0.0) * epochs * top.folds * MARGIN
        return self.refit_epoch(trial) * epochs

    def _scored(self, trial: int) -> int:
        """The epochs of a complete trial's score; of others they may be all of them."""
        epochs = self.race.ladder[self.race.top].epochs
        return self._epochs.get(trial, epochs) if self.race.standings[trial].complete else epochs

    def refit_epoch(self, trial: int) -> float:
        """Seconds for an epoch of this trial on the whole training part; 0 where nothing is known of it."""
        folds = self.race.ladder[self.race.top].folds
        alone = ALONE if self.fused else 1.0
        return alone * self.rates.get(trial, 0.0) * folds / max(1, folds - 1) * MARGIN

    def rescoring(self, timeout: float | None) -> float:
        """Seconds to score the finalists again; 0 where it does not pay to wait for it."""
        fold_epochs = (self.repeats - 1) * self.race.ladder[self.race.top].folds
        seconds = [
            self.rates.get(trial, 0.0) * self._scored(trial) * fold_epochs * MARGIN
            for trial in self._candidates()[: self.race.finalists]
        ]
        if timeout is None:
            return sum(seconds)
        share = RESCORING_SHARE * timeout
        return min(sum(seconds), share) if sum(seconds[:2]) <= share else 0.0

    def carrying(self, timeout: float | None, left: float = math.inf, workers: int = 1) -> float:
        """Seconds to carry the best waiting trials to the top, until there are enough finalists.

        Only those count that get there in the seconds `left`; `workers` share them out. One that the race has chosen
        shall get there even when it takes half of the timeout, the others within a smaller share.
        """
        missing = max(0, self.race.finalists - len(self._arriving()))
        seconds = [MARGIN * self.to_the_top(trial) for trial in self.in_time(left)[:missing]]
        seconds = seconds[: math.ceil(missing / workers)]
        if timeout is None or not seconds:
            return sum(seconds)
        first = 0.0 if self._arriving() - self.race.fast_tracked else min(seconds[0], FIRST_SHARE * timeout)
        return max(first, min(sum(seconds), CARRYING_SHARE * timeout))

    def in_time(self, left: float) -> list[int]:
        """The waiting trials that get to the top in the seconds `left`, the best first.

        One whose final fit takes longer than is kept for it has that much less. All of them where not a single one has
        got there, is about to, or can: the best then goes as far as it gets.
        """
        waiting = [trial for trial in self._candidates() if self.race.standings[trial].waiting]
        kept = self.final_fit(None)
        fitting = [trial for trial in waiting if self.to_the_top(trial) + max(0.0, self.fit(trial) - kept) <= left]
        return fitting if fitting or self._arriving() else waiting

    def to_the_top(self, trial: int) -> float:
        """Seconds to train a waiting trial to the top, without any margin; 0 where nothing is known of it."""
        top, reached = self.race.ladder[self.race.top], self.race.ladder[max(0, self.race.standings[trial].rung)]
        return self.rates.get(trial, 0.0) * (top.epochs * top.folds - reached.epochs * reached.folds)

    def straight_to_the_top(self, trial: int, workers: int) -> float:
        """As `to_the_top`, where the `workers` share out the trial's folds."""
        folds = self.race.ladder[self.race.top].folds
        most = folds if self.fused else math.ceil(folds / workers)  # of them, for one worker
        return self.to_the_top(trial) * most / folds

    def _arriving(self) -> set[int]:
        """Trials that are complete, or on their way to the top rung."""
        last, straight_up = self.race.top - 1, self.race.fast_tracked
        return {
            trial
            for trial, s in self.race.standings.items()
            if s.complete or (s.climbing and (s.rung == last or trial in straight_up))
        }

    def _candidates(self, climbing: bool = False) -> list[int]:
        """Trials that may win, the best first: those higher up, then those with the better score.

        `climbing`: those too that are on their way, and may be broken off there.
        """
        ranked = [
            (not s.complete, -s.rung, s.scores[s.rung], trial)
            for trial, s in self.race.standings.items()
            if s.scores and (s.waiting or s.complete or (climbing and s.climbing))
        ]
        return [trial for *_, trial in sorted(ranked)]
