"""The sections on the trials: the leaderboard, the race, what failed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from automl.results.report.context import Context
from automl.results.report.formatting import duration, number, spread
from automl.results.report.page import Html, render
from automl.results.report.pictures import Line, draw_race
from automl.study.reasons import BROKEN

TOP = 20  # trials in the table
RACERS = 300  # trials in the picture of the race, the best ones


def leaderboard(context: Context) -> Html:
    """The best trials, and how many ended how."""
    totals, record, rows = context.summary["totals"], context.record, context.rows
    states = {"complete": totals["complete"], "waiting": totals.get("waiting", 0), "failed": totals["failed"]}
    states |= {f"pruned ({reason})": count for reason, count in totals["pruned"].items()}
    counts = ", ".join(f"{count} {state}" for state, count in states.items() if count)
    headers = ("trial", "architecture", "state", record.objective_name, record.metric, "epochs x folds", "fold-epochs",
               "parameters", "time")  # fmt: skip
    cells: list[Sequence[str | int]] = [
        (
            row["number"],
            row["architecture"] or "",
            " ".join(filter(None, (row["state"].lower(), row["reason"][:80]))),
            spread(row),
            number(row["metrics"].get(record.metric)),
            f"{row['epochs']}x{row['folds']}",
            row["fold_epochs"],
            f"{row['parameters']:,}" if row["parameters"] is not None else "",
            duration(row["seconds"] or 0),
        )
        for row in rows[:TOP]
    ]
    return render(
        "leaderboard", trials=totals["trials"], counts=counts, more=len(rows) > TOP, headers=headers, rows=cells
    )


def race(context: Context) -> Html | None:
    """The race as a picture: who climbed which rung."""
    lines: list[Line] = []
    for row, scores in context.scored[:RACERS]:
        kind = "winner" if row is context.winner else "complete" if row["state"] == "COMPLETE" else row["reason"]
        lines.append((kind, scores))
    if not lines:
        return None
    return render(
        "race",
        picture=draw_race(lines, list(context.record.ladder), context.objective),
        folds=context.settings.folds,
        lower=context.objective.direction == "minimize",
        shown=len(lines),
        total=len(context.scored),
    )


def failures(context: Context) -> Html | None:
    """Each cause once, with how many trials it cost."""
    failed = [row for row in context.rows if row["state"] == "FAIL" or row["reason"] in BROKEN]
    causes = Counter(row.get("detail") or row["reason"] for row in failed).most_common(10)
    return render("failures", causes=[(count, cause[:1000]) for cause, count in causes]) if causes else None
