"""Text that others wrote, as it may be shown: names of classes, files, columns and studies, messages of plugins."""

from __future__ import annotations

import re

# C0 and C1 but for tab and newline, and what reverses or hides the order of the letters around it.
_STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def escaped(text: str) -> str:
    r"""`text` without characters that steer a terminal: `\x1b` for an escape, `\u202e` for a reversal.

    >>> print(escaped("a\x1b]0;title\x07 b"))
    a\x1b]0;title\x07 b
    """
    return _STEERING.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)


def cell(text: str) -> str:
    """`text` for a csv that may be opened in a spreadsheet: with an apostrophe where it would be a formula.

    A number stays one, whatever it begins with.

    >>> cell("=1+1"), cell("-1"), cell("-x")
    ("'=1+1", '-1', "'-x")
    """
    return escaped(f"'{text}" if text.startswith(_FORMULA) and not _is_number(text) else text)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return text.isascii() and text == text.strip()
