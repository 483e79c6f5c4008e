"""The section on learning curves: those of the finalists, and of trials that were stopped for overfitting."""

from __future__ import annotations

from collections.abc import Sequence

from automl.results.report.context import Context, Row, stopped_at
from automl.results.report.page import Html, render
from automl.results.report.pictures import draw_curves, loss_limits

FINALISTS = 6  # at most
OVERFITTED = 3


def learning_curves(context: Context) -> Html | None:
    """The curves of the finalists and of three overfitted trials, all on one loss axis."""
    complete = [row for row in context.rows if row["state"] == "COMPLETE" and row["number"] in context.curves]
    finalists = complete[: min(context.settings.finalists, FINALISTS)]
    if (winner := context.winner) in complete and winner not in finalists:
        finalists = [*finalists[:-1], winner]
    leading = [row for row in context.rows if row["number"] in context.curves][:OVERFITTED]
    overfitted = [
        row
        for row in context.rows
        if row["state"] == "PRUNED" and row["reason"] == "overfitting" and row["number"] in context.curves
    ][:OVERFITTED]
    first = finalists or leading
    if not first:
        return None
    limits = loss_limits([context.curves[row["number"]] for row in [*first, *overfitted]])
    return render(
        "learning",
        title="The finalists" if finalists else "The trials that came furthest",
        first=_pictures(context, first, limits),
        overfitted=_pictures(context, overfitted, limits),
    )


def _pictures(context: Context, rows: Sequence[Row], limits: tuple[float, float] | None) -> list[tuple[Html, str]]:
    """The picture of each trial, and what there is to say to it."""
    figures = []
    for row in rows:
        curves = context.curves[row["number"]]
        title = f"trial {row['number']}, {row['architecture']}{', the winner' if row is context.winner else ''}"
        picture = draw_curves(curves, title, limits, stopped_at(curves, row))
        detail = str(row.get("detail") or "")[:300]
        figures.append((picture, detail[:1].upper() + detail[1:]))
    return figures
