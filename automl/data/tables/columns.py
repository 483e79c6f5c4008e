"""The columns of a table: what each is taken for, and how its cells become numbers and codes.

A `Column` is the record of that. It is made once, from the data of a search, and travels in the model: whatever the
model is shown later is read by the same record, or refused.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from automl.data.keys import normal_key
from automl.data.tables.dates import DAY, Part, part_of_dates, read_dates
from automl.data.tables.features import Feature
from automl.data.tables.findings import Finding
from automl.data.tables.numbers import FALSE, TRUE, NumberFormat, is_empty, plain_number
from automl.data.tables.numbers import read_numbers as read_formatted
from automl.data.tables.texts import Texts

Kind = Literal["number", "boolean", "date", "category", "left out"]

MAX_CATEGORIES = 10_000
"""Of more distinct texts the most frequent are categories, and the others count as unknown ones."""


@dataclass(frozen=True)
class Declared:
    """Cells whose kind is known, as of a DataFrame with a dtype: no text has to be understood.

    values: [n] float64 with NaN for an empty cell (number; boolean as 0 and 1; date in seconds since 1970, UTC), or
    texts, '' being empty (category).
    """

    kind: Literal["number", "boolean", "date", "category"]
    values: Any

    @cached_property
    def texts(self) -> Texts:
        """The cells as a csv would hold them."""
        return Texts(self._written())

    def _written(self) -> Iterable[str]:
        if self.kind == "category":
            return list(self.values)
        if self.kind == "boolean":
            return ["" if np.isnan(v) else str(bool(v)) for v in self.values]
        if self.kind == "date":
            whole = np.where(np.isnan(self.values), 0, np.round(self.values * 1e6)).astype("datetime64[us]").tolist()
            return ["" if np.isnan(v) else date.isoformat() for v, date in zip(self.values, whole, strict=True)]
        return ["" if np.isnan(v) else repr(v).removesuffix(".0") for v in self.values.tolist()]


Cells = Sequence[str] | Declared


class Unreadable(ValueError):
    """A cell that does not fit its column: `row` from 0, and what is wrong with it."""

    def __init__(self, row: int, problem: str):
        super().__init__(problem)
        self.row = row
        self.problem = problem


class Column(BaseModel):
    """One column of a table, by its name, and what its cells are.

    missing: whether cells were empty, or hold something else than a number or date. categories: the texts of a
    category; the first has the code 1, an empty cell 0. parts: what a date is taken apart into beside its days.
    decimal, thousands, unit: how numbers are written. binary: numbers that are all 0 or 1, so that `TRUE` is one of
    them. date_format: as in `automl.data.tables.dates`. reason: why the column is left out.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    kind: Kind
    missing: bool = False
    parts: tuple[Part, ...] = ()
    categories: tuple[str, ...] = ()
    decimal: Literal[".", ","] = "."
    thousands: Literal["", ",", ".", " ", "'"] = ""
    unit: str = ""
    binary: bool = False
    date_format: str = ""
    reason: str = ""

    @property
    def features(self) -> tuple[Feature, ...]:
        """What the samples hold of it."""
        if self.kind == "left out":
            return ()
        if self.kind == "category":
            return (Feature(self.name, "category", len(self.categories) + 1, self.missing),)
        # One input that says 'missing' is enough for all parts of a date.
        return (Feature(self.name, missing=self.missing), *(Feature(f"{self.name} {part}") for part in self.parts))

    def matrix(self, cells: Cells) -> tuple[NDArray[np.float64], list[Finding]]:
        """The features [n, features] of the cells, and what has to be said about them.

        Raises `Unreadable` for a cell that does not fit.
        """
        cells = cells if isinstance(cells, Declared) else Texts.of(cells)
        values, found = self._codes(texts_of(cells)) if self.kind == "category" else self.values(cells)
        if self.kind == "date":
            return np.column_stack([values / DAY, *(part_of_dates(values, part) for part in self.parts)]), found
        return values[:, None], found

    def values(self, cells: Cells) -> tuple[NDArray[np.float64], list[Finding]]:
        """The numbers [n] that the cells are, NaN for an empty one, and findings; of dates the seconds since 1970."""
        values, strange = self.read(cells)
        found = []
        if len(strange):
            row, text = int(strange[0]), texts_of(cells)[int(strange[0])].strip()
            if not self.missing:
                raise Unreadable(row, f"{text!r} is not a {self.what()}")
            held = Counter({text: len(strange)})
            found.append(Finding(self.name, "strange", len(strange), len(values), row, held, self.what()))
        empty = np.flatnonzero(np.isnan(values))
        if len(empty) and not self.missing:
            found.append(Finding(self.name, "empty", len(empty), len(values), int(empty[0])))
        large = np.abs(values) > np.finfo(np.float32).max
        if large.any():
            row = int(np.flatnonzero(large)[0])
            raise Unreadable(row, f"{texts_of(cells)[row].strip()!r} is too large for 32 bits")
        return values, found

    def what(self) -> str:
        """What each of its cells has to be."""
        if self.kind == "date":
            return "date" + ("" if self.date_format in ("", "ISO8601") else f" as {self.date_format}")
        if self.kind == "boolean":
            return "truth value"
        marks = self.marks()
        return "finite number" + (f" ({', '.join(marks)})" if marks else "")

    def marks(self) -> list[str]:
        """How its numbers are written, in words; nothing for plain ones."""
        marks = [f"decimal mark '{self.decimal}'"] if self.decimal == "," or self.thousands else []
        marks += [f"'{self.thousands}' between thousands"] if self.thousands else []
        return marks + ([f"unit '{self.unit}'"] if self.unit else [])

    def read(self, cells: Cells) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """The numbers [n], and the rows whose cells are neither such a number nor empty."""
        if isinstance(cells, Declared) and cells.kind != "category":
            values = np.asarray(cells.values, dtype=np.float64)
            strange = np.zeros(len(values), dtype=bool)
            if (cells.kind == "date") != (self.kind == "date"):
                strange = ~np.isnan(values)
            elif self.kind == "boolean":
                strange = ~np.isnan(values) & (values != 0) & (values != 1)
            return np.where(strange, np.nan, values), np.flatnonzero(strange)
        texts = texts_of(cells)
        if self._is_plain and texts.plain is not None:
            return texts.plain, np.zeros(0, dtype=np.int64)
        values = self.parse(texts)
        return values[texts.codes], texts.rows_of(np.isnan(values) & ~texts.empty(among_numbers=True))

    @property
    def _is_plain(self) -> bool:
        """Whether its numbers are written as Python writes them."""
        return self.kind == "number" and (self.decimal, self.thousands, self.unit) == (".", "", "")

    def parse(self, texts: Texts) -> NDArray[np.float64]:
        """float64 [distinct]: the number that each text is, NaN for what is none."""
        if self.kind == "date":
            return read_dates(texts.distinct, self.date_format or "ISO8601")
        form = NumberFormat(self.decimal, self.thousands, self.unit)
        if self._is_plain:  # most columns: what is left for a closer look is short
            values = texts.numbers.copy()
            values[texts.others] = read_formatted([texts.distinct[place] for place in texts.others], form)
        else:
            values = read_formatted(texts.distinct, form)
        if self.kind == "boolean":
            values = np.where((values == 0) | (values == 1), values, np.nan)
        if self.kind == "boolean" or self.binary:
            for place in texts.others:
                word = truth(texts.distinct[place])
                values[place] = values[place] if np.isnan(word) else word
        return values

    def _codes(self, texts: Texts) -> tuple[NDArray[np.float64], list[Finding]]:
        """The codes [n] of a category."""
        code_of = {category_key(category): code for code, category in enumerate(self.categories, start=1)}
        codes = np.array([self._code(text, code_of) for text in texts.distinct], dtype=np.float64)
        unseen = texts.rows_of(codes < 0)
        found = []
        if len(unseen):
            values: Counter[str] = Counter()
            for place in dict.fromkeys(texts.codes[unseen].tolist()):
                values[normal_key(texts.distinct[place])] += int(texts.counts[place])
            found.append(Finding(self.name, "unseen", len(unseen), len(texts), int(unseen[0]), values))
        return np.maximum(codes, 0)[texts.codes], found

    def _code(self, text: str, code_of: dict[str, int]) -> int:
        """-1 for a text that was not there in training."""
        if is_empty(text):
            return 0
        code = code_of.get(category_key(text), -1)
        if code < 0 and not np.isnan(number := plain_number(text)):  # 1.0 is the category 1
            code = code_of.get(f"{number:.15g}", -1)
        return code


def category_key(text: str) -> str:
    """What makes two texts the same category: letters, whatever their case and the blanks around them."""
    return normal_key(text).casefold()


def texts_of(cells: Cells) -> Texts:
    """The cells as texts."""
    return cells.texts if isinstance(cells, Declared) else Texts.of(cells)


def truth(text: str) -> float:
    """1 or 0 for a word that says so, else NaN."""
    word = category_key(text)
    return 1.0 if word in TRUE else 0.0 if word in FALSE else float("nan")
