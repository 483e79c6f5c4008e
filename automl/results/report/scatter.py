"""The report's pictures of many trials by a parameter, and of predictions against the truth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from automl.racing.objective import Objective
from automl.results.report.svg import COLOURS, SMALL, fence, new_figure, plain_ticks, title_of, to_svg, value_axis

if TYPE_CHECKING:
    from matplotlib.axes import Axes

STYLES = (("one", "o", "●"), ("two", "s", "■"), ("three", "^", "▲"), ("four", "D", "◆"), ("five", "P", "✚"))
"""Colour, matplotlib's marker and its letter, for the families of trials that are told apart."""

OTHERS = ("muted", "v", "▼")
LEVELS = 8  # so many distinct values at most stand side by side, each with its median


@dataclass(frozen=True)
class Dot:
    """A trial: the value of the parameter, the score (None: it was outpaced before it had one), the architecture.

    `winner` is drawn as a star.
    """

    value: Any
    score: float | None
    family: str
    winner: bool = False


def styles(families: Sequence[str]) -> dict[str, tuple[str, str, str]]:
    """The style of each family, by its name; those beyond the palette share one."""
    return {name: STYLES[i] if i < len(STYLES) else OTHERS for i, name in enumerate(families)}


def draw_scores(
    dots: Sequence[Dot], name: str, objective: Objective, families: Sequence[str], *, continuous: bool, log: bool
) -> Markup:
    """The score of trials by one parameter: a dot a trial, in the colour and shape of its architecture.

    Numbers that are `continuous`, or many, stand on an axis (`log`: a logarithmic one), other values side by side with
    their medians. What lies beyond the scores' axis, and what has no score, is a pale triangle at its bad end; at least
    one dot has a score.
    """
    figure, axes = new_figure(SMALL)
    lower = objective.direction == "minimize"
    known = np.array([dot.score for dot in dots if dot.score is not None])
    worst = float(known.max() if lower else known.min())
    limit = fence(known.tolist(), lower, value_axis(axes, [known], objective.name, lower))
    limit = limit if np.isfinite(limit) else worst
    scores = np.array([limit if dot.score is None else dot.score for dot in dots])
    beyond = np.array([dot.score is None for dot in dots]) | (scores > limit if lower else scores < limit)
    scores = np.where(beyond, limit, scores)
    levels = _levels(dots, continuous)
    places = _places(axes, dots, levels, log)
    for family, (colour, marker, _) in styles(families).items():
        own = np.array([dot.family == family for dot in dots])
        shown, pale = own & ~beyond, own & beyond
        axes.plot(places[shown], scores[shown], marker, color=COLOURS[colour], markersize=4.5, alpha=0.8, zorder=3)
        # A little beyond the axis, so that nobody takes it for a score.
        edge = axes.get_xaxis_transform()
        axes.plot(
            places[pale], np.full(pale.sum(), 1.04 if lower else -0.04), "^" if lower else "v",
            color=COLOURS[colour], markersize=4.5, alpha=0.45, clip_on=False, transform=edge,
        )  # fmt: skip
    for place, level in enumerate(levels or ()):
        own = np.array([_text(dot.value) == level for dot in dots])
        if own.sum() > 1 and 2 * beyond[own].sum() < own.sum():
            median = float(np.median(scores[own]))
            axes.plot([place - 0.3, place + 0.3], [median, median], color=COLOURS["ink"], linewidth=1.4, zorder=4)
    for place, score, dot in zip(places, scores, dots, strict=True):
        if dot.winner:
            axes.plot([place], [score], "*", color=COLOURS["ink"], markersize=11, zorder=5)
    title_of(axes, name, pad=16 if lower and beyond.any() else 6)
    return to_svg(figure, f"The {objective.name} of the trials by {name}")


def draw_truth(truth: NDArray[Any], predicted: NDArray[Any], name: str) -> Markup:
    """Predictions against the truth, in the target's units, with the line on which they agree."""
    figure, axes = new_figure()
    ends = [float(min(truth.min(), predicted.min())), float(max(truth.max(), predicted.max()))]
    axes.plot(ends, ends, color=COLOURS["muted"], linewidth=1, label="equal")
    axes.plot(truth, predicted, ".", color=COLOURS["validation"], markersize=4, alpha=0.6)
    axes.set_xlabel("truth")
    axes.set_ylabel("prediction")
    title_of(axes, name)
    return to_svg(figure, f"{name}: prediction by truth, on the test set")


def _levels(dots: Sequence[Dot], continuous: bool) -> list[str] | None:
    """The values that stand side by side, in order; None for an axis of numbers."""
    values = {_text(dot.value): dot.value for dot in dots}
    numbers = all(isinstance(value, int | float) for value in values.values())
    if numbers and (continuous or len(values) > LEVELS):
        return None
    return sorted(values, key=lambda text: (values[text] if numbers else 0, text))


def _places(axes: Axes, dots: Sequence[Dot], levels: Sequence[str] | None, log: bool) -> NDArray[np.float64]:
    """Where each dot stands on the x axis, which is set up."""
    if levels is None:
        places = np.array([float(dot.value) for dot in dots])
        if log and places.min() > 0:
            axes.set_xscale("log")
            plain_ticks(axes.xaxis, float(places.min()), float(places.max()), (1.0, 2.0, 5.0), 4)
        return places
    texts = [level if len(level) <= 12 else level[:11] + "…" for level in levels]
    axes.set_xlim(-0.6, len(levels) - 0.4)
    narrow = len(levels) * max(map(len, texts)) > 40
    axes.set_xticks(range(len(levels)), texts, parse_math=False, rotation=30 if narrow else 0)
    if narrow:
        for label in axes.get_xticklabels():
            label.set_horizontalalignment("right")
    index: Mapping[str, int] = {level: place for place, level in enumerate(levels)}
    places = np.array([index[_text(dot.value)] for dot in dots], dtype=np.float64)
    # A shift of its own for each dot of a value, so that equal scores do not hide each other; the same in every run.
    seen: dict[float, int] = {}
    for i, place in enumerate(places):
        seen[place] = seen.get(place, -1) + 1
        places[i] += 0.4 * ((seen[place] * 0.6180339887) % 1 - 0.5)
    return places


def _text(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
