"""A table whose only feature names files that are not found: cells alone teach nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from automl.data.images.folders import is_image
from automl.errors import DataError

_SUFFIXES = (".wav", ".mp3", ".npy", ".dcm", ".txt")


def refuse_file_names(table: Path, features: Mapping[str, Sequence[str]], target: str) -> None:
    """Raises `DataError` with the remedy where each of the `features` (texts by column) of `table` names files.

    A column does so when nine of ten of its texts end as files do.
    """
    if not all(_named(texts) for texts in features.values()):
        return
    column, texts = next(iter(features.items()))
    example = next(filter(None, texts))
    what = f"{table}: column '{column}' names files, e.g. '{example}', and nothing else can predict '{target}'"
    if is_image(example):
        raise DataError(f"{what}; none of them is found below the table: name their folder with --images DIR")
    raise DataError(f"{what}: a table is learnt from its cells, and only files of images are read")


def _named(texts: Sequence[str]) -> bool:
    found = [is_image(text) or text.lower().endswith(_SUFFIXES) for text in texts if text]
    return bool(found) and 10 * sum(found) >= 9 * len(found)
