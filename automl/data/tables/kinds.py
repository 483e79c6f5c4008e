"""What the columns of a table are taken for."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from automl.data.keys import normal_key
from automl.data.tables.columns import (
    MAX_CATEGORIES,
    Cells,
    Column,
    Declared,
    Unreadable,
    category_key,
    texts_of,
    truth,
)
from automl.data.tables.dates import PARTS, guess_dates, part_of_dates, read_dates
from automl.data.tables.numbers import guess_format, is_infinite, unit_of_number
from automl.data.tables.texts import Texts

FEW = 20
"""So few distinct texts are categories in any case; among more, those that are nearly all distinct are identifiers."""

NEARLY_ALL = 0.9
"""The share of the cells that are not empty which makes a column one of numbers or dates; the others are said."""

_ID = re.compile(r"(?:^|[\W_])(?:[Ii][Dd]|[Ii][Dd][Xx])$|[a-z]I[Dd]$|^(?i:index|row|unnamed: [0-9]+)$")
"""Names of columns that number their rows: `id`, `row_id`, `PassengerId`, and what pandas calls an index."""

Chosen = NDArray[np.bool_]
"""Of each distinct text of a column whether it is meant."""

PROBED = 10_000
"""Distinct texts from which is guessed how numbers are written."""


def understand(name: str, cells: Cells, comma: bool = False, categorical: bool = False) -> Column:
    """What the column is taken for. `comma`: the file writes decimals with a comma. `categorical`: it is a category,
    whatever its cells look like.

    Raises `Unreadable` where it is neither numbers nor dates nor categories: nearly numbers, or of several units.
    """
    if isinstance(cells, Declared) and not categorical:
        return _declared(name, cells)
    texts = texts_of(cells)
    if texts.plain is not None and not comma and not categorical:
        return _filled(Column(name=name, kind="number"), texts)
    named = ~texts.empty()
    if categorical:
        return _categories(name, texts, named)
    if not named.any():
        return Column(name=name, kind="left out", reason="empty")
    finite = ~texts.empty(among_numbers=True)
    finite[[place for place in texts.others if finite[place] and is_infinite(texts.distinct[place])]] = False
    column = _numeric(name, texts, finite, comma) if finite.any() else None
    return _category(name, texts, named) if column is None else _filled(column, texts)


def as_input(column: Column, cells: Cells) -> Column:
    """The column as one to learn from: left out where it only numbers the rows, as its name says and its cells do."""
    if column.kind != "number" or column.missing or not _ID.search(column.name):
        return column
    values, _ = column.read(cells)
    count = len(values)
    if count <= FEW or (values != np.round(values)).any() or len(np.unique(values)) < count:
        return column
    return Column(name=column.name, kind="left out", reason=f"an identifier, {count} distinct in {count} rows")


def _declared(name: str, cells: Declared) -> Column:
    if cells.kind == "category":
        return _categories(name, cells.texts, ~cells.texts.empty())
    if np.isnan(cells.values).all():
        return Column(name=name, kind="left out", reason="empty")
    if cells.kind == "number":
        return _filled(Column(name=name, kind="number"), cells)
    return _filled(Column(name=name, kind=cells.kind, date_format="ISO8601" if cells.kind == "date" else ""), cells)


def _numeric(name: str, texts: Texts, chosen: Chosen, comma: bool) -> Column | None:
    """The column as truth values, numbers or dates, if nearly all of its `chosen` texts are."""
    if not comma and not (chosen & np.isnan(texts.numbers)).any():
        return Column(name=name, kind="number")
    places = np.flatnonzero(chosen).tolist()
    if all(not np.isnan(truth(texts.distinct[place])) for place in places):
        return Column(name=name, kind="boolean")
    probe = {texts.distinct[place]: int(texts.counts[place]) for place in places[:: -(-len(places) // PROBED)]}
    enough = NEARLY_ALL * sum(probe.values())
    form, count = guess_format(probe, comma)
    if count >= enough:
        marks = {"decimal": form.decimal, "thousands": form.thousands, "unit": form.unit}
        return Column.model_validate({"name": name, "kind": "number", **marks})
    dates = guess_dates(list(probe)) if any(mark in text for text in probe for mark in "-/. ") else []
    if len(dates) > 1 and len(probe) < len(places):  # one day after the 12th decides which is the month
        dates = guess_dates([texts.distinct[place] for place in places])
    if dates:
        read = np.isfinite(read_dates(list(probe), dates[0][0]))
        if sum(count for count, good in zip(probe.values(), read, strict=True) if good) >= enough:
            return Column(name=name, kind="date", date_format=" or ".join(form for form, _ in dates))
    return None


def _filled(column: Column, cells: Cells) -> Column:
    """The column with what stands for its empty cells; left out where it never varies."""
    if " or " in column.date_format:
        raise Unreadable(0, f"day and month cannot be told apart ({column.date_format}); write dates as 2026-12-31")
    values, strange = column.read(cells)
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
    if column.kind != "number" or isinstance(cells, Declared) or not len(strange):
        return None
    texts = texts_of(cells)
    for place in dict.fromkeys(texts.codes[strange].tolist()):
        text = texts.distinct[place].strip()
        if is_infinite(text):
            problem = f"{text!r} is not a finite number; fill it or drop the row"
        elif unit_of_number(text) is not None:
            problem = f"{text!r} is not a {column.what()} as nearly all others are; write all in one way"
        else:
            continue
        return Unreadable(int(np.argmax(texts.codes == place)), problem)
    return None


def _category(name: str, texts: Texts, named: Chosen) -> Column:
    places = np.flatnonzero(named).tolist()
    distinct = len({category_key(texts.distinct[place]) for place in places})
    rows = int(texts.counts[named].sum())
    if distinct > FEW or (distinct == rows and rows >= FEW // 2):
        _refuse_half_numbers(texts, places, rows)
        if distinct > rows / 2:
            what = "an identifier or free text"
            return Column(name=name, kind="left out", reason=f"{what}, {distinct} distinct in {rows} rows")
    return _categories(name, texts, named)


def _refuse_half_numbers(texts: Texts, places: Sequence[int], rows: int) -> None:
    """Raises `Unreadable` where most texts are numbers, and what keeps the column from being one are a few words or
    units. Many different ones make it a column of codes, such as tickets or house numbers.
    """
    unit_of: dict[int, str | None] = {}
    words: set[int] = set()
    for place in places:
        unit_of[place] = unit_of_number(texts.distinct[place])
        if unit_of[place] is None:
            words.add(place)
            if len(words) > FEW:
                return
    numbers = rows - sum(int(texts.counts[place]) for place in words)
    units = Counter(unit for unit in unit_of.values() if unit is not None)
    if numbers <= rows / 2 or len(units) > 3:
        return
    usual = max(units, key=units.__getitem__)
    odd = np.zeros(len(texts.distinct), dtype=bool)
    odd[list(words) or [place for place, unit in unit_of.items() if unit != usual]] = True
    row = int(texts.rows_of(odd)[0]) if odd.any() else 0
    raise Unreadable(
        row,
        f"{texts[row].strip()!r} is no number{f' in {usual}' if usual else ''}, but most values are; write numbers in "
        "one way and leave the other cells empty, or drop the column",
    )


def _categories(name: str, texts: Texts, named: Chosen) -> Column:
    spellings: dict[str, Counter[str]] = {}
    for place in np.flatnonzero(named).tolist():
        text = texts.distinct[place]
        spellings.setdefault(category_key(text), Counter())[normal_key(text)] += int(texts.counts[place])
    frequent = sorted(spellings.values(), key=lambda own: (-own.total(), max(own)))[:MAX_CATEGORIES]
    names = sorted(max(own, key=lambda text: (own[text], text)) for own in frequent)
    empty = not named.all()
    if len(names) + empty < 2:
        return Column(name=name, kind="left out", reason="one value only" if names else "empty")
    return Column(name=name, kind="category", categories=tuple(names), missing=empty)


def remarks(column: Column, cells: Cells) -> list[str]:
    """Sentences on how the column was read, where that is not plain."""
    said = []
    if column.kind == "number" and (column.decimal, column.thousands, column.unit) != (".", "", ""):
        said.append(f"Column '{column.name}' is read as numbers: {', '.join(column.marks())}.")
    if column.kind == "date" and column.date_format != "ISO8601":
        said.append(f"Column '{column.name}' is read as dates, written {column.date_format}.")
    if column.missing and column.kind != "category":
        values, _ = column.read(cells)
        rows = np.flatnonzero(np.isnan(values))
        text = texts_of(cells)[int(rows[0])].strip()
        said.append(
            f"Column '{column.name}': {len(rows)} of {len(values)} cells {'is' if len(rows) == 1 else 'are'} empty "
            f"(first in row {rows[0] + 1}{f': {text!r}' if text else ''}); their median stands there, "
            "and an input of its own says so."
        )
    if column.kind == "category":
        spellings = Counter(category_key(text) for text in {normal_key(text) for text in texts_of(cells).distinct})
        several = sum(count > 1 for count in spellings.values())
        if several:
            said.append(f"Column '{column.name}': {several} categories are written in several ways and taken as one.")
    return said
