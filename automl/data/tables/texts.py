"""The cells of a column as texts. What takes time is done once for each distinct text, or not at all."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import overload

import numpy as np
from numpy.typing import NDArray

from automl.data.tables.numbers import NO_NUMBER, is_empty, plain_number


class Texts(Sequence[str]):
    """`rows`: the text of each row. What is known of the distinct ones is found out when it is asked for."""

    def __init__(self, rows: Iterable[str]):
        self.rows = rows if isinstance(rows, list) else list(rows)

    @classmethod
    def of(cls, cells: Sequence[str]) -> Texts:
        """The cells as such a column, which they may already be."""
        return cells if isinstance(cells, Texts) else cls(cells)

    def __len__(self) -> int:
        return len(self.rows)

    @overload
    def __getitem__(self, row: int) -> str: ...
    @overload
    def __getitem__(self, row: slice) -> list[str]: ...
    def __getitem__(self, row: int | slice) -> str | list[str]:
        return self.rows[row]

    def __iter__(self) -> Iterator[str]:
        return iter(self.rows)

    @cached_property
    def plain(self) -> NDArray[np.float64] | None:
        """float64 [n]: the rows as Python reads them, where all of them are finite numbers."""
        try:
            values = np.fromiter(map(float, self.rows), np.float64, len(self.rows))
        except ValueError:
            return None
        return values if np.isfinite(values).all() and "_" not in "".join(self.rows) else None

    @cached_property
    def _factorized(self) -> tuple[NDArray[np.int64], list[str]]:
        import pandas as pd

        codes, distinct = pd.factorize(np.array(self.rows, dtype=object))
        return codes, distinct.tolist()

    @property
    def distinct(self) -> list[str]:
        """The distinct texts in the order of their first row."""
        return self._factorized[1]

    @property
    def codes(self) -> NDArray[np.int64]:
        """int64 [n]: of each row the place of its text among the distinct ones."""
        return self._factorized[0]

    @cached_property
    def counts(self) -> NDArray[np.int64]:
        """int64 [distinct]: how many rows hold each text."""
        return np.bincount(self.codes, minlength=len(self.distinct))

    @cached_property
    def numbers(self) -> NDArray[np.float64]:
        """float64 [distinct]: the finite numbers that Python reads, NaN for any other text."""
        return np.fromiter(map(plain_number, self.distinct), np.float64, len(self.distinct))

    @cached_property
    def others(self) -> list[int]:
        """The places of the texts that are no such numbers."""
        places: list[int] = np.flatnonzero(np.isnan(self.numbers)).tolist()
        return places

    def empty(self, among_numbers: bool = False) -> NDArray[np.bool_]:
        """bool [distinct]: which texts say nothing, see `is_empty`."""
        found = np.zeros(len(self.distinct), dtype=bool)
        for place in self.others:
            text = self.distinct[place]
            found[place] = len(text.strip()) <= _LONGEST and is_empty(text, among_numbers)
        return found

    def rows_of(self, chosen: NDArray[np.bool_]) -> NDArray[np.int64]:
        """The rows whose text is among the `chosen`, bool [distinct]."""
        return np.flatnonzero(chosen[self.codes]) if chosen.any() else np.zeros(0, dtype=np.int64)


_LONGEST = max(map(len, NO_NUMBER)) + 8
"""No longer text says nothing, whatever unseen marks it may have at its ends."""
