"""The report's pictures: matplotlib figures as SVG that stands inline in a page and takes its colours.

Figures are drawn in stand-in colours, which become CSS variables of the page, so one picture serves light and dark. No
pyplot: it keeps figures in a global state.
"""

from __future__ import annotations

import html
import io
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from automl.racing.curves import TRAIN_LOSS, VALIDATION_LOSS, Curves
from automl.racing.objective import Objective

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Line = tuple[str, Sequence[float]]
"""One trial in the picture of the race: what became of it, and its score at each rung it has reached."""

_COLOURS = {
    "ink": "#010101",
    "muted": "#020202",
    "grid": "#030303",
    "train": "#040404",
    "validation": "#050505",
    "overfitting": "#060606",
}
_SIZE = (5.4, 3.5)  # inches; small, so that the letters stay readable on a narrow screen
_MARKS = {  # colour, marker, line width, layer: told apart without colours too
    "outpaced": ("muted", ".", 0.7, 1),
    "waiting": ("muted", "d", 0.9, 2),
    "overfitting": ("overfitting", "x", 1.2, 3),
    "complete": ("validation", "o", 1.5, 4),
    "winner": ("ink", "*", 2.4, 5),
}


def draw_curves(curves: Curves, title: str, limits: tuple[float, float] | None = None) -> str:
    """The train and validation loss of one trial: the fold mean, and the spread (lowest to highest fold) around it.

    `limits` are the loss axis' ends, for pictures to be compared; see `loss_limits`.
    """
    from matplotlib.ticker import MaxNLocator

    figure, axes = _figure()
    drawn = []
    for which, name, style in ((TRAIN_LOSS, "train", "--"), (VALIDATION_LOSS, "validation", "-")):
        values = curves.values[: curves.folds, : curves.epochs(), which]
        if not values.size:
            continue
        epochs = np.arange(1, values.shape[1] + 1)
        drawn.append(values)
        axes.fill_between(epochs, values.min(0), values.max(0), color=_COLOURS[name], alpha=0.18, linewidth=0)
        marker = "." if len(epochs) == 1 else ""
        axes.plot(epochs, values.mean(0), style, color=_COLOURS[name], linewidth=1.8, label=name, marker=marker)
    if best := curves.best_epoch():
        score = curves.objective.value(curves.score())
        label = f"{curves.objective.name} {score:.4g}, epoch {best}"
        height = curves.mean(VALIDATION_LOSS)[best - 1]
        axes.plot([best], [height], "o", color=_COLOURS["ink"], markersize=5, label=label)
    _value_axis(axes, drawn, curves.objective.loss)
    if limits is not None:
        axes.set_ylim(*limits)
    axes.set_xlabel("epoch")
    axes.set_xlim(0.8, curves.values.shape[1] + 0.2)  # all that a trial can earn: one stopped early looks so
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_title(title, fontsize=10, color=_COLOURS["ink"], loc="left", parse_math=False)
    _legend(axes)
    return _svg(figure, f"{title}: train and validation {curves.objective.loss} by epoch")


def loss_limits(all_curves: Sequence[Curves]) -> tuple[float, float] | None:
    """The ends of a loss axis on which all of these curves lie; None when nothing was trained."""
    found = [
        values[np.isfinite(values)] for values in (c.values[:, :, [TRAIN_LOSS, VALIDATION_LOSS]] for c in all_curves)
    ]
    losses = np.concatenate(found) if found else np.empty(0)
    if not losses.size:
        return None
    low, high = float(losses.min()), float(losses.max())
    return (low / 1.15, high * 1.15) if low > 0 else (low - 0.05 * (high - low), high + 0.05 * (high - low))


def draw_race(lines: Sequence[Line], rungs: Sequence[str], objective: Objective) -> str:
    """Who climbed which rung: the rungs (epochs x folds) from left to right, the score there, a line per trial."""
    figure, axes = _figure()
    kinds = {kind: [scores for k, scores in lines if k == kind] for kind in _MARKS}
    for kind, (colour, marker, width, layer) in _MARKS.items():
        for index, scores in enumerate(kinds[kind]):
            axes.plot(
                range(len(scores)),
                scores,
                color=_COLOURS[colour],
                marker=marker,
                markersize=10 if kind == "winner" else 5,
                linewidth=width,
                alpha=0.6 if colour == "muted" else 1.0,
                zorder=layer + 2,
                label=None if index else kind if kind == "winner" else f"{kind} ({len(kinds[kind])})",
            )
    _value_axis(axes, [np.asarray(scores) for _, scores in lines], objective.name, objective.direction == "minimize")
    axes.set_xticks(range(len(rungs)), rungs)
    axes.set_xlim(-0.25, max(len(rungs) - 0.75, 0.25))
    axes.set_xlabel("rung (epochs x folds)")
    _legend(axes)
    return _svg(figure, f"The race: the {objective.name} of every trial at each rung it has reached")


def scores_by_rung(curves: Curves, rungs: Sequence[tuple[int, int]]) -> list[float]:
    """The scores of a trial at the rungs (epochs, folds) that it has reached, from the lowest up."""
    scores: list[float] = []
    for epochs, folds in rungs:
        if curves.folds < folds or curves.epochs(folds) < epochs:
            break
        scores.append(curves.objective.value(curves.score(folds, epochs)))
    return scores


def _figure() -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=_SIZE, layout="constrained")
    axes = figure.add_subplot()
    axes.set_facecolor("none")
    axes.grid(color=_COLOURS["grid"], linewidth=0.7)
    axes.set_axisbelow(True)
    axes.tick_params(which="both", colors=_COLOURS["muted"], length=0, labelsize=9)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(_COLOURS["grid"])
    for label in (axes.xaxis.label, axes.yaxis.label):
        label.set(color=_COLOURS["muted"], fontsize=9)
    return figure, axes


def _value_axis(axes: Axes, values: Sequence[Any], name: str, lower_is_better: bool = True) -> None:
    """Logarithmic for losses where it can be: late differences are small beside the first epochs."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    axes.set_ylabel(name, parse_math=False)
    if values and lower_is_better and all((v > 0).all() for v in values):
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 1.5, 2.0, 3.0, 5.0, 7.0), numticks=12))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def _legend(axes: Axes) -> None:
    if axes.get_legend_handles_labels()[0]:
        legend = axes.legend(fontsize=9, frameon=False, labelcolor=_COLOURS["ink"])
        for text in legend.get_texts():
            text.set_parse_math(False)


def _svg(figure: Figure, title: str) -> str:
    """The figure as an `<svg>` element without addresses, in the colours of the page."""
    import matplotlib

    buffer = io.StringIO()
    # The salt makes names inside the picture the same in every run, and different in every picture.
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": title}):
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    svg = re.sub(r"<metadata>.*?</metadata>", "", buffer.getvalue(), flags=re.DOTALL)
    svg = svg[svg.index("<svg") :]
    head, _, body = svg.partition(">")
    box = re.search(r'viewBox="[^"]*"', head)
    body = re.sub(r'<g id="[^"]*"', "<g", body)  # two pictures of a page would have the same names
    for name, colour in _COLOURS.items():
        body = body.replace(colour, f"var(--{name})")
    return f'<svg {box[0] if box else ""} role="img" aria-label="{html.escape(title)}">{body}'
