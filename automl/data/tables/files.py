"""Tables in files, and how each kind is read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from automl.data.tables.csv_files import Table, read_csv, read_csv_parts, table_of
from automl.errors import DataError
from automl.open_file import open_file


def read_table(path: Path) -> Table:
    """The table in a file of any of the kinds that `table_names` knows. Raises `DataError`."""
    kind = path.suffix.lower()
    if kind == ".xlsx":
        return _read_excel(path)
    if kind in (".parquet", ".feather"):
        return replace(table_of(_with_pandas(path, f"read_{kind[1:]}", "pyarrow", "parquet")), path=path)
    return read_csv(path)


def read_table_parts(path: Path) -> Iterator[Table]:
    """The same, of a csv some rows at a time; what pandas reads comes whole."""
    if path.suffix.lower() in (".xlsx", ".parquet", ".feather"):
        yield read_table(path)
    else:
        yield from read_csv_parts(path)


def _read_excel(path: Path) -> Table:
    """The only sheet with anything in it."""
    sheets = _with_pandas(path, "read_excel", "openpyxl", "excel", sheet_name=None, engine="openpyxl")
    filled = {name: frame for name, frame in sheets.items() if len(frame)}
    if len(filled) != 1:
        which = f"{len(filled)} sheets ({', '.join(map(repr, filled))})" if filled else "no sheet"
        raise DataError(f"{path}: {which} with rows; save the one that is meant as a csv or a workbook of its own")
    return replace(table_of(next(iter(filled.values()))), path=path)


def _with_pandas(path: Path, reader: str, package: str, extra: str, **options: Any) -> Any:
    """What the function `reader` of pandas makes of a file; it needs a `package`, which the `extra` installs."""
    import pandas

    read: Callable[..., Any] = getattr(pandas, reader)
    try:
        with open_file(path) as file:
            return read(file, **options)
    except ImportError:
        raise DataError(f"{path}: to read it takes the package {package}: pip install 'automl[{extra}]'") from None
    # A damaged file makes the readers raise almost anything.
    except Exception as error:
        reason = str(error).partition("\n")[0][:200] or type(error).__name__
        raise DataError(f"{path}: cannot be read as {path.suffix[1:].lower()}: {reason}") from error
