"""A plain table that fits the terminal: columns are left out by rank rather than cut."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from automl.foreign_text import escaped


@dataclass(frozen=True)
class Column:
    """A column's title, its rank (the highest is left out first), and its cells.

    `least` is the width down to which its cells may be wrapped; None: they may not.
    """

    title: str
    rank: int
    cells: Sequence[str]
    right: bool = True
    least: int | None = None

    @property
    def width(self) -> int:
        """The columns of the terminal that it needs, a blank after it included."""
        from rich.cells import cell_len

        widest = max(map(cell_len, (self.title, *self.cells)))
        return (widest if self.least is None else max(cell_len(self.title), min(widest, self.least))) + 1


def print_table(columns: Sequence[Column]) -> list[str]:
    """Prints the columns that have room, at least the three first in rank; returns the titles of the others."""
    from rich.table import Table
    from rich.text import Text

    from automl.cli.terminal import Terminal

    console = Terminal()
    kept = sorted(columns, key=lambda column: column.rank)
    while len(kept) > 3 and sum(column.width for column in kept) > console.width + 1:  # none after the last one
        kept.pop()
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    shown = [column for column in columns if column in kept]
    for column in shown:
        table.add_column(Text(column.title), justify="right" if column.right else "left", no_wrap=column.least is None)
    for cells in zip(*(column.cells for column in shown), strict=True):
        table.add_row(*(Text(escaped(cell)) for cell in cells))
    console.print(table)
    return [column.title for column in columns if column not in kept]
