"""The leaderboard's rows sorted, filtered, and as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

from automl.errors import SettingsError, did_you_mean
from automl.foreign_text import cell
from automl.racing.objective import GREATER_IS_BETTER

Row = Mapping[str, Any]

STATES = {"complete": "COMPLETE", "pruned": "PRUNED", "failed": "FAIL", "waiting": "RUNNING"}
NESTED = ("config", "metrics")


def keep(
    summary: Mapping[str, Any], known: Sequence[str], architectures: Sequence[str], state: str | None
) -> list[Row]:
    """The rows of a leaderboard that have one of these `architectures` (none: any) and this `state`, in its order.

    `known` are the architectures of the run's search space. Raises `SettingsError` for an unknown name.
    """
    for name in architectures:
        if name not in known:
            raise SettingsError(f"--architecture {name}: this run does not search it{did_you_mean(name, known)}")
    if state is not None and state not in STATES:
        raise SettingsError(f"--state {state}: must be {', '.join(STATES)}{_nearest(state, STATES)}")
    return [
        row
        for row in summary["trials"]
        if (not architectures or row["architecture"] in architectures) and (not state or row["state"] == STATES[state])
    ]


def value_of(row: Row, name: str, objective: str) -> Any:
    """A row's column, metric or config value by its `name`; `objective` is the score. None when it has none.

    Of `rescored`, which is a mapping, the mean.
    """
    if name == objective:
        name = "score"
    if name == "rescored":
        return (row.get(name) or {}).get("mean")
    for values in (row, row["metrics"], row["config"]):
        if name in values:
            return values[name]
    return None


def sort(rows: Sequence[Row], by: str, summary: Mapping[str, Any]) -> list[Row]:
    """The rows sorted by a column, a metric or a config name such as `train.lr`.

    Scores and metrics stand best first, other numbers from the smallest, then texts by the alphabet; rows without a
    value come last. Equal rows keep their order. Raises `SettingsError` when no trial of the run has such a name.
    """
    objective, everywhere = str(summary["objective"]), summary["trials"]
    names = {objective, *(n for row in everywhere for n in (*row, *row["metrics"], *row["config"]))} - {*NESTED}
    if by not in names:
        raise SettingsError(
            f"--by {by}: no trial has a column, metric or parameter of this name{did_you_mean(by, names)}"
        )
    metric = objective if by in ("score", "rescored") else by
    sign = -1.0 if metric in GREATER_IS_BETTER else 1.0

    def key(row: Row) -> tuple[int, float, str]:
        value = value_of(row, by, objective)
        if value is None or value == "":
            return 2, 0.0, ""
        return (0, sign * value, "") if isinstance(value, int | float) else (1, 0.0, str(value))

    return sorted(rows, key=key)


def to_csv(rows: Sequence[Row]) -> str:
    """The rows as CSV (RFC 4180, but lines end with a newline only): the columns, then metrics, then config names.

    Texts that a spreadsheet would take for formulas have an apostrophe in front.
    """
    columns = [name for name in (rows[0] if rows else ()) if name not in NESTED]
    metrics = sorted({name for row in rows for name in row["metrics"]})
    config = sorted({name for row in rows for name in row["config"]} - {*columns})
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(map(_cell, (*columns, *metrics, *config)))
    for row in rows:
        found = (*(value_of(row, n, "") for n in columns), *(row["metrics"].get(n) for n in metrics))
        writer.writerow(map(_cell, (*found, *(row["config"].get(n) for n in config))))
    return text.getvalue()


def _cell(value: object) -> object:
    return cell(value) if isinstance(value, str) else value


def _nearest(name: str, known: Mapping[str, str]) -> str:
    hint = did_you_mean(name, known)
    return hint if "did you mean" in hint else ""
