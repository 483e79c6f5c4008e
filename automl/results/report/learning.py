"""The section on learning curves: those of the finalists, and of trials that were stopped for overfitting."""

from __future__ import annotations

from collections.abc import Sequence

from automl.results.report.context import Material, Row, stopped_at
from automl.results.report.page import Html, render
from automl.results.report.pictures import draw_curves, loss_limits

FINALISTS = 6  # at most
OVERFITTED = 3


def learning_curves(material: Material) -> Html | None:
    """The curves of the finalists and of three overfitted trials, all on one loss axis."""
    complete = [row for row in material.rows if row["state"] == "COMPLETE" and row["number"] in material.curves]
    finalists = complete[: min(material.settings.finalists, FINALISTS)]
    if (winner := material.winner) in complete and winner not in finalists:
        finalists = [*finalists[:-1], winner]
    leading = [row for row in material.rows if row["number"] in material.curves][:OVERFITTED]
    overfitted = [
        row
        for row in material.rows
        if row["state"] == "PRUNED" and row["reason"] == "overfitting" and row["number"] in material.curves
    ][:OVERFITTED]
    first = finalists or leading
    if not first:
        return None
    limits = loss_limits([material.curves[row["number"]] for row in [*first, *overfitted]])
    return render(
        "learning",
        title="The finalists" if finalists else "The trials that came furthest",
        first=_pictures(material, first, limits),
        overfitted=_pictures(material, overfitted, limits),
    )


def _pictures(material: Material, rows: Sequence[Row], limits: tuple[float, float] | None) -> list[tuple[Html, str]]:
    """The picture of each trial, and what there is to say to it."""
    figures = []
    for row in rows:
        curves = material.curves[row["number"]]
        title = f"trial {row['number']}, {row['architecture']}{', the winner' if row is material.winner else ''}"
        picture = draw_curves(curves, title, limits, stopped_at(curves, row))
        detail = str(row.get("detail") or "")[:300]
        figures.append((picture, detail[:1].upper() + detail[1:]))
    return figures
