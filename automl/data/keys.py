"""Keys: texts that name a group, a class, a category or a file. Each has one spelling, wherever it is read."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

# What editors and spreadsheets leave at the ends without showing it: a byte-order mark, zero-width space and joiners.
_UNSEEN = "\ufeff\u200b\u200c\u200d\u2060"


def normal_key(text: str) -> str:
    """`text` without blanks around it, and with composed letters (Unicode NFC), as macOS does not write them.

    >>> normal_key(" p1\\u00a0"), normal_key("Zoe\\u0308") == "Zo\\u00eb"
    ('p1', True)
    """
    stripped = text.strip()
    if stripped.isascii():  # as nearly all cells of a table are
        return stripped
    while stripped != (stripped := stripped.strip(_UNSEEN).strip()):
        pass
    return unicodedata.normalize("NFC", stripped)


def number_keys(texts: Iterable[str]) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    """The distinct keys, sorted, and for each text the index of its key.

    >>> number_keys(["b", "a ", "a"])
    (('a', 'b'), array([1, 0, 0]))
    """
    texts = list(texts)
    key_of = {text: normal_key(text) for text in dict.fromkeys(texts)}
    keys = tuple(sorted(set(key_of.values())))
    number = {key: index for index, key in enumerate(keys)}
    number_of = {text: number[key] for text, key in key_of.items()}
    return keys, np.fromiter((number_of[text] for text in texts), np.int64, len(texts))
