"""Numbers as people write them: `1,050.2`, `20,31`, `12 %`, `$1,234`, `12 kg`, `(35)`. And what an empty cell holds."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from automl.data.keys import normal_key

EMPTY = frozenset({"", "nan", "<na>", "na", "n/a", "#n/a", "#na", "null", "nat"})
"""What stands in an empty cell of any column, in small letters."""

NO_NUMBER = EMPTY | {
    *("none", "nil", "n.a.", "?", "-", "--", "\u2013", "\u2014", ".", "..", "missing"),
    *("#value!", "#div/0!", "#ref!", "#name?", "#num!", "#null!"),
}
"""What stands in an empty cell among numbers or dates: marks, and the errors of spreadsheets."""

TRUE = frozenset({"true", "t", "yes", "y", "on", "ja"})
FALSE = frozenset({"false", "f", "no", "n", "off", "nein"})

_CURRENCY = "$\u20ac\u00a3\u00a5\u20b9"
_SIGNS = str.maketrans({"\u2212": "-", "\u00a0": " ", "\u202f": " ", "\u2019": "'"})
_PARTS = re.compile(
    rf"(?P<minus>[-+(]?)\s*(?P<money>[{_CURRENCY}]?)\s*(?P<sign>[-+]?)"
    r"(?P<digits>[0-9][0-9.,' ]*|[.,][0-9]+)(?P<exponent>[eE][-+]?[0-9]+)?"
    rf"\s*(?P<unit>[%\u2030\u00b0{_CURRENCY}]|[%\u00b0\u00b5\u03bcA-Za-z][^\s0-9,;()]{{0,9}}[0-9]?)?\)?"
)
_GROUPS = {
    ".": re.compile(r"[1-9][0-9]{0,2}(?P<mark>[, '])[0-9]{3}(?:(?P=mark)[0-9]{3})*(?:\.[0-9]*)?"),
    ",": re.compile(r"[1-9][0-9]{0,2}(?P<mark>[. '])[0-9]{3}(?:(?P=mark)[0-9]{3})*(?:,[0-9]*)?"),
}
_PLAIN = {".": re.compile(r"[0-9]*\.?[0-9]*"), ",": re.compile(r"[0-9]*,?[0-9]*")}


@dataclass(frozen=True)
class NumberFormat:
    """How a column writes its numbers: its decimal mark, the mark between thousands ('' for none), and its unit."""

    decimal: str = "."
    thousands: str = ""
    unit: str = ""


@dataclass(frozen=True)
class _Reading:
    value: float
    thousands: str
    unit: str
    certain: bool  # whether the marks can be read in one way only


def is_empty(text: str, among_numbers: bool = False) -> bool:
    """Whether the cell says nothing; among numbers and dates `-`, `?` and `none` say nothing either."""
    return normal_key(text).casefold() in (NO_NUMBER if among_numbers else EMPTY)


def is_infinite(text: str) -> bool:
    """Whether the cell holds an infinity, of either sign."""
    return normal_key(text).casefold().lstrip("+-") in ("inf", "infinity")


def plain_number(text: str) -> float:
    """The finite number that Python reads, else NaN. Python's `1_000` is text here."""
    try:
        value = math.nan if "_" in text else float(text)
    except ValueError:
        return math.nan
    return value if math.isfinite(value) else math.nan


def guess_format(texts: Mapping[str, int], comma: bool = False) -> tuple[NumberFormat, int]:
    """The format in which most of the texts (none of them empty, each with its count) are numbers, and how many are.

    `comma`: the file is one that writes decimals with a comma, which decides where both readings are possible.
    """
    if not comma and not any(math.isnan(plain_number(text)) for text in texts):
        return NumberFormat(), sum(texts.values())
    found = {
        decimal: [(reading, count) for text, count in texts.items() if (reading := _read(text, decimal)) is not None]
        for decimal in ".,"
    }
    counts = {decimal: sum(count for _, count in readings) for decimal, readings in found.items()}
    tie = counts[","] == counts["."] and any(_is_grouped(text) for text in texts)
    decimal = "," if counts[","] > counts["."] or (tie and comma) else "."
    units: Counter[str] = Counter()
    thousands: Counter[str] = Counter()
    for reading, count in found[decimal]:
        units[reading.unit] += count
        thousands[reading.thousands] += count
    del thousands[""]
    unit = max(units, key=units.__getitem__, default="")
    money = max((mark for mark in units if mark and mark in _CURRENCY), key=units.__getitem__, default="")
    if unit == "" and money:  # an accountant writes the sign on the first row only
        unit = money
    count = units[unit] + (units[""] if unit and unit == money else 0)
    mark = max(thousands, key=thousands.__getitem__, default="")
    return NumberFormat(decimal, mark, unit), count


def read_numbers(texts: Sequence[str], form: NumberFormat) -> NDArray[np.float64]:
    """Each text as a number in this format; NaN for what is none, or could be read in two ways."""
    return np.array([_number(text, form) for text in texts], dtype=np.float64)


def unit_of_number(text: str) -> str | None:
    """The unit of a text that is a number with whatever marks, '' for none; None for what is no number."""
    reading = _read(text, ".") or _read(text, ",")
    return None if reading is None else reading.unit


def _is_grouped(text: str) -> bool:
    return any(pattern.fullmatch(text.strip().lstrip("+-")) is not None for pattern in _GROUPS.values())


def _number(text: str, form: NumberFormat) -> float:
    if form.decimal == "." or "." not in text:
        value = plain_number(text.replace(",", ".") if form.decimal == "," else text)
        if not math.isnan(value) and form.unit in ("", *_CURRENCY):
            return value
    reading = _read(text, form.decimal)
    if reading is None:
        return math.nan
    if reading.unit != form.unit and not (reading.unit == "" and form.unit in _CURRENCY):
        return math.nan
    if reading.thousands and reading.thousands != form.thousands and not reading.certain:
        return math.nan
    return reading.value


def _read(text: str, decimal: str) -> _Reading | None:
    """The number that `text` is with this decimal mark, or None."""
    match = _PARTS.fullmatch(normal_key(text).translate(_SIGNS))
    if match is None or (match["minus"] == "(") != match[0].endswith(")"):
        return None
    digits = match["digits"].strip()
    groups = _GROUPS[decimal].fullmatch(digits)
    if groups is None and (_PLAIN[decimal].fullmatch(digits) is None or digits in ".,"):
        return None
    mark = groups["mark"] if groups is not None else ""
    certain = not mark or mark in " '" or decimal in digits or digits.count(mark) > 1
    number = digits.replace(mark, "") if mark else digits
    value = float(number.replace(",", ".") + (match["exponent"] or ""))
    if not math.isfinite(value) or (match["money"] and match["unit"]):
        return None
    negative = match["minus"] in ("-", "(") or match["sign"] == "-"
    return _Reading(-value if negative else value, mark, match["money"] or match["unit"] or "", certain)
