"""The report's pictures of a table's columns and of out-of-fold predictions."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from automl.models.inspection import Calibration, Dependence, Residuals
from automl.results.report.formatting import shortened
from automl.results.report.scatter import STYLES
from automl.results.report.svg import COLOURS, SMALL, new_figure, plain_ticks, title_of, to_svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Values = NDArray[np.float64]
Arguments = ParamSpec("Arguments")

SECONDS = (-6.2e10, 2.5e11)  # since 1970: what has a date of four digits
LETTERS = 14  # of a category below the axis
WIDE = 100  # times the smallest is the largest of numbers on a logarithmic axis
STEPS = 10  # parts of the predictions, each with the median of its residuals


def _quiet(draw: Callable[Arguments, Markup]) -> Callable[Arguments, Markup]:
    """Names from data may have letters that matplotlib has no font for: the browser that shows them has one."""

    @wraps(draw)
    def drawn(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Markup:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            return draw(*args, **kwargs)

    return drawn


@_quiet
def draw_dependence(found: Dependence, classification: bool = False) -> Markup:
    """Mean predictions by the value of a column: a line an output, the mean over the folds, with their range.

    Where there are several outputs, their colours are those of `STYLES`.
    """
    figure, axes = new_figure(SMALL)
    values = np.array(found.values)
    places = np.arange(len(values)) if found.names else _axis_of(axes, found, values)
    alone = len(found.outputs) == 1
    for curves, (colour, marker, _) in zip(found.means, STYLES, strict=False):
        folds, colour = np.array(curves), COLOURS["validation" if alone else colour]
        mean, low, high = folds.mean(axis=0), folds.min(axis=0), folds.max(axis=0)
        if found.names:
            axes.vlines(places, low, high, color=colour, linewidth=5, alpha=0.25)
            axes.plot(places, mean, marker, color=colour, markersize=5.5)
        else:
            axes.fill_between(places, low, high, color=colour, alpha=0.18, linewidth=0)
            axes.plot(places, mean, color=colour, linewidth=1.6, marker="." if alone else marker, markersize=4)
    if found.names:
        _name_places(axes, [shortened(name, LETTERS) for name in found.names])
    of = shortened(found.outputs[0], 20)
    said = f"probability of {of}" if classification else of
    axes.set_ylabel(said if alone else "probability", parse_math=False)
    title_of(axes, shortened(found.name, 40))
    return to_svg(figure, f"Partial dependence of {', '.join(found.outputs)} on {found.name}")


def _axis_of(axes: Axes, found: Dependence, values: Values) -> NDArray[Any]:
    """Where the values stand on the x axis, which is set up: of dates, of logarithms, or plain."""
    if found.kind == "date" and SECONDS[0] < values.min() and values.max() < SECONDS[1]:
        from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

        locator = AutoDateLocator(maxticks=5)  # type: ignore[no-untyped-call]
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
        return values.astype("datetime64[s]")
    if values.min() > 0 and values.max() > WIDE * values.min():
        axes.set_xscale("log")
        plain_ticks(axes.xaxis, float(values.min()), float(values.max()), (1.0, 2.0, 5.0), 5)
    else:
        axes.locator_params(axis="x", nbins=5)
    return values


def _name_places(axes: Axes, names: list[str]) -> None:
    narrow = len(names) * max(map(len, names)) > 36
    axes.set_xticks(range(len(names)), names, parse_math=False, rotation=30 if narrow else 0)
    if narrow:
        for label in axes.get_xticklabels():
            label.set_horizontalalignment("right")
    axes.set_xlim(-0.5, len(names) - 0.5)


@_quiet
def draw_residuals(found: Residuals) -> Markup:
    """Prediction minus truth by prediction, with the median and the middle four fifths of each part."""
    figure, axes = new_figure()
    predicted = np.array(found.predicted)
    residuals = predicted - np.array(found.truth)
    axes.axhline(0, color=COLOURS["muted"], linewidth=1)
    axes.plot(predicted, residuals, ".", color=COLOURS["validation"], markersize=3, alpha=0.45)
    parts = [part for part in np.array_split(np.argsort(predicted, kind="stable"), STEPS) if len(part)]
    places = [float(np.median(predicted[part])) for part in parts]
    low, middle, high = np.array([np.quantile(residuals[part], [0.1, 0.5, 0.9]) for part in parts]).T
    axes.fill_between(places, low, high, color=COLOURS["train"], alpha=0.3, linewidth=0, zorder=3)
    axes.plot(places, middle, color=COLOURS["train"], linewidth=2.2, zorder=4)
    axes.set_xlabel("prediction")
    axes.set_ylabel("prediction - truth")
    title_of(axes, f"Residuals of {shortened(found.target, 40)}")
    return to_svg(figure, f"Residuals of {found.target} by prediction, out of fold")


@_quiet
def draw_calibration(found: Calibration) -> Markup:
    """A reliability diagram: how often came true what was said with some probability."""
    figure, axes = new_figure()
    said = np.array([each.predicted for each in found.bins])
    came = np.array([each.observed for each in found.bins])
    ends = np.abs(np.array([[each.low, each.high] for each in found.bins]).T - came)
    axes.plot([0, 1], [0, 1], color=COLOURS["muted"], linewidth=1)
    axes.errorbar(
        said, came, yerr=ends, fmt="o-", color=COLOURS["validation"], markersize=4.5, linewidth=1.2, elinewidth=1.4
    )
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-0.02, 1.02)
    what = f"of {shortened(found.of, 30)}" if found.of else "of the most probable class"
    axes.set_xlabel(f"predicted probability {what}", parse_math=False)
    axes.set_ylabel("share that came true")
    title_of(axes, f"Calibration {what}")
    return to_svg(figure, f"Calibration {what}: share that came true by predicted probability, out of fold")
