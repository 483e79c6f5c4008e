"""The section on out-of-fold predictions: the residuals of a regression, the calibration of a classification."""

from __future__ import annotations

from automl.results.report.column_pictures import draw_calibration, draw_residuals
from automl.results.report.context import Context
from automl.results.report.page import Html, render


def out_of_fold(context: Context) -> Html | None:
    """One picture, where the run keeps what it takes."""
    known = context.inspection
    if known is None or (known.calibration is None and known.residuals is None):
        return None
    if known.calibration is not None:
        picture, dots = draw_calibration(known.calibration), 0
    else:
        assert known.residuals is not None
        picture, dots = draw_residuals(known.residuals), len(known.residuals.truth)
    return render(
        "out_of_fold", rows=known.rows, folds=known.folds, calibration=known.calibration, dots=dots, picture=picture
    )
