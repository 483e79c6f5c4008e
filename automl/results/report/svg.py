"""Pictures of the report: matplotlib figures as SVG that stands inline in a page and takes its colours.

Figures are drawn in stand-in colours, which become CSS variables of the page, so one picture serves light and dark. No
pyplot: it keeps figures in a global state.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from markupsafe import Markup

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

COLOURS = {
    "ink": "#010101",
    "muted": "#020202",
    "grid": "#030303",
    "train": "#040404",
    "validation": "#050505",
    "overfitting": "#060606",
    "one": "#010102",
    "two": "#010103",
    "three": "#010104",
    "four": "#010105",
    "five": "#010106",
}
"""Names of the page's colours, and what stands in for them while drawing."""

PRINTED = {
    "ink": "#1b1b1a",
    "muted": "#62615e",
    "grid": "#dddcd8",
    "train": "#c2571a",
    "validation": "#2a6fc9",
    "overfitting": "#b3261e",
}
"""The colours themselves, for a picture that stands by itself on white."""

WIDE = (5.4, 3.5)  # inches; small, so that the letters stay readable on a narrow screen
SMALL = (3.5, 2.6)


def new_figure(size: tuple[float, float] = WIDE, colours: Mapping[str, str] = COLOURS) -> tuple[Figure, Axes]:
    """An empty figure in the report's style, and its axes."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained")
    axes = figure.add_subplot()
    axes.set_facecolor("none")
    axes.grid(color=colours["grid"], linewidth=0.7)
    axes.set_axisbelow(True)
    axes.tick_params(which="both", colors=colours["muted"], length=0, labelsize=9)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(colours["grid"])
    for label in (axes.xaxis.label, axes.yaxis.label):
        label.set(color=colours["muted"], fontsize=9)
    return figure, axes


def title_of(axes: Axes, text: str, pad: float = 6.0, colours: Mapping[str, str] = COLOURS) -> None:
    """Sets the title, `pad` points above the axes; dollar signs are no formulas."""
    axes.set_title(text, fontsize=10, color=colours["ink"], loc="left", pad=pad, parse_math=False)


def value_axis(axes: Axes, values: Sequence[Any], name: str, lower_is_better: bool = True) -> bool:
    """Names the y axis; logarithmic for losses where it can be: late differences are small beside the first epochs.

    Returns whether it is logarithmic.
    """
    axes.set_ylabel(name, parse_math=False)
    if not (values and lower_is_better and all((np.asarray(v) > 0).all() for v in values)):
        return False
    axes.set_yscale("log")
    plain_ticks(axes.yaxis, *_ends(values), (1.0, 1.5, 2.0, 3.0, 5.0, 7.0), 10)
    return True


def plain_ticks(axis: Axis, low: float, high: float, steps: tuple[float, ...], most: int) -> None:
    """Labels a logarithmic axis from `low` to `high` with about `most` plain numbers, at best at `steps` a decade."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    decades = np.log10(high / low) if low > 0 and np.isfinite(high) else 0.0
    subs = next((each for each in (steps, (1.0, 3.0)) if len(each) * decades <= most), (1.0,))
    axis.set_major_locator(LogLocator(subs=subs, numticks=12))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def _ends(values: Sequence[Any]) -> tuple[float, float]:
    known = np.concatenate([np.ravel(v) for v in values])
    known = known[np.isfinite(known)]
    return (float(known.min()), float(known.max())) if known.size else (1.0, 1.0)


def fence(values: Sequence[float], lower_is_better: bool, log: bool) -> float:
    """How far the bad side of an axis needs to reach: three quartile distances beyond the quartile (Tukey's far out).

    A few diverged trials would else press all others into a line. Infinite (or minus that) when there is no such limit.
    """
    known = np.asarray(values, dtype=np.float64)
    known = known[np.isfinite(known)]
    if not known.size:
        return float("inf") if lower_is_better else -float("inf")
    known = np.log(known) if log else known if lower_is_better else -known
    low, high = np.percentile(known, [25, 75])
    limit = float(high + 3 * (high - low))
    if limit >= known.max() or low == high:
        limit = np.inf
    return float(np.exp(limit)) if log else limit if lower_is_better else -limit


def legend(axes: Axes, colours: Mapping[str, str] = COLOURS) -> None:
    """A legend, where anything has a label."""
    if axes.get_legend_handles_labels()[0]:
        drawn = axes.legend(fontsize=9, frameon=False, labelcolor=colours["ink"])
        for text in drawn.get_texts():
            text.set_parse_math(False)


def to_svg(figure: Figure, title: str) -> Markup:
    """The figure as an `<svg>` element without addresses, in the colours of the page; `title` is read to the blind."""
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
    for name, colour in COLOURS.items():
        body = body.replace(colour, f"var(--{name})")
    opened = Markup('<svg {} role="img" aria-label="{}">').format(Markup(box[0]) if box else "", title)
    return opened + Markup(body)


def to_png(figure: Figure) -> bytes:
    """The figure on white, as a PNG."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=130, facecolor="white")
    return buffer.getvalue()
