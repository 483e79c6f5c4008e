"""The sections on the columns of a table: which of them matter, what they hold, and how they differ in the test set."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from automl.data.drift import CHANCE, Drift
from automl.data.table_columns import ColumnSummary
from automl.data.tables.columns import Kind
from automl.models.inspection import Dependence, Importance
from automl.results.report.column_pictures import SECONDS, draw_dependence
from automl.results.report.context import Context
from automl.results.report.formatting import number, percent
from automl.results.report.page import Html, render
from automl.results.report.scatter import STYLES

FOLDED = 12  # columns, above which their table is folded away
MOVED = 20  # columns that differ, shown unfolded
ROOM = 1.6  # times the largest importance: how far an interval is shown
TAKEN_FOR = {"boolean": "true or false", "left out": "left out"}

Row = tuple[str, str, float, float, float | None, float | None, bool]
"""A column's name, its importance in words, and in percent of the width where the bar and the interval stand."""


def column_importances(context: Context) -> Html | None:
    """Permutation importance of the columns and partial dependence on the first of them, or why there is none."""
    known = context.inspection
    if known is None:
        if context.record.data.kind != "table" or context.final is None:
            return None
        why = "the run keeps none; a search makes it when it has come to its end"
        return render("column_importances", left_out=why)
    if known.photos is not None:
        return None
    if known.left_out or not known.importances:
        return render("column_importances", left_out=known.left_out or f"{known.metric} is not defined on these rows")
    classification = context.record.data.task != "regression"
    return render(
        "column_importances",
        left_out="",
        metric=known.metric,
        score=number(known.score),
        trial=known.trial,
        folds=known.folds,
        epochs=known.epochs,
        too_long=known.epochs - context.final.epochs if context.final else 0,
        rows=known.rows,
        repeats=known.repeats,
        columns=known.columns,
        screened=known.screened,
        bars=bars_of(known.importances),
        key=_key(known.dependences),
        classification=classification,
        pictures=[(draw_dependence(each, classification), "") for each in known.dependences],
    )


def _key(dependences: Sequence[Dependence]) -> list[tuple[str, str, str]]:
    """Name, colour and letter of the outputs, where there are several."""
    outputs = dependences[0].outputs if dependences else ()
    styles = zip(outputs, STYLES, strict=False)
    return [(name, colour, letter) for name, (colour, _, letter) in styles] if len(outputs) > 1 else []


def bars_of(importances: Sequence[Importance]) -> list[Row]:
    """The bars on one axis, which holds 0 and every mean; an interval that is far wider is cut off."""
    means = [each.mean for each in importances]
    top = max([0.0, *means])
    ends = [end for each in importances for end in each.ends or ()]
    high = min(max([top, *ends]), ROOM * top) if top else max([0.0, *ends])
    low = max(min([0.0, *ends]), -ROOM / 4 * top) if top else min([0.0, *ends])
    low = min([low, *means])
    width = (high - low) or 1.0

    def place(value: float) -> float:
        return 100 * (min(max(value, low), high) - low) / width

    rows: list[Row] = []
    for each in importances:
        half = None if each.ends is None else (each.ends[1] - each.ends[0]) / 2
        text = number(each.mean) if half is None else with_error(each.mean, half, top / 100)
        left, right = sorted((place(0.0), place(each.mean)))
        start, end = (None, None) if each.ends is None else (place(each.ends[0]), place(each.ends[1]))
        rows.append((each.name, text, left, right - left, start, end, each.beyond_chance))
    return rows


def with_error(value: float, error: float, least: float = 0.0) -> str:
    """A value to the second digit of its error, or of `least` where that is larger: `131 ± 14`."""
    told = max(error, least)
    if not 1e-6 <= told < 1e6:
        return f"{value:.3g} ± {error:.2g}"
    decimals = max(0, 1 - math.floor(math.log10(told)))
    return f"{value:,.{decimals}f} ± {error:,.{decimals}f}"


def columns(context: Context) -> Html | None:
    """What each column holds, and the drift between training part and test set."""
    known = context.inspection
    if known is None or not known.summaries:
        return None
    moved = [drift for drift in known.drift if drift.beyond_chance]
    return render(
        "columns",
        total=known.columns + sum(summary.kind == "left out" for summary in known.summaries),
        folded=len(known.summaries) > FOLDED,
        headers=["column", "taken for", "missing", "distinct", "values"],
        rows=[_summary_row(summary) for summary in known.summaries],
        summarised=known.summarised,
        drift=[_drift_row(drift) for drift in known.drift],
        drift_headers=["column", "distance", "p", "measure"],
        moved=moved,
        shown=[_drift_row(drift) for drift in moved[:MOVED]],
        chance=CHANCE,
        groups=context.settings.groups is not None,
    )


def _summary_row(summary: ColumnSummary) -> tuple[str, str, str, str, str]:
    kind = TAKEN_FOR.get(summary.kind, summary.kind)
    if summary.kind == "left out":
        return summary.name, kind, "", "", summary.reason
    missing = percent(summary.missing) if summary.missing >= 0.005 or not summary.missing else "< 1 %"
    if summary.frequent:
        values = ", ".join(f"{name} {percent(min(1.0, max(0.0, share)))}" for name, share in summary.frequent)
        values += ", …" if summary.distinct > len(summary.frequent) else ""
    else:
        values = ", ".join(_figure(value, summary.kind) for value in summary.quantiles)
    return summary.name, kind, missing, f"{summary.distinct:,}", values


def _figure(value: float, kind: Kind) -> str:
    if kind == "date" and SECONDS[0] < value < SECONDS[1]:
        return str(np.datetime64(int(value), "s").astype("datetime64[D]"))
    if 10_000 <= abs(value) < 1e9:  # a year has no comma
        return f"{value:,.6g}"
    return f"{value:.5g}"


def _drift_row(drift: Drift) -> tuple[str, str, str, str]:
    return drift.name, f"{drift.statistic:.3f}", f"{drift.p:.2g}" if drift.p >= 1e-6 else "< 0.000001", drift.measure
