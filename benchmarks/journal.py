"""What a run's journal tells about its course: when each trial began, and when which score was there for which cost."""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import Any, NamedTuple

CREATE, STATE, ATTRIBUTE = 4, 6, 8  # optuna.storages.journal: JournalOperation
COMPLETE = 1  # optuna.trial.TrialState


class Point(NamedTuple):
    """A trial that became complete: UNIX time, score, and the fold-epochs that all trials had cost until then."""

    time: float
    score: float
    fold_epochs: int


def records(journal: Path) -> list[dict[str, Any]]:
    """The journal's records, in their order."""
    return [json.loads(line) for line in journal.read_text().splitlines()]


def begun(journal: Path) -> list[float]:
    """UNIX times at which the trials were begun. What workers write to agree on their climbs is a study of its own."""
    created = [record for record in records(journal) if record["op_code"] == CREATE and record["study_id"] == 0]
    return [_time(record["datetime_start"]) for record in created]


def completed(journal: Path) -> list[Point]:
    """The complete trials in the order of their ends.

    A trial's fold-epochs are written when it reaches a rung and when it ends, so they are known when another one ends.
    """
    spent: dict[int, int] = {}
    points = []
    for record in records(journal):
        if record["op_code"] == ATTRIBUTE and "fold_epochs" in record["user_attr"]:
            spent[record["trial_id"]] = record["user_attr"]["fold_epochs"]
        elif record["op_code"] == STATE and record["state"] == COMPLETE:
            points.append(Point(_time(record["datetime_complete"]), record["values"][0], sum(spent.values())))
    return points


def _time(text: str) -> float:
    return datetime.datetime.fromisoformat(text).timestamp()
