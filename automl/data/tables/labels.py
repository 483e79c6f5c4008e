"""Labels: columns of yes or no, several of which a multi-label classification predicts together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from automl.data.keys import normal_key
from automl.data.tables.columns import Column
from automl.data.tables.csv_files import Table
from automl.data.tables.numbers import plain_number
from automl.data.tables.texts import Texts
from automl.errors import DataError

SPELLINGS = 100
"""So many distinct cells at most has a label, whatever case and blanks its words are written with. Looking at each of a
million distinct prices takes seconds."""

WRITTEN = "0 and 1, no and yes, or false and true"


def as_label(table: Table, name: str) -> Column | None:
    """The column as a label, whose `categories` are its words for no and for yes; None where a cell is neither."""
    column, texts = Column(name=name, kind="boolean"), table.texts(name)
    values = column.parse(texts) if len(texts.distinct) <= SPELLINGS else np.array([np.nan])
    if np.isnan(values).any():
        return None
    words = tuple(_commonest(texts, np.flatnonzero(values == value).tolist(), value) for value in (0, 1))
    return column.model_copy(update={"categories": words})


def varies(label: Column, table: Table) -> bool:
    """Whether the column holds both answers."""
    return len(set(label.parse(table.texts(label.name)).tolist())) == 2


def read_labels(table: Table, names: Sequence[str]) -> tuple[Column, ...]:
    """The columns as labels. Raises `DataError` with the row of a cell that is neither yes nor no."""
    found = []
    for name in names:
        label = as_label(table, name)
        if label is None:
            texts = table.texts(name)
            wrong = texts.rows_of(np.isnan(Column(name=name, kind="boolean").parse(texts)))
            row = int(wrong[0])
            raise DataError(
                f"{table.place(name, row)}: {texts[row]!r} is neither yes nor no; write labels as {WRITTEN}"
            )
        found.append(label)
    return tuple(found)


def refuse_mixed(table: Table, labels: Sequence[Column], others: Sequence[str]) -> None:
    """Raises `DataError` for columns of yes and no among others, with what can be done."""
    plain = all(label.categories == ("0", "1") for label in labels)
    raise DataError(
        f"{table.path}: {_named([label.name for label in labels])} yes or no (a label), and {_named(others)} not, and "
        f"one search predicts either labels ({WRITTEN}) or numbers; predict these in searches of their own, "
        f"--target {','.join(label.name for label in labels[:20])} and --target {','.join(others[:20])}"
        + (", or say that all are numbers: --task regression" if plain else "")
    )


def _named(names: Sequence[str]) -> str:
    quoted = ", ".join(f"'{name}'" for name in names[:20])
    return f"targets {quoted} are" if len(names) > 1 else f"target {quoted} is"


def _commonest(texts: Texts, places: Sequence[int], value: int) -> str:
    """The word that the column has for this answer, of several the one in most rows."""
    if not places:
        return str(value)
    text = texts.distinct[max(places, key=lambda place: int(texts.counts[place]))]
    number = plain_number(text)
    return normal_key(text) if np.isnan(number) else f"{number:.15g}"
