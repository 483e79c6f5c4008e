"""The names of files that hold a table. Imports nothing that takes long."""

from __future__ import annotations

from pathlib import Path

PACKED = (".gz", ".bz2", ".xz")
TABLES = (
    *(f"{kind}{packed}" for kind in (".csv", ".tsv") for packed in ("", *PACKED)),
    ".parquet",
    ".feather",
    ".xlsx",
)
"""How they end, in small letters."""


def is_table(path: str | Path) -> bool:
    """Whether the file's name says that it holds a table."""
    return str(path).lower().endswith(TABLES)


def table_name(path: Path) -> str:
    """The file's name without what says that it holds a table."""
    ending = max((each for each in TABLES if path.name.lower().endswith(each)), key=len, default="")
    return path.name[: len(path.name) - len(ending)]
