"""Dates as people write them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

_DAYS = (
    *("%d.%m.%Y", "%d.%m.%y", "%d/%m/%Y", "%m/%d/%Y", "%d/%m/%y", "%m/%d/%y", "%Y/%m/%d", "%d-%m-%Y", "%m-%d-%Y"),
    *("%d %b %Y", "%d-%b-%Y", "%d-%b-%y", "%b %d, %Y", "%d %B %Y", "%B %d, %Y", "%a, %d %b %Y"),
)
_TIMES = ("", " %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p")
FORMATS = ("ISO8601", *(day + time for day in _DAYS for time in _TIMES))
"""As `strftime` writes them; ISO 8601 with or without a time and a zone."""

Part = Literal["year", "month", "weekday", "hour"]
PARTS: tuple[Part, ...] = ("year", "month", "weekday", "hour")

DAY = 86_400.0  # seconds

_PROBED = 100  # texts that decide which formats are worth a look at all of them


def guess_dates(texts: Sequence[str]) -> list[tuple[str, int]]:
    """The formats that read the most of the texts, and how many: none, one, or two where day and month are unclear."""
    if not any(any(c.isdigit() for c in text) for text in texts[:_PROBED]):
        return []
    probe = texts[:: max(1, len(texts) // _PROBED)]
    likely = [form for form in FORMATS if 2 * np.isfinite(read_dates(probe, form)).sum() > len(probe)]
    counts = [(form, int(np.isfinite(read_dates(texts, form)).sum())) for form in likely]
    most = max((count for _, count in counts), default=0)
    return [(form, count) for form, count in counts if count == most and most]


def read_dates(texts: Sequence[str], form: str) -> NDArray[np.float64]:
    """Seconds since 1970 (UTC) of each text in this format; NaN for what is no date."""
    import pandas as pd

    dates: Any = pd.to_datetime(pd.Series([text.strip() for text in texts]), format=form, errors="coerce", utc=True)
    return seconds(dates.dt.tz_localize(None).to_numpy())


def part_of_dates(times: NDArray[np.float64], part: Part) -> NDArray[np.float64]:
    """A part of dates in seconds since 1970, UTC; NaN stays NaN.

    Months are counted from 1, weekdays from 0 for Monday; an hour has fractions.
    """
    known = ~np.isnan(times)
    dates = np.floor(np.where(known, times, 0)).astype("datetime64[s]")
    values: NDArray[Any]
    if part == "year":
        values = dates.astype("datetime64[Y]").astype(np.int64) + 1970
    elif part == "month":
        values = dates.astype("datetime64[M]").astype(np.int64) % 12 + 1
    elif part == "weekday":
        values = (dates.astype("datetime64[D]").astype(np.int64) + 3) % 7
    else:
        values = np.where(known, times, 0) % DAY / 3600
    return np.where(known, values, np.nan)


def seconds(dates: NDArray[Any]) -> NDArray[np.float64]:
    """Seconds since 1970 of a datetime64 array, with microseconds; NaN for NaT."""
    whole = dates.astype("datetime64[us]")
    return np.where(np.isnat(whole), np.nan, whole.astype(np.int64) / 1e6)
