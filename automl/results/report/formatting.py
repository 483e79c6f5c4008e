"""Numbers and values as the report writes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def duration(seconds: float) -> str:
    """`0.4 s`, `59 s`, `12 min 5 s` or `1 h 2 min`."""
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, second = divmod(round(seconds), 60)
    return f"{minutes} min {second} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def number(value: Any) -> str:
    """Four digits; nothing for None."""
    return "" if value is None else f"{value:.4g}"


def spread(row: Mapping[str, Any]) -> str:
    """The score of a trial (a row of the leaderboard) and its spread over the folds, where it has one."""
    std = row.get("score_std")
    return number(row["score"]) + (f" ± {std:.2g}" if std is not None else "")


def percent(share: float) -> str:
    """A share of 1 as `12 %`; never `100 %` for less than all."""
    return f"{min(share, 0.99):.0%}".replace("%", " %") if share < 1 else "100 %"


def count(amount: int, thing: str) -> str:
    """`1 epoch`, `2 epochs`."""
    return f"{amount:,} {thing}{'' if amount == 1 else 's'}"


def plain(value: Any) -> str:
    """A value of a config or a setting."""
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def given(value: Any) -> bool:
    """Whether a setting says anything."""
    return value is not None and value is not False and value != [] and value != ()


def sentence(text: str) -> str:
    """With a capital at its beginning, and a full stop."""
    return text[:1].upper() + text[1:].removesuffix(".") + "."


def shortened(text: str, most: int) -> str:
    """At most so many letters."""
    return text if len(text) <= most else text[: most - 1] + "…"
