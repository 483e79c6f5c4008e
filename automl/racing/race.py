"""The race: which trial may climb to which rung. Asynchronous successive halving with promotion.

After Li et al. (2020), 'A system for massively parallel hyperparameter tuning' (ASHA, algorithm 2), on a ladder of
(epochs, folds) instead of epochs alone. Nothing is trained, stored or sampled here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from itertools import islice, takewhile

from automl.racing.board import Board
from automl.racing.ladder import Ladder, first_full_length

ETA = 3.0  # on recorded tables of 160 and 92 configs: a quarter less than with 2.5, and nothing missed
NEAR = 0.05  # of the best score, on the same folds; with 0 a table of 120 configs is missed in 32 % of orders, not 26 %
CLEAR = 1 / 3  # of the best score of other families; LeNets are ahead of ResNets by less

Choice = Callable[[int], bool]  # whether a trial, by its number, may be taken


def any_trial(trial: int) -> bool:
    """The choice that leaves none out."""
    return True


class State(Enum):
    """What a trial of the race does. Only `Race` moves it."""

    WAITING = auto()  # it has reached its last rung and may climb
    CLIMBING = auto()  # it is on its way, in whichever worker
    COMPLETE = auto()
    LEFT = auto()  # it races no more: pruned or failed


@dataclass(frozen=True)
class Standing:
    """Where one trial stands: its score at each rung reached (lower is better), and what it does.

    `family`: its architecture, and what of it is frozen; see `Race`.
    """

    scores: dict[int, float] = field(default_factory=dict)
    family: str = ""
    state: State = State.LEFT

    @property
    def rung(self) -> int:
        """The highest rung reached; -1 before the first."""
        return max(self.scores, default=-1)

    @property
    def waiting(self) -> bool:
        """Whether it may climb."""
        return self.state is State.WAITING

    @property
    def climbing(self) -> bool:
        """Whether it is on its way."""
        return self.state is State.CLIMBING

    @property
    def complete(self) -> bool:
        """Whether it is complete."""
        return self.state is State.COMPLETE


class Race:
    """Scores by rung, and the rule of promotion.

    Args:
        ladder: the rungs; rung 0 is the lowest.
        eta: of n scores at a rung the best floor(n / eta) may climb: by score, but on cheap rungs, more than one below
            the first with all epochs, by rank within the own family as a share of its size. Families differ in how
            fast they learn: after an epoch or two a LeNet beats every ResNet that will be better in the end. Who is
            `CLEAR` of all other families climbs too where its own is too small to have a place. From the
            first rung with all epochs on, where only folds are missing, those may climb that are as good as the best,
            within `NEAR`: scores are of the same folds, and who is behind would have to catch up on the others.
        finalists: so many trials are to be COMPLETE at the end.
    """

    def __init__(self, ladder: Ladder, *, eta: float = ETA, finalists: int = 3):
        self.ladder = ladder
        self.eta = eta
        self.finalists = finalists
        self.standings: dict[int, Standing] = {}  # their scores and families are changed by the methods below alone
        self.fast_tracked: set[int] = set()  # trials that climb to the top at once, without having to earn it
        self._boards = [Board() for _ in ladder]
        self._full_length = first_full_length(ladder)

    @property
    def top(self) -> int:
        """The number of the highest rung."""
        return len(self.ladder) - 1

    def start(self, trial: int) -> int:
        """Enters a new trial; returns the rung to climb to first."""
        self.enter(trial, Standing(state=State.CLIMBING))
        return 0

    def assign(self, trial: int, family: str) -> None:
        """Says of which family a trial is."""
        self.enter(trial, replace(self.standings[trial], family=family))

    def enter(self, trial: int, standing: Standing) -> None:
        """Enters a trial as it stands, in the place of what was known of it."""
        self.standings[trial] = standing
        for rung, board in enumerate(self._boards):
            if rung in standing.scores:
                board.put(trial, self._family(trial, rung), standing.scores[rung])
            else:
                board.drop(trial)

    def set_climbing(self, trial: int, climbing: bool) -> None:
        """Whether another worker has the trial on its way; then it does not wait."""
        if climbing:
            self._move(trial, State.CLIMBING)
        elif self.standings[trial].climbing:
            self._move(trial, State.LEFT)

    def fast_track(self, trials: Iterable[int]) -> None:
        """Lets the trials climb to the top at once, without having to earn it."""
        self.fast_tracked.update(trials)

    def promote(self, mine: Choice = any_trial) -> tuple[int, int] | None:
        """A waiting trial that has earned the next rung, and that rung; highest rung first. None: ask for a new trial.

        `mine`: whether this process can go on with a trial. The trial no longer waits: it is on its way until `record`
        or `leave`.
        """
        return next((self._send(trial) for trial in self._may_climb() if mine(trial)), None)

    def carry(self, mine: Choice = any_trial, fits: Choice = any_trial) -> tuple[int, int] | None:
        """The best waiting trial that `fits`, and its next rung, as long as fewer than `finalists` trials are complete.

        For the end of a search, when no trial may climb any more; the higher rung is the better one. A trial that other
        workers have on its way counts as if it were complete. None also where the best one is not `mine`.
        """
        best = self._to_be_carried(fits)
        return self._send(best) if best is not None and mine(best) else None

    def is_over(self, closing: bool, fits: Choice = any_trial) -> bool:
        """Whether no waiting trial is to climb any more, in whichever process; `closing`: only the best are carried."""
        return self._to_be_carried(fits) is None and (closing or next(self._may_climb(), None) is None)

    def _may_climb(self) -> Iterator[int]:
        """The waiting trials that go straight to the top, then those that have earned their next rung.

        Of these the highest rung first, then the best first.
        """
        yield from (trial for trial in sorted(self.fast_tracked) if self.standings[trial].waiting)
        for rung in range(self.top - 1, -1, -1):
            for trial in self._earned(rung):
                if self.standings[trial].waiting and self.standings[trial].rung == rung:
                    yield trial

    def unfinished(self) -> set[int]:
        """The trials that would go on if the race did: on their way, promoted, or the best of those to be carried."""
        climbing = {trial for trial, s in self.standings.items() if s.climbing}
        missing = max(0, self.finalists - self.complete - len(climbing))
        return climbing | set(self._may_climb()) | set(self._best_waiting()[:missing])

    def _to_be_carried(self, fits: Choice) -> int | None:
        if self.complete + sum(s.climbing for s in self.standings.values()) >= self.finalists:
            return None
        return next(filter(fits, self._best_waiting()), None)

    def _best_waiting(self) -> list[int]:
        """The waiting trials, those higher up first, then the better ones."""
        waiting = ((-s.rung, s.scores[s.rung], trial) for trial, s in self.standings.items() if s.waiting)
        return [trial for *_, trial in sorted(waiting)]

    def _send(self, trial: int) -> tuple[int, int]:
        self._move(trial, State.CLIMBING)
        return trial, self.top if trial in self.fast_tracked else self.standings[trial].rung + 1

    def record(self, trial: int, rung: int, score: float) -> None:
        """The trial has reached the rung with this score; it waits there, or is complete at the top."""
        self._score(trial, rung, score)
        self._move(trial, State.COMPLETE if rung == self.top else State.WAITING)

    def pass_by(self, trial: int, rung: int, score: float) -> None:
        """The trial has passed the rung with this score, on its way to a higher one."""
        self._score(trial, rung, score)

    def leave(self, trial: int, *, complete: bool = False, rung: int | None = None, score: float | None = None) -> None:
        """The trial races no more: pruned, failed, or complete before the top. A score still counts at its rung."""
        self.standings.setdefault(trial, Standing())
        if rung is not None and score is not None:
            self._score(trial, rung, score)
        self._move(trial, State.COMPLETE if complete else State.LEFT)

    def _move(self, trial: int, state: State) -> None:
        self.standings[trial] = replace(self.standings[trial], state=state)

    def would_promote(self, trial: int, rung: int, score: float) -> bool:
        """Whether a trial that is stopped on its way to `rung` with this score is good enough to be completed.

        It is when the score would let it climb on. Where too few trials came as far for anybody to climb, the highest
        rung below counts at which there are enough. One that goes straight to the top always is.
        """
        if trial in self.fast_tracked:
            return True
        own = {**self.standings[trial].scores, rung: score}
        for reached in sorted(own, reverse=True):
            others = self._boards[reached].others(trial, self._family(trial, reached))
            if places := int((len(others) + 1) / self.eta):
                return sum(other < own[reached] for other in others) < places
        return False

    def _family(self, trial: int, rung: int) -> str:
        """Among whom the trial is ranked at the rung: those of its family, or near the top all."""
        return self.standings[trial].family if rung < self._full_length - 1 else ""

    def _score(self, trial: int, rung: int, score: float) -> None:
        self.standings[trial].scores[rung] = score
        self._boards[rung].put(trial, self._family(trial, rung), score)

    def _earned(self, rung: int) -> Iterator[int]:
        """The trials with the best floor(n / eta) of the n scores at `rung`, best first.

        Where only folds are missing, those as good as the best that has not left.
        """
        board = self._boards[rung]
        if rung < self._full_length:
            places = int(len(board) / self.eta)
            leader = board.leader(fewer_than=self.eta, ahead=CLEAR) if places else None
            earned = islice(board.ranked(), places)
            return earned if leader is None else iter(dict.fromkeys([leader, *earned]))
        racing = [trial for trial in board.ranked() if self.standings[trial].state is not State.LEFT]
        best = min((self.standings[trial].scores[rung] for trial in racing), default=0.0)
        return takewhile(lambda trial: self.standings[trial].scores[rung] <= best + NEAR * abs(best), racing)

    @property
    def complete(self) -> int:
        """How many trials are complete."""
        return sum(s.complete for s in self.standings.values())

    @property
    def begun(self) -> bool:
        """Whether any trial has reached a rung."""
        return any(len(board) for board in self._boards)

    @property
    def waiting(self) -> list[int]:
        """The trials that wait for a promotion."""
        return [trial for trial, s in self.standings.items() if s.waiting]
