"""Standard output and error as they were set up by others: an ASCII terminal, a reader that goes away.

All that a command prints goes through here, and no text of others steers the terminal.
"""

from __future__ import annotations

import codecs
import io
import os
import signal
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO, cast

from automl.foreign_text import escaped

BROKEN_PIPE = 128 + signal.SIGPIPE

_PLAIN = str.maketrans({"±": "+-", "·": ".", "•": "o", "◆": "#", "┤": "|", "└": "+", "─": "-", "→": "->", "…": "..."})


@contextmanager
def standard_streams() -> Iterator[None]:
    """Within it, printing to stdout and stderr raises for no character and for no reader that has gone.

    A command whose reader (`head`, `less`) has gone ends with 141, as Unix tools do, unless it is to `go_on`.
    """
    before = sys.stdout, sys.stderr
    _Reader.needed = True
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        with suppress(io.UnsupportedOperation):  # a notebook's, or a test's, which is no file
            if isinstance(stream, io.TextIOWrapper):
                setattr(sys, name, _wrapped(stream))
    try:
        yield
    finally:
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:  # started with `>&-`
                stream.flush()
        sys.stdout, sys.stderr = before


def go_on() -> None:
    """From now on the command goes on without its reader: a search is worth more than what it prints."""
    _Reader.needed = False


def as_data() -> TextIO:
    """Stdout for a csv: UTF-8 wherever it does not go to a terminal, for a character must not be replaced there."""
    if isinstance(sys.stdout, _Text) and not sys.stdout.isatty():
        sys.stdout.reconfigure(encoding="utf-8", errors="surrogateescape")
        return sys.stdout.rich_proxied_file
    return sys.stdout


class _Reader(io.FileIO):
    """The other end of a standard stream."""

    needed = True

    def write(self, text: object) -> int:
        """As of a file, until the reader has gone."""
        try:
            return super().write(text)  # type: ignore[arg-type]
        except BrokenPipeError:
            if self.needed:
                os._exit(BROKEN_PIPE)
            return len(text)  # type: ignore[arg-type]


class _Text(io.TextIOWrapper):
    """Hides its bytes: click would write UTF-8 to them where the terminal is ASCII."""

    buffer = None  # type: ignore[assignment]

    def write(self, text: str) -> int:
        """Writes the text, with escapes in place of what steers a terminal."""
        super().write(escaped(text))
        return len(text)

    @property
    def rich_proxied_file(self) -> TextIO:
        """Where rich writes, by its own convention: colours and movements of the cursor, see `terminal.py`."""
        return cast(TextIO, _AsItIs(self))


class _AsItIs:
    """A `_Text` whose `write` leaves all characters as they are."""

    def __init__(self, text: _Text):
        self._text = text

    def write(self, text: str) -> int:
        """Writes the text."""
        return io.TextIOWrapper.write(self._text, text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Writes the lines."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._text, name)


def _wrapped(stream: io.TextIOWrapper) -> TextIO:
    """The same stream; a character that it cannot encode is written in ASCII."""
    stream.flush()
    raw = _Reader(stream.fileno(), "w", closefd=False)
    binary = raw if stream.write_through else io.BufferedWriter(raw)
    return _Text(
        binary,
        encoding=stream.encoding,
        errors="automl.plain",
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )


def _plain(error: UnicodeError) -> tuple[str | bytes, int]:
    """±0.1 becomes +-0.1, other characters their escapes."""
    assert isinstance(error, UnicodeEncodeError), f"only encoding is asked for, not {error}"
    text = error.object[error.start : error.end].translate(_PLAIN)
    return text.encode("ascii", "backslashreplace").decode("ascii"), error.end


codecs.register_error("automl.plain", _plain)
