"""The report's pictures of trials: the learning curves of one, and the race of all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from markupsafe import Markup

from automl.racing.curves import TRAIN_LOSS, VALIDATION_LOSS, Curves
from automl.racing.objective import Objective
from automl.results.report.svg import (
    COLOURS,
    PRINTED,
    fence,
    legend,
    new_figure,
    title_of,
    to_png,
    to_svg,
    value_axis,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Line = tuple[str, Sequence[float]]
"""One trial in the picture of the race: what became of it, and its score at each rung it has reached."""

_MARKS = {  # colour, marker, line width, layer: told apart without colours too
    "outpaced": ("muted", ".", 0.7, 1),
    "waiting": ("muted", "d", 0.9, 2),
    "deadline": ("muted", "s", 0.9, 2),
    "diverged": ("overfitting", "+", 1.2, 3),
    "overfitting": ("overfitting", "x", 1.2, 3),
    "complete": ("validation", "o", 1.5, 4),
    "winner": ("ink", "*", 2.4, 5),
}


def draw_curves(
    curves: Curves, title: str, limits: tuple[float, float] | None = None, stopped: int | None = None
) -> Markup:
    """The train and validation loss of one trial, in the page's colours.

    `limits` are the loss axis' ends, for pictures to be compared; see `loss_limits`. `stopped` is the epoch after which
    the training was broken off.
    """
    figure = _plot_curves(curves, title, limits, stopped)
    return to_svg(figure, f"{title}: train and validation {curves.objective.loss} by epoch")


def draw_alone(curves: Curves, title: str, why: str = "") -> bytes:
    """The same as a PNG, in 0.2 s; `why` is why the training ended before its time ("" when it did not)."""
    trained = np.isfinite(curves.values[: curves.folds, :, VALIDATION_LOSS])
    last = int(trained.any(axis=0).sum())  # no fold went further
    return to_png(_plot_curves(curves, title, stopped=last if why else None, why=why, colours=PRINTED))


def _plot_curves(
    curves: Curves,
    title: str,
    limits: tuple[float, float] | None = None,
    stopped: int | None = None,
    why: str = "",
    colours: Mapping[str, str] = COLOURS,
) -> Figure:
    """The fold mean, and the spread (lowest to highest fold) around it.

    A thin line goes on where some folds were trained further than others.
    """
    from matplotlib.ticker import MaxNLocator

    figure, axes = new_figure(colours=colours)
    drawn = []
    lengths = np.isfinite(curves.values[:, :, VALIDATION_LOSS]).sum(axis=1)
    for which, name, style in ((TRAIN_LOSS, "train", "--"), (VALIDATION_LOSS, "validation", "-")):
        values = curves.values[: curves.folds, : curves.epochs(), which]
        if not values.size:
            continue
        epochs = np.arange(1, values.shape[1] + 1)
        drawn.append(values)
        axes.fill_between(epochs, values.min(0), values.max(0), color=colours[name], alpha=0.18, linewidth=0)
        marker = "." if len(epochs) == 1 else ""
        axes.plot(epochs, values.mean(0), style, color=colours[name], linewidth=1.8, label=name, marker=marker)
        if (longest := int(lengths.max())) > len(epochs):
            further = curves.values[lengths == longest, :longest, which].mean(axis=0)
            drawn.append(further)
            axes.plot(np.arange(1, longest + 1), further, style, color=colours[name], linewidth=0.8)
    if best := curves.best_epoch():
        score = curves.objective.value(curves.score())
        label = f"{curves.objective.name} {score:.4g}, epoch {best}"
        height = curves.mean(VALIDATION_LOSS)[best - 1]
        axes.plot([best], [height], "o", color=colours["ink"], markersize=5, label=label)
    if stopped is not None:
        label = f"stopped at epoch {stopped}" + (f": {why}" if why else "")
        axes.axvline(stopped, color=colours["overfitting"], linestyle=":", linewidth=1.6, label=label)
    value_axis(axes, drawn if limits is None or not drawn else [np.asarray(limits)], curves.objective.loss)
    if limits is not None:
        axes.set_ylim(*limits)
    axes.set_xlabel("epoch")
    axes.set_xlim(0.8, curves.values.shape[1] + 0.2)  # all that a trial can earn: one stopped early looks so
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    title_of(axes, title, colours=colours)
    legend(axes, colours)
    return figure


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


def draw_race(lines: Sequence[Line], rungs: Sequence[str], objective: Objective) -> Markup:
    """Who climbed which rung: the rungs (epochs x folds) from left to right, the score there, a line per trial."""
    figure, axes = new_figure()
    kinds = {kind: [scores for k, scores in lines if k == kind] for kind in _MARKS}
    for kind, (colour, marker, width, layer) in _MARKS.items():
        for index, scores in enumerate(kinds[kind]):
            axes.plot(
                range(len(scores)),
                scores,
                color=COLOURS[colour],
                marker=marker,
                markersize=10 if kind == "winner" else 5,
                linewidth=width,
                alpha=0.6 if colour == "muted" else 1.0,
                zorder=layer + 2,
                label=None if index else kind if kind == "winner" else f"{kind} ({len(kinds[kind])})",
            )
    lower = objective.direction == "minimize"
    values = [score for _, scores in lines for score in scores]
    limit = fence(values, lower, value_axis(axes, [values], objective.name, lower))
    if np.isfinite(limit):
        bottom, top = axes.get_ylim()
        axes.set_ylim(*((bottom, limit) if lower else (limit, top)))
    axes.set_xticks(range(len(rungs)), rungs)
    axes.set_xlim(-0.25, max(len(rungs) - 0.75, 0.25))
    axes.set_xlabel("rung (epochs x folds)")
    legend(axes)
    return to_svg(figure, f"The race: the {objective.name} of every trial at each rung it has reached")
