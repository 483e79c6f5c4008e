"""The columns of a table: what each is taken for, and how its cells become numbers and codes.

A `Column` is the record of that. It is made once, from the data of a search, and travels in the model: whatever the
model is shown later is read by the same record, or refused.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from automl.data.dates import DAY, PARTS, Part, guess_dates, part_of_dates, read_dates
from automl.data.features import Feature
from automl.data.keys import normal_key
from automl.data.numbers import (
    FALSE,
    TRUE,
    NumberFormat,
    guess_format,
    is_empty,
    is_infinite,
    plain_number,
    unit_of_number,
)
from automl.data.numbers import read_numbers as read_formatted

Kind = Literal["number", "boolean", "date", "category", "left out"]

MAX_CATEGORIES = 10_000
"""Of more distinct texts the most frequent are categories, and the others count as unknown ones."""

FEW = 20
"""So few distinct texts are categories in any case; among more, those that are nearly all distinct are identifiers."""

NEARLY_ALL = 0.9
"""The share of the cells that are not empty which makes a column one of numbers or dates; the others are said."""


@dataclass(frozen=True)
class Declared:
    """Cells whose kind is known, as of a DataFrame with a dtype: no text has to be understood.

    values: [n] float64 with NaN for an empty cell (number; boolean as 0 and 1; date in seconds since 1970, UTC), or
    texts, '' being empty (category).
    """

    kind: Literal["number", "boolean", "date", "category"]
    values: Any

    def texts(self) -> list[str]:
        """The cells as a csv would hold them."""
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
    them. date_format: as in `automl.data.dates`. reason: why the column is left out.
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

    def matrix(self, cells: Cells) -> tuple[NDArray[np.float64], list[str]]:
        """The features [n, features] of the cells, and what has to be said about them.

        Raises `Unreadable` for a cell that does not fit.
        """
        values, notes = self._codes(_texts(cells)) if self.kind == "category" else self.values(cells)
        if self.kind == "date":
            return np.column_stack([values / DAY, *(part_of_dates(values, part) for part in self.parts)]), notes
        return values[:, None], notes

    def values(self, cells: Cells) -> tuple[NDArray[np.float64], list[str]]:
        """The numbers [n] that the cells are, NaN for an empty one, and notes; of dates the seconds since 1970."""
        values, strange = self._read(cells)
        notes = []
        if len(strange):
            row, text = int(strange[0]), _texts(cells)[int(strange[0])].strip()
            if not self.missing or len(strange) == len(values):
                raise Unreadable(row, f"{text!r} is not a {self._what()}")
            notes.append(f"column '{self.name}': {_cells(len(strange))} as empty, first {text!r} in row {row + 1}")
        empty = np.isnan(values)
        if empty.any() and not self.missing:
            count, row = int(empty.sum()), int(np.flatnonzero(empty)[0])
            are = "cell is" if count == 1 else "cells are"
            notes.append(
                f"column '{self.name}': {count} {are} empty, first in row {row + 1}, and none was in training: the "
                "median stands there"
            )
        large = np.abs(values) > np.finfo(np.float32).max
        if large.any():
            row = int(np.flatnonzero(large)[0])
            raise Unreadable(row, f"{_texts(cells)[row].strip()!r} is too large for 32 bits")
        return values, notes

    def _what(self) -> str:
        if self.kind == "date":
            return "date" + ("" if self.date_format in ("", "ISO8601") else f" as {self.date_format}")
        if self.kind == "boolean":
            return "truth value"
        marks = self._marks()
        return "finite number" + (f" ({', '.join(marks)})" if marks else "")

    def _marks(self) -> list[str]:
        marks = [f"decimal mark '{self.decimal}'"] if self.decimal == "," or self.thousands else []
        marks += [f"'{self.thousands}' between thousands"] if self.thousands else []
        return marks + ([f"unit '{self.unit}'"] if self.unit else [])

    def _read(self, cells: Cells) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """The numbers, and the rows whose cells are neither such a number nor empty."""
        if isinstance(cells, Declared) and cells.kind != "category":
            values = np.asarray(cells.values, dtype=np.float64)
            strange = np.zeros(len(values), dtype=bool)
            if (cells.kind == "date") != (self.kind == "date"):
                strange = ~np.isnan(values)
            elif self.kind == "boolean":
                strange = ~np.isnan(values) & (values != 0) & (values != 1)
            return np.where(strange, np.nan, values), np.flatnonzero(strange)
        distinct, index = distinct_texts(_texts(cells))
        values = self._parse(distinct)
        strange = np.isnan(values) & ~np.array([is_empty(text, among_numbers=True) for text in distinct], dtype=bool)
        return values[index], np.flatnonzero(strange[index])

    def _parse(self, texts: Sequence[str]) -> NDArray[np.float64]:
        if self.kind == "date":
            return read_dates(texts, self.date_format or "ISO8601")
        values = read_formatted(texts, NumberFormat(self.decimal, self.thousands, self.unit))
        if self.kind == "boolean":
            values = np.where((values == 0) | (values == 1), values, np.nan)
        if self.kind == "boolean" or self.binary:
            words = np.array([_truth(text) for text in texts], dtype=np.float64)
            values = np.where(np.isnan(words), values, words)
        return values

    def _codes(self, texts: Sequence[str]) -> tuple[NDArray[np.float64], list[str]]:
        """The codes [n] of a category."""
        code_of = {category_key(category): code for code, category in enumerate(self.categories, start=1)}
        distinct, index = distinct_texts(texts)
        found = np.array([self._code(text, code_of) for text in distinct], dtype=np.float64)
        unseen = np.flatnonzero(found[index] < 0)
        notes = []
        if len(unseen):
            values = Counter(normal_key(texts[row]) for row in unseen.tolist())
            shown = ", ".join(f"{name!r} ({count})" for name, count in values.most_common(5))
            shown += ", ..." if len(values) > 5 else ""
            if len(unseen) == len(texts) and len(texts) > 1:
                raise Unreadable(int(unseen[0]), f"not one of the {len(texts)} values was there in training: {shown}")
            notes.append(
                f"column '{self.name}': {len(unseen)} of {len(texts)} values were not there in training: {shown}"
            )
        return np.maximum(found, 0)[index], notes

    def _code(self, text: str, code_of: dict[str, int]) -> int:
        """-1 for a text that was not there in training."""
        if is_empty(text):
            return 0
        code = code_of.get(category_key(text), -1)
        if code < 0 and not np.isnan(number := plain_number(text)):  # 1.0 is the category 1
            code = code_of.get(f"{number:.15g}", -1)
        return code


def understand(name: str, cells: Cells, comma: bool = False, categorical: bool = False) -> Column:
    """What the column is taken for. `comma`: the file writes decimals with a comma. `categorical`: it is a category,
    whatever its cells look like.

    Raises `Unreadable` where it is neither numbers nor dates nor categories: nearly numbers, or of several units.
    """
    if categorical:
        texts = Counter(_texts(cells))
        named = Counter({text: count for text, count in texts.items() if not is_empty(text)})
        return _categories(name, named, len(named) < len(texts))
    if isinstance(cells, Declared):
        return _declared(name, cells)
    counts: Counter[str] = Counter()
    empty = 0
    for text, count in Counter(cells).items():
        if is_empty(text):
            empty += count
        else:
            counts[text] += count
    if not counts:
        return Column(name=name, kind="left out", reason="empty")
    meaning = {
        text: count for text, count in counts.items() if not (is_empty(text, among_numbers=True) or is_infinite(text))
    }
    column = _numeric(name, meaning, comma) if meaning else None
    if column is not None:
        return _filled(column, cells)
    return _category(name, cells, counts, empty)


def _declared(name: str, cells: Declared) -> Column:
    if cells.kind == "category":
        counts = Counter(text for text in cells.values if not is_empty(text))
        return _categories(name, counts, len(counts) and sum(counts.values()) < len(cells.values))
    if np.isnan(cells.values).all():
        return Column(name=name, kind="left out", reason="empty")
    if cells.kind == "number":
        return _filled(Column(name=name, kind="number"), cells)
    return _filled(Column(name=name, kind=cells.kind, date_format="ISO8601" if cells.kind == "date" else ""), cells)


def _numeric(name: str, texts: dict[str, int], comma: bool) -> Column | None:
    """The column as truth values, numbers or dates, if nearly all of its texts (with their counts) are."""
    total = sum(texts.values())
    if all(not np.isnan(_truth(text)) for text in texts):
        return Column(name=name, kind="boolean")
    form, count = guess_format(texts, comma)
    if count >= NEARLY_ALL * total:
        marks = {"decimal": form.decimal, "thousands": form.thousands, "unit": form.unit}
        return Column.model_validate({"name": name, "kind": "number", **marks})
    words = list(texts)
    dates = guess_dates(words) if any(mark in text for text in words for mark in "-/. ") else []
    if dates:
        read = np.isfinite(read_dates(words, dates[0][0]))
        if sum(count for count, good in zip(texts.values(), read, strict=True) if good) >= NEARLY_ALL * total:
            return Column(name=name, kind="date", date_format=" or ".join(form for form, _ in dates))
    return None


def _filled(column: Column, cells: Cells) -> Column:
    """The column with what stands for its empty cells; left out where it never varies."""
    if " or " in column.date_format:
        raise Unreadable(0, f"day and month cannot be told apart ({column.date_format}); write dates as 2026-12-31")
    values, strange = column._read(cells)
    wrong = _wrong_unit(column, cells, strange)
    if wrong is not None:
        raise wrong
    infinite = np.isinf(values)
    if infinite.any():
        raise Unreadable(int(np.flatnonzero(infinite)[0]), "the value is infinite; fill it or drop the row")
    present = values[~np.isnan(values)]
    if not len(present):
        return Column(name=column.name, kind="left out", reason="empty")
    updates: dict[str, Any] = {"binary": column.kind == "number" and bool(np.isin(present, (0, 1)).all())}
    if column.kind == "date":
        updates["parts"] = tuple(part for part in PARTS if np.ptp(part_of_dates(present, part)) > 0)
    if np.isnan(values).any():
        updates["missing"] = True
    elif (values == values[0]).all():
        return Column(name=column.name, kind="left out", reason="one value only")
    return column.model_copy(update=updates)


def _wrong_unit(column: Column, cells: Cells, strange: NDArray[np.int64]) -> Unreadable | None:
    """A number in another unit, or that can be read in two ways, is no empty cell."""
    if column.kind != "number" or isinstance(cells, Declared):
        return None
    for row in strange.tolist():
        text = cells[row].strip()
        if is_infinite(text):
            return Unreadable(row, f"{text!r} is not a finite number; fill it or drop the row")
        if unit_of_number(text) is not None:
            return Unreadable(row, f"{text!r} is not a {column._what()} as nearly all others are; write all in one way")
    return None


def _category(name: str, cells: Sequence[str], counts: Counter[str], empty: int) -> Column:
    distinct = len({category_key(text) for text in counts})
    rows = sum(counts.values())
    if distinct > FEW or (distinct == rows and rows >= FEW // 2):
        _refuse_half_numbers(cells, counts, rows)
        if distinct > rows / 2:
            what = "an identifier or free text"
            return Column(name=name, kind="left out", reason=f"{what}, {distinct} distinct in {rows} rows")
    return _categories(name, counts, bool(empty))


def _refuse_half_numbers(cells: Sequence[str], counts: Counter[str], rows: int) -> None:
    """Raises `Unreadable` where most texts are numbers, and what keeps the column from being one are a few words or
    units. Many different ones make it a column of codes, such as tickets or house numbers.
    """
    unit_of = {text: unit_of_number(text) for text in counts}
    numbers = sum(counts[text] for text, unit in unit_of.items() if unit is not None)
    words = {text for text, unit in unit_of.items() if unit is None}
    units = Counter(unit for unit in unit_of.values() if unit is not None)
    if numbers <= rows / 2 or len(words) > FEW or len(units) > 3:
        return
    usual = max(units, key=units.__getitem__)
    odd = words or {text for text, unit in unit_of.items() if unit != usual}
    row = next((row for row, text in enumerate(cells) if text in odd), 0)
    raise Unreadable(
        row,
        f"{cells[row].strip()!r} is no number{f' in {usual}' if usual else ''}, but most values are; write numbers in "
        "one way and leave the other cells empty, or drop the column",
    )


def _categories(name: str, counts: Counter[str], empty: bool | int) -> Column:
    spellings: dict[str, Counter[str]] = {}
    for text, count in counts.items():
        spellings.setdefault(category_key(text), Counter())[normal_key(text)] += count
    frequent = sorted(spellings.values(), key=lambda own: (-own.total(), max(own)))[:MAX_CATEGORIES]
    names = sorted(max(own, key=lambda text: (own[text], text)) for own in frequent)
    if len(names) + bool(empty) < 2:
        return Column(name=name, kind="left out", reason="one value only" if names else "empty")
    return Column(name=name, kind="category", categories=tuple(names), missing=bool(empty))


def category_key(text: str) -> str:
    """What makes two texts the same category: letters, whatever their case and the blanks around them."""
    return normal_key(text).casefold()


def distinct_texts(texts: Sequence[str]) -> tuple[list[str], NDArray[np.int64]]:
    """The distinct texts in the order of their first row, and for each row the index of its text."""
    place: dict[str, int] = {}
    index = np.fromiter((place.setdefault(text, len(place)) for text in texts), np.int64, len(texts))
    return list(place), index


def remarks(column: Column, cells: Cells) -> list[str]:
    """Sentences on how the column was read, where that is not plain."""
    said = []
    if column.kind == "number" and (column.decimal, column.thousands, column.unit) != (".", "", ""):
        said.append(f"Column '{column.name}' is read as numbers: {', '.join(column._marks())}.")
    if column.kind == "date" and column.date_format != "ISO8601":
        said.append(f"Column '{column.name}' is read as dates, written {column.date_format}.")
    if column.missing and column.kind != "category":
        values, _ = column._read(cells)
        rows = np.flatnonzero(np.isnan(values))
        text = _texts(cells)[int(rows[0])].strip()
        said.append(
            f"Column '{column.name}': {len(rows)} of {len(values)} cells {'is' if len(rows) == 1 else 'are'} empty "
            f"(first in row {rows[0] + 1}{f': {text!r}' if text else ''}); their median stands there, "
            "and an input of its own says so."
        )
    if column.kind == "category":
        spellings = Counter(category_key(text) for text in {normal_key(text) for text in _texts(cells)})
        several = sum(count > 1 for count in spellings.values())
        if several:
            said.append(f"Column '{column.name}': {several} categories are written in several ways and taken as one.")
    return said


def _texts(cells: Cells) -> Sequence[str]:
    return cells.texts() if isinstance(cells, Declared) else cells


def _truth(text: str) -> float:
    word = category_key(text)
    return 1.0 if word in TRUE else 0.0 if word in FALSE else float("nan")


def _cells(count: int) -> str:
    return "1 cell is read" if count == 1 else f"{count} cells are read"
