"""A table whose only feature names files: it is about what the files hold, and cells alone teach nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path

from automl.errors import DataError

_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".wav", ".mp3", ".npy", ".dcm", ".txt")
_MOST = 20_000  # files that are looked at beside the table


def refuse_file_names(table: Path, features: Mapping[str, Sequence[str]], target: str) -> None:
    """Raises `DataError` with the remedy where each of the `features` (texts by column) of `table` names files.

    A column does so when nine of ten of its texts end as files do, or are files beside the table or one or two folders
    below it, with or without their endings.
    """
    if not all(_named(texts) or _beside(table, texts) for texts in features.values()):
        return
    column, texts = next(iter(features.items()))
    example = next(filter(None, texts))
    raise DataError(
        f"{table}: column '{column}' names files, e.g. '{example}', and nothing else is there to predict '{target}' "
        "from: a table is learnt from its cells, not from the files that they name. Sort the images into a folder for "
        f"each {target}, IMAGES/{target.upper()}/{Path(example).name}, and search that: automl search IMAGES (where "
        f"{target} is a number, give an .npz with the pixels as x and the numbers as y)"
    )


def _named(texts: Sequence[str]) -> bool:
    return _mostly(text.lower().endswith(_SUFFIXES) for text in texts if text)


def _beside(table: Path, texts: Sequence[str]) -> bool:
    """Whether the texts are names of files near the table, e.g. the ids of `train/ID.jpg` beside `labels.csv`."""
    distinct = {text for text in texts if text}
    if not table.is_file() or 10 * len(distinct) < 9 * len(texts):
        return False
    near = (path for depth in ("*", "*/*", "*/*/*") for path in table.parent.glob(depth))
    names = {name for path in islice(near, _MOST) if path != table for name in (path.stem, path.name)}
    return _mostly(text in names for text in distinct)


def _mostly(answers: Iterator[bool]) -> bool:
    found = list(answers)
    return bool(found) and 10 * sum(found) >= 9 * len(found)
