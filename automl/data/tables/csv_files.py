"""A table as it was read, a csv or a DataFrame: cells by column, and the place of each for messages."""

from __future__ import annotations

import bz2
import codecs
import csv
import gc
import gzip
import io
import itertools
import json
import lzma
import re
import zlib
from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from automl.data.atomic import write_atomic
from automl.data.tables.columns import Column, Declared, texts_of
from automl.data.tables.names import PACKED
from automl.data.tables.texts import Texts
from automl.errors import DataError
from automl.open_file import open_file, read_file

_DECIMAL_COMMA = re.compile(r"\s*[-+]?(?:[0-9]+,[0-9]{1,2}|[0-9]+,[0-9]{4,}|0,[0-9]+)\s*")
_DECIMAL_POINT = re.compile(r"\s*[-+]?(?:[0-9]+\.[0-9]{1,2}|[0-9]+\.[0-9]{4,}|0\.[0-9]+)\s*")


@dataclass(frozen=True)
class Table:
    """`cells` are the columns of texts, of a csv all; `declared` the columns of a DataFrame whose dtype says what
    they are; `lines` the line of the file on which each row ends; `notes` what is to be said of how it was read;
    `before` how many rows of the file come before, where it is a part of one.
    """

    path: Path
    cells: dict[str, Texts]
    lines: Sequence[int]
    declared: dict[str, Declared] = field(default_factory=dict)
    order: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    before: int = 0

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The names of its columns, in their order."""
        return self.order or tuple(self.cells)

    def __getitem__(self, name: str) -> Texts | Declared:
        return self.declared[name] if name in self.declared else self.cells[name]

    def texts(self, name: str) -> Texts:
        """The cells of a column as texts."""
        return texts_of(self[name])

    def place(self, column: str, row: int) -> str:
        """Where a cell stands, for messages; rows count from 1 without the header."""
        line = "" if self.path.suffix.lower() in ("", ".parquet", ".feather") else f" (line {self.lines[row]})"
        return f"{self.path}: column '{column}', row {self.before + row + 1}{line}"

    @cached_property
    def decimal_comma(self) -> bool:
        """Whether its numbers have a decimal comma: some can only be read so, and none only the other way."""
        columns = [cells for cells in self.cells.values() if cells.plain is None]
        with_comma = (text for cells in columns for text in cells.distinct if "," in text)
        if not any(_DECIMAL_COMMA.fullmatch(text) for text in with_comma):
            return False
        return not any(_DECIMAL_POINT.fullmatch(text) for cells in self.cells.values() for text in cells.distinct)


_AT_ONCE = 4096  # rows
PART = 1 << 16  # rows
_CHARACTERS = 1 << 20

SEPARATORS = ",;\t|"

_OPENERS: dict[str, Callable[[Any], Any]] = dict(zip(PACKED, (gzip.open, bz2.open, lzma.open), strict=True))
_DAMAGED = (OSError, EOFError, lzma.LZMAError, zlib.error)


def read_csv(path: Path) -> Table:
    """Reads a csv with a header, separated by what makes most columns of it: commas, semicolons, tabs or bars.

    It is UTF-8, or UTF-16 where it begins as that does, or else taken for Windows-1252, which is said; it may be packed
    with gzip, bzip2 or xz. A column without a name may come first, as pandas and R write the names of rows, or be
    empty. Raises `DataError`: unreadable, empty, no rows, a missing or duplicate name in the header, a ragged row.
    """
    (table,) = _tables(path, None)
    return _with_kinds(table)


def read_csv_parts(path: Path) -> Iterator[Table]:
    """The table that `read_csv` reads, `PART` rows at a time, so that a file of any size needs the memory of one part.

    Raises as `read_csv`, at the latest with the part that has the culprit.
    """
    if _kinds_of(path).exists():
        yield read_csv(path)
    else:
        yield from _tables(path, PART)


def _tables(path: Path, at_once: int | None) -> Iterator[Table]:
    """The table in parts of so many rows; None: whole."""
    encoding, notes = _encoding(path)
    try:
        with _unpacked(path) as raw, io.TextIOWrapper(raw, encoding=encoding, newline="") as file:
            separator = _separator(file)
            file.seek(0)
            for table in _read_rows(path, csv.reader(file, delimiter=separator, strict=True), at_once):
                yield replace(table, notes=notes)
    except _DAMAGED as error:
        raise _cannot_be_read(path, error) from error


def _encoding(path: Path) -> tuple[str, tuple[str, ...]]:
    """How the text is encoded, and what is to be said of it."""
    try:
        encoding = "utf-16" if _is_utf_16(path) else "utf-8-sig"
        wrong = _undecodable(path, encoding)
        if not wrong:
            return encoding, ()
        if _undecodable(path, "cp1252"):
            raise DataError(f"{path}: not UTF-8 text ({wrong}); save it as UTF-8")
    except _DAMAGED as error:
        raise _cannot_be_read(path, error) from error
    said = f"{path.name} is not UTF-8 ({wrong}): read as Windows-1252; where letters look wrong, save it as UTF-8"
    return "cp1252", (said,)


def _undecodable(path: Path, encoding: str) -> str:
    """What of the file is no text in this encoding; "" where all of it is."""
    with _unpacked(path) as raw, io.TextIOWrapper(raw, encoding=encoding, newline="") as file:
        try:
            while file.read(_CHARACTERS):
                pass
        except UnicodeDecodeError as error:
            return f"{error.reason}, byte 0x{error.object[error.start]:02x}"
    return ""


def _cannot_be_read(path: Path, error: Exception) -> DataError:
    return DataError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}")


def _separator(file: TextIO) -> str:
    """That of `SEPARATORS` which makes the most columns of the header, whose names may hold the others in quotes."""

    def columns(separator: str) -> int:
        file.seek(0)
        try:
            return len(next(csv.reader(file, delimiter=separator, strict=True), []))
        except csv.Error:  # such as a quote before another separator
            return 0

    return max(SEPARATORS, key=columns)


def _is_utf_16(path: Path) -> bool:
    """Whether it begins with the mark of one of the two byte orders."""
    with _unpacked(path) as raw:
        return raw.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


@contextmanager
def _unpacked(path: Path) -> Iterator[Any]:
    """The bytes of a file, unpacked where its name says that it is packed."""
    with open_file(path) as file:
        packed = _OPENERS.get(path.suffix.lower())
        if packed is None:
            yield file
        else:
            with packed(file) as content:
                yield content


def write_csv(table: Table, path: Path) -> Path:
    """Writes a table as a csv that `read_csv` reads back with the same cells; returns the path. Raises OSError.

    What a csv cannot say, the declared kinds of columns, goes into a file beside it.
    """
    text = io.StringIO(newline="")
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(table.names)
    rows.writerows(zip(*(table.texts(name) for name in table.names), strict=True))
    write_atomic(path, lambda file: file.write(text.getvalue().encode("utf-8")))
    if table.declared:
        kinds = json.dumps({name: declared.kind for name, declared in table.declared.items()}).encode()
        write_atomic(_kinds_of(path), lambda file: file.write(kinds))
    return path


def table_of(frame: Any) -> Table:
    """A pandas DataFrame. Its dtypes say what the columns are: numbers, truth values, dates, categories; of texts and
    Python objects that has to be found out, as in a csv.

    Raises `DataError` for no rows and for two columns of one name.
    """
    names = [str(name).strip() for name in frame.columns]
    seen: set[str] = set()
    for place, name in enumerate(names):
        if not name or name in seen:
            raise DataError(f"DataFrame: column {place + 1} has {'the name of another' if name else 'no name'}")
        seen.add(name)
    if not len(frame):
        raise DataError("DataFrame: there are no rows")
    cells: dict[str, Texts] = {}
    declared: dict[str, Declared] = {}
    for place, name in enumerate(names):
        found = _declared(name, frame.iloc[:, place])
        if isinstance(found, Declared):
            declared[name] = found
        else:
            cells[name] = found
    return Table(Path("DataFrame"), cells, range(2, len(frame) + 2), declared, tuple(names))


def _declared(name: str, series: Any) -> Declared | Texts:
    from pandas.api import types

    from automl.data.tables.dates import seconds

    dtype = series.dtype
    if types.is_bool_dtype(dtype):
        return Declared("boolean", series.to_numpy(np.float64, na_value=np.nan))
    if isinstance(dtype, types.CategoricalDtype):
        texts = {category: _text(category) for category in dtype.categories}
        missing = series.isna().tolist()
        values = [("" if empty else texts[value]) for value, empty in zip(series.tolist(), missing, strict=True)]
        return Declared("category", values)
    if types.is_datetime64_any_dtype(dtype):
        if getattr(dtype, "tz", None) is not None:
            series = series.dt.tz_convert("UTC").dt.tz_localize(None)
        return Declared("date", seconds(series.to_numpy()))
    if types.is_timedelta64_dtype(dtype):
        return Declared("number", series.dt.total_seconds().to_numpy(np.float64))
    if types.is_complex_dtype(dtype):
        raise DataError(f"DataFrame: column '{name}' is {dtype}; give its real and imaginary part as two columns")
    if types.is_numeric_dtype(dtype):
        return Declared("number", series.to_numpy(np.float64, na_value=np.nan))
    missing = series.isna().tolist()
    return Texts("" if empty else _text(value) for value, empty in zip(series.tolist(), missing, strict=True))


def _text(value: Any) -> str:
    """A Python object as a csv would hold it; str() of a float has all its digits."""
    return str(value)


def _read_rows(path: Path, rows: Any, at_once: int | None) -> Iterator[Table]:
    before = 0
    try:
        header = [name.strip() for name in next(rows, [])]
        if not any(header):
            raise DataError(f"{path}: the file is empty; it needs a header and rows")
        nameless = [place for place, name in enumerate(header) if not name]
        header = [name or f"Unnamed: {place}" for place, name in enumerate(header)]  # as pandas calls them
        seen: set[str] = set()
        for name in header:
            if name in seen:
                raise DataError(f"{path}: the header has column '{name}' twice; rename one")
            seen.add(name)
        filled = filter(None, rows)  # without empty lines
        while True:
            with _no_collection():
                columns, lines = _read_columns(path, itertools.islice(filled, at_once), rows, len(header))
            if not lines:
                break
            for place in nameless[nameless[:1] == [0] :]:  # in front stands what pandas and R call a row
                if any(map(str.strip, columns[place])):
                    raise DataError(f"{path}: column {place + 1} has no name in the header")
            yield Table(path, dict(zip(header, map(Texts, columns), strict=True)), lines, before=before)
            before += len(lines)
    except csv.Error as error:
        raise DataError(f"{path}: line {rows.line_num}: {error}") from error
    if not before:
        raise DataError(f"{path}: there is a header but no rows")


def _read_columns(path: Path, chosen: Any, rows: Any, width: int) -> tuple[list[list[str]], array[int]]:
    """The cells of the `chosen` ones of the reader's rows by column, and the lines on which these rows end."""
    columns: list[list[str]] = [[] for _ in range(width)]
    lines = array("q")
    while part := list(itertools.islice(_checked(path, chosen, rows, width, lines), _AT_ONCE)):
        for column, values in zip(columns, zip(*part, strict=True), strict=True):
            column.extend(values)
    return columns, lines


@contextmanager
def _no_collection() -> Iterator[None]:
    """Python looks for cycles whenever many lists were made, through all cells so far: three quarters of the time."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def _checked(path: Path, chosen: Any, rows: Any, width: int, lines: array[int]) -> Iterator[list[str]]:
    """The `chosen` rows; their lines are added to `lines`."""
    for row in chosen:
        if len(row) != width:
            raise DataError(f"{path}: line {rows.line_num} has {len(row)} values, but the header {width}")
        lines.append(rows.line_num)
        yield row


def _kinds_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.kinds.json")


def _with_kinds(table: Table) -> Table:
    """The table with the kinds that `write_csv` has left beside it, if it has."""
    try:
        kinds = json.loads(read_file(_kinds_of(table.path)))
    except FileNotFoundError:
        return table
    except (OSError, ValueError) as error:
        raise DataError(f"{_kinds_of(table.path)}: cannot be read: {error}") from error
    if not isinstance(kinds, dict) or not set(kinds) <= set(table.cells):
        raise DataError(f"{_kinds_of(table.path)}: does not belong to {table.path.name}")
    declared = {}
    for name, kind in kinds.items():
        texts = table.cells[name]
        values = list(texts) if kind == "category" else Column(name=name, kind=kind, missing=True).values(texts)[0]
        declared[name] = Declared(kind, values)
    cells = {name: texts for name, texts in table.cells.items() if name not in declared}
    return replace(table, cells=cells, declared=declared, order=table.names)
