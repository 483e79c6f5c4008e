"""What has to be said of cells that are not as those of the training were, gathered over the parts of a table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal


@dataclass
class Finding:
    """Cells of one column that are read, but not as they stand there.

    what: `strange`, neither empty nor what the column holds, are read as empty; `empty` ones were not there in
    training; `unseen` categories were not either. count: how many cells, of `total`. row, place: of the first, from 0
    and in words. values: the texts that they hold, with how often. must: what each cell of the column has to be.
    """

    column: str
    what: Literal["strange", "empty", "unseen"]
    count: int
    total: int
    row: int
    values: Counter[str] = field(default_factory=Counter)
    must: str = ""
    place: str = ""

    def refusal(self) -> str:
        """Why the column cannot be read at all; "" where it can: no cell is what it has to be."""
        if self.count < self.total:
            return ""
        if self.what == "strange":
            return f"{next(iter(self.values))!r} is not a {self.must}"
        if self.what == "unseen" and self.total > 1:
            return f"not one of the {self.total} values was there in training: {self._listed()}"
        return ""

    def __str__(self) -> str:
        if self.what == "unseen":
            words = f"{self.count} of {self.total} values were not there in training: {self._listed()}"
        elif self.what == "empty":
            are = "cell is" if self.count == 1 else "cells are"
            words = f"{self.count} {are} empty, first in row {self.row + 1}, and none was in training: "
            words += "the median stands there"
        else:
            are = "1 cell is" if self.count == 1 else f"{self.count} cells are"
            words = f"{are} read as empty, first {next(iter(self.values))!r} in row {self.row + 1}"
        return f"column '{self.column}': {words}"

    def _listed(self) -> str:
        shown = ", ".join(f"{name!r} ({count})" for name, count in self.values.most_common(5))
        return shown + (", ..." if len(self.values) > 5 else "")


def gather(earlier: list[Finding], found: Iterable[Finding], before: int, rows: int) -> None:
    """Adds what was found in the next `rows` rows of a table to what is known of the `before` ones."""
    for finding in earlier:
        finding.total += rows
    known = {(finding.column, finding.what): finding for finding in earlier}
    for finding in found:
        same = known.get((finding.column, finding.what))
        if same is None:
            finding.total, finding.row = finding.total + before, finding.row + before
            earlier.append(finding)
        else:
            same.count += finding.count
            same.values.update(finding.values)
