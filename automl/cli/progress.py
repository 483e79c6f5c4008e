"""What a terminal shows of a search while it runs: a live display, or plain lines where stdout is no terminal."""

from __future__ import annotations

import math
import sys
from collections import Counter
from types import TracebackType
from typing import TYPE_CHECKING, Self, TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from automl.cli.tally import Row, Tally
from automl.cli.terminal import Terminal
from automl.scheduling.callbacks import (
    Event,
    FeaturesComputed,
    FinalFitStarted,
    FinalistTrained,
    TrialEnded,
    TrialRested,
)
from automl.scheduling.deadline import Budget
from automl.study.reasons import Reason

if TYPE_CHECKING:
    from automl.racing.ladder import Ladder
    from automl.racing.objective import Objective
    from automl.study.trial_record import TrialRecord

AT_THE_END = (Reason.OUTPACED, Reason.DEADLINE)
"""What becomes of trials that still wait when the race is over."""

LONGEST = 200  # characters of a plain line: an error's text may be a page


class _Counting:
    """A callback with a `Tally`, and a context manager around the search that it is told of.

    Args:
        budget: tells the trials that are asked for, the time spent and left.
        ladder: of the race.
        objective: what is optimised.
    """

    def __init__(self, budget: Budget, ladder: Ladder, objective: Objective):
        self.budget = budget
        self.trials = budget.trials
        self.ladder = ladder
        self.objective = objective
        self.tally = Tally(ladder[-1].epochs * ladder[-1].folds, objective)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def __call__(self, event: Event) -> None:
        """Counts what has happened."""
        self.tally(event)

    def scores(self, row: Row) -> str:
        """`log_loss 0.0812, accuracy 0.976`, as far as they are known."""
        known = ((self.objective.name, row.score), (self.objective.beside, row.metric))
        return ", ".join(f"{name} {value:.4g}" for name, value in known if value is not None)


class PlainProgress(_Counting):
    """Prints one line per rung reached and per ended trial on `stream` (default: stdout), never one per epoch."""

    def __init__(self, budget: Budget, ladder: Ladder, objective: Objective, stream: TextIO | None = None):
        super().__init__(budget, ladder, objective)
        self.stream = stream or sys.stdout
        self._at_the_end: Counter[str] = Counter()
        self._pieces = 0

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._print_those_at_the_end()

    def __call__(self, event: Event) -> None:
        """Prints what a rung, an end or what follows the race has come to."""
        super().__call__(event)
        match event:
            case TrialRested(trial):
                rung = trial.standing.rung
                reached = f"rung {rung + 1} of {len(self.ladder)} ({self.ladder[rung]})"
                self._print(trial.number, f"{reached}, {self.scores(self.tally.rows[trial.number])}")
            case TrialEnded(trial):
                self._print_ended(trial)
            case FeaturesComputed(_, total) if total != self._pieces:
                self._pieces = total
                self._print_line("the features of a frozen network are computed, once for all trials")
            case FinalistTrained(trial, repeat, folds) if folds[0] == 0:
                self._print(trial, f"scored again on fresh folds, repeat {repeat}")
            case FinalFitStarted(trial, epochs):
                self._print(trial, f"its config is fitted as the final model, {epochs} epochs")

    def _print_ended(self, trial: TrialRecord) -> None:
        """What a trial came to, and why; those that waited in vain are counted."""
        row = self.tally.rows[trial.number]
        if row.state in AT_THE_END:
            self._at_the_end[row.state] += 1
            return
        state = "pruned" if row.state not in ("complete", "failed") else row.state
        seen = f"{row.epochs}x{row.folds}" if row.folds else ""
        line = ", ".join(filter(None, (state, trial.why, self.scores(row), seen)))
        self._print(trial.number, f"{line} ({trial.detail})" if trial.detail else line)

    def _print(self, trial: int, text: str) -> None:
        self._print_those_at_the_end()
        architecture = self.tally.rows[trial].architecture if trial in self.tally.rows else ""
        self._print_line(f"trial {trial}{f' ({architecture})' if architecture else ''}: {text}")

    def _print_those_at_the_end(self) -> None:
        """One line for the trials that waited in vain: they are told of one after the other, and say nothing new."""
        if number := self._at_the_end.total():
            counts = ", ".join(f"{count} {reason}" for reason, count in sorted(self._at_the_end.items()))
            self._at_the_end.clear()
            self._print_line(f"{number} trial{'s' * (number > 1)} pruned at the end of the race: {counts}")

    def _print_line(self, text: str) -> None:
        line = printable(text)
        print(line if len(line) <= LONGEST else line[: LONGEST - 3] + "...", file=self.stream, flush=True)


class LiveProgress(_Counting):
    """A few lines on `console` (default: stdout) that stay where they are and tell how the search stands."""

    def __init__(self, budget: Budget, ladder: Ladder, objective: Objective, console: Console | None = None):
        super().__init__(budget, ladder, objective)
        self.console = console or Terminal()
        # Drawn by Live's own thread four times a second; the tally's rows are frozen, so it never sees half of one.
        self._live = Live(get_renderable=self.render, console=self.console, refresh_per_second=4)

    def __enter__(self) -> Self:
        self._live.start(refresh=True)
        return super().__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def render(self) -> Group:
        """The display as it is now."""
        reached, timeout = min(self.tally.reached, self.trials), self.budget.timeout
        done = max(reached / self.trials, self.budget.elapsed / timeout if timeout else 0.0)
        line = Table.grid(padding=(0, 1), expand=False)
        bar = ProgressBar(total=1.0, completed=min(1.0, done), width=min(30, self.console.width // 3))
        line.add_row("trials", bar, f"{reached}/{self.trials}", Text(self._time(), overflow="fold"))
        return Group(line, *(Text(f"{label:<6} {printable(text)}") for label, text in self._status()))

    def _status(self) -> list[tuple[str, str]]:
        tally, leader = self.tally, self.tally.leader
        best = "nothing yet"
        if leader is not None:
            number, row = leader
            so_far = "complete" if row.state == "complete" else f"so far on rung {row.rung + 1}"
            best = f"trial {number}, {row.architecture}, {self.scores(row)} ({so_far})"
        counts = ", ".join(f"{count} {state}" for state, count in tally.counts.items()) or "none yet"
        cost = f"{tally.spent} fold-epochs spent, {tally.saved} saved against no race"
        lines = [("best", best), ("states", counts), ("cost", cost), ("now", tally.now)]
        done, total = tally.pieces
        if done < total:
            lines.append(("once", f"features of frozen networks, {done / total:.0%}"))
        return lines

    def _time(self) -> str:
        """Time spent, and left: by the rate of this session's new trials, at most until the deadline."""
        text = clock(self.budget.elapsed)
        fresh, missing = self.tally.reached - self.tally.primed, self.trials - self.tally.reached
        by_rate = self.budget.elapsed / fresh * missing if fresh > 0 and missing > 0 else math.inf
        deadline = self.budget.deadline.left
        if min(by_rate, deadline) == math.inf:
            return text
        return f"{text}, {'about' if by_rate < deadline else 'at most'} {clock(min(by_rate, deadline))} left"


def clock(seconds: float) -> str:
    """`0:59`, `12:05` or `1:02:03`.

    >>> clock(3723.4)
    '1:02:03'
    """
    minutes, second = divmod(int(max(seconds, 0)), 60)
    hour, minute = divmod(minutes, 60)
    return f"{hour}:{minute:02}:{second:02}" if hour else f"{minute}:{second:02}"


def printable(text: str) -> str:
    """One line without control characters: the text of a plugin's error must not steer the terminal."""
    return "".join(c if c.isprintable() else " " for c in text)
