"""Two loss curves as text: train `·`, validation `•`, the best epoch `◆`."""

from __future__ import annotations

import math
from collections.abc import Sequence

TRAIN, VALIDATION, BEST = "·", "•", "◆"
MARGIN = 9  # columns left of the frame: a number in four digits, as 1.234e+05
WIDE = 20.0  # a ratio of largest to smallest loss above which the scale is logarithmic


def plot_losses(
    train: Sequence[float], validation: Sequence[float], best: int, width: int = 80, height: int = 12
) -> list[str]:
    """The lines of a plot of the losses by epoch, none wider than `width` columns (at least 30 are used).

    Losses are finite. `best` is the epoch (from 1) that is marked; 0 for none. Empty curves give no lines.
    """
    epochs = len(train)
    if not epochs:
        return []
    columns = max(width, 30) - MARGIN - 2
    low, high = min(*train, *validation), max(*train, *validation)
    logarithmic = low > 0 and high / low > WIDE
    rows = [[" "] * columns for _ in range(height)]
    for values, mark in ((train, TRAIN), (validation, VALIDATION)):
        for column in range(columns) if epochs > 1 else (0,):
            rows[_row(_between(values, column, columns), low, high, height, logarithmic)][column] = mark
    if 1 <= best <= epochs:
        column = _column(best, epochs, columns)
        rows[_row(validation[best - 1], low, high, height, logarithmic)][column] = BEST
    named = {0: f"{high:.4g}", height - 1: f"{low:.4g}"}
    lines = [f"{named.get(i, ''):>{MARGIN}} ┤{''.join(row).rstrip()}" for i, row in enumerate(rows)]
    scale = ", logarithmic" if logarithmic else ""
    title = f"loss{scale}   {TRAIN} train   {VALIDATION} validation   {BEST} best"
    return [title[: max(width, 30)], *lines, " " * MARGIN + " └" + "─" * columns, _epoch_axis(best, epochs, columns)]


def _between(values: Sequence[float], column: int, columns: int) -> float:
    """The curve at a column, on a straight line between two epochs."""
    at = column / max(columns - 1, 1) * (len(values) - 1)
    left = min(int(at), len(values) - 1)
    right = min(left + 1, len(values) - 1)
    return values[left] + (values[right] - values[left]) * (at - left)


def _column(epoch: int, epochs: int, columns: int) -> int:
    return round((epoch - 1) / max(epochs - 1, 1) * (columns - 1))


def _row(value: float, low: float, high: float, height: int, logarithmic: bool) -> int:
    """The row of a value, 0 at the top; a flat curve lies at the bottom."""
    if high == low:
        return height - 1
    if logarithmic:
        value, low, high = math.log(value), math.log(low), math.log(high)
    share = min(max((value - low) / (high - low), 0.0), 1.0)
    return round((1 - share) * (height - 1))


def _epoch_axis(best: int, epochs: int, columns: int) -> str:
    """The first, the best and the last epoch below the axis; the best one is left out where it has no room."""
    first, last = "epoch 1", str(epochs) if epochs > 1 else ""
    axis = first + " " * (columns - len(first) - len(last)) + last
    mark = str(best)
    at = min(max(_column(best, epochs, columns) - len(mark) // 2, 0), columns - len(mark)) if best else 0
    if best and not axis[max(at - 1, 0) : at + len(mark) + 1].strip():
        axis = axis[:at] + mark + axis[at + len(mark) :]
    return " " * (MARGIN + 2) + axis
