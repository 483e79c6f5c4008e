"""Reads a YAML file into plain values and the line of every key, by the rules of YAML 1.2's core schema.

PyYAML only splits the text into events; what a value means is decided here, so `1e-3` is a number, `no` is a string,
`010` is ten, and nothing can be constructed but null, booleans, numbers, strings, lists and mappings. What a
hand-written search space never needs is refused with its line: duplicate keys, anchors, aliases, merge keys, tags,
several documents, infinities, deep nesting, large files.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import yaml

from automl.errors import SpaceError, did_you_mean
from automl.open_file import open_file
from automl.spaces.parameters import Scalar

KeyPath = tuple[str | int, ...]
"""`("architectures", "resnet", "depth")`; an item of a list has its index, from 0."""

MAX_BYTES = 1 << 20
MAX_NESTING = 50

# libyaml, where PyYAML was built with it, is 10x faster; both give the same events
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_INT = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_WORDS: dict[str, Scalar] = dict.fromkeys(("", "~", "null", "Null", "NULL"))
_WORDS |= dict.fromkeys(("true", "True", "TRUE"), True) | dict.fromkeys(("false", "False", "FALSE"), False)


@dataclass(frozen=True)
class Document:
    """A YAML file's `value`, the `path` it is called by in errors, and the line of every key."""

    value: dict[str, Any]
    path: str
    lines: dict[KeyPath, int]

    def line(self, key_path: KeyPath) -> int:
        """The line (from 1) of the key; of the nearest key around it where the file has no such key."""
        while key_path not in self.lines and key_path:
            key_path = key_path[:-1]
        return self.lines.get(key_path, 1)

    def place(self, key_path: KeyPath) -> str:
        """`space.yaml:4: architectures.resnet.depth`, the place of an error about this key."""
        return _place(self.path, self.line(key_path), key_path)


def read(path: str | Path) -> Document:
    """Reads a YAML file whose top level is a mapping. Raises `SpaceError`, with file and line."""
    path = Path(path)
    try:
        if not path.is_file():
            raise missing_file(path)
        with open_file(path) as file:
            data = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise SpaceError(str(path), f"cannot be read: {getattr(error, 'strerror', None) or error}") from error
    if len(data) > MAX_BYTES:
        raise SpaceError(str(path), f"is larger than {MAX_BYTES >> 20} MiB, the most a search space may have")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise SpaceError(
            f"{path}:{line}", f"is not UTF-8 (byte 0x{data[error.start]:02x}); save it as UTF-8"
        ) from error
    return parse(text, str(path))


def missing_file(path: Path) -> SpaceError:
    """The error for a file that is not there, with the nearest name among its neighbours."""
    if path.exists():
        return SpaceError(str(path), "is not a file")
    if not path.parent.is_dir():
        return SpaceError(str(path), f"no such file: there is no folder {path.parent}")
    neighbours = [p.name for p in path.parent.iterdir() if p.suffix in (".yaml", ".yml")]
    return SpaceError(str(path), f"no such file{did_you_mean(path.name, neighbours)}")


def parse(text: str, name: str) -> Document:
    """Reads YAML text whose top level is a mapping; `name` stands for the file in errors. Raises `SpaceError`."""
    composer = _Composer(text, name)
    value = composer.document()
    if value is None:
        raise SpaceError(name, "is empty; a search space is a mapping, e.g. `architectures: [lenet]`")
    if not isinstance(value, dict):
        raise SpaceError(f"{name}:1", f"the top level must be a mapping, not {kind_of(value)}")
    return Document(value, name, composer.lines)


def parse_value(text: str, place: str = "") -> Any:
    """Reads one value from the command line, e.g. `3`, `[0.1, 0.01]` or `{float: [1e-3, 1], log: true}`.

    Raises `SpaceError` at `place`.
    """
    return _Composer(text, place, numbered=False).document()


def plain_scalar(text: str) -> Scalar:
    """What an unquoted word means by the core schema. Raises `ValueError` for a number that cannot be used."""
    if text in _WORDS:
        return _WORDS[text]
    if _INT.fullmatch(text):
        number = int(text, 0) if text[:2] in ("0o", "0x") else int(text) if len(text) < 64 else 1 << 64
        if abs(number) >= 1 << 63:
            raise ValueError(f"{shortened(text)} has more than 64 bits")
        return number
    if _NOT_FINITE.fullmatch(text) or (_FLOAT.fullmatch(text) and not math.isfinite(float(text))):
        raise ValueError(f"{shortened(text)} is not a finite number")
    return float(text) if _FLOAT.fullmatch(text) else text


def kind_of(value: object) -> str:
    """The kind of a YAML value in words, for errors: `a list`, `the string 'lenet'`, `null`."""
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, str):
        return f"the string '{shortened(value)}'"
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else f"the number {value}"


def shortened(text: str, limit: int = 60) -> str:
    """The text on one line, cut to `limit` characters: files are foreign and errors are printed."""
    line = "".join(c if c.isprintable() else "?" for c in text[: limit + 1])
    return line if len(line) <= limit else line[:limit] + "..."


def _place(name: str, line: int, key_path: KeyPath) -> str:
    if not key_path:
        return f"{name}:{line}"
    keys = [shortened(str(key)) for key in key_path[:8]] + ["..."] * (len(key_path) > 8)
    return f"{name}:{line}: {'.'.join(keys)}"


def _line(event: yaml.Event) -> int:
    return event.start_mark.line + 1 if event.start_mark else 1


class _Composer:
    """Builds the value from the parser's events, one recursive call per level (at most `MAX_NESTING`)."""

    def __init__(self, text: str, name: str, numbered: bool = True):
        self.text = text
        self.name = name
        self.numbered = numbered
        self.lines: dict[KeyPath, int] = {}
        self.events: Iterator[yaml.Event] = iter(())

    def document(self) -> Any:
        """The value of the only document; None when there is none."""
        try:
            self.events = yaml.parse(self.text, Loader=_LOADER)
            next(self.events)  # the stream's start
            if isinstance(next(self.events), yaml.StreamEndEvent):
                return None
            value = self.node(next(self.events), ())
            next(self.events)  # the document's end
            after = next(self.events)
        except yaml.YAMLError as error:
            raise self.syntax_error(error) from error
        except UnicodeEncodeError as error:
            raise SpaceError(self.name, "is not UTF-8") from error
        if not isinstance(after, yaml.StreamEndEvent):
            self.fail(after, (), "a second document begins here; a file holds one")
        return value

    def node(self, event: yaml.Event, path: KeyPath) -> Any:
        """The value that begins with `event`; reads its events to the end. All below raise `SpaceError`."""
        if isinstance(event, yaml.AliasEvent):
            self.fail(event, path, f"aliases (*{shortened(event.anchor or '')}) are not allowed; write the value out")
        if getattr(event, "anchor", None) is not None:
            self.fail(event, path, f"anchors (&{shortened(event.anchor)}) are not allowed; write the value out")  # type: ignore[attr-defined]
        if getattr(event, "tag", None) is not None:
            self.fail(event, path, f"tags ({shortened(event.tag)}) are not allowed")  # type: ignore[attr-defined]
        if isinstance(event, yaml.ScalarEvent):
            return self.scalar(event, path)
        if len(path) >= MAX_NESTING:
            self.fail(event, path, f"nested more than {MAX_NESTING} levels deep")
        return self.mapping(path) if isinstance(event, yaml.MappingStartEvent) else self.sequence(path)

    def scalar(self, event: yaml.ScalarEvent, path: KeyPath) -> Scalar:
        if event.style:  # quoted, or a block
            return event.value
        try:
            return plain_scalar(event.value)
        except ValueError as error:
            self.fail(event, path, str(error))

    def sequence(self, path: KeyPath) -> list[Any]:
        """The list whose first event has been read."""
        items: list[Any] = []
        while not isinstance(event := next(self.events), yaml.SequenceEndEvent):
            here = (*path, len(items))
            self.lines[here] = _line(event)
            items.append(self.node(event, here))
        return items

    def mapping(self, path: KeyPath) -> dict[str, Any]:
        """The mapping whose first event has been read."""
        values: dict[str, Any] = {}
        while not isinstance(event := next(self.events), yaml.MappingEndEvent):
            key = self.key(event, path)
            here = (*path, key)
            if key in values:
                self.fail(event, here, f"the key '{shortened(key)}' is given twice (first in line {self.lines[here]})")
            self.lines[here] = _line(event)
            values[key] = self.node(next(self.events), here)
        return values

    def key(self, event: yaml.Event, path: KeyPath) -> str:
        if isinstance(event, yaml.ScalarEvent) and event.value == "<<" and not event.style:
            self.fail(event, path, "merge keys (<<) are not allowed; write the values out")
        key = self.node(event, path) if isinstance(event, yaml.ScalarEvent | yaml.AliasEvent) else event
        if not isinstance(key, str):
            found = "a list or mapping" if key is event else kind_of(key)
            self.fail(event, path, f"a key must be a name, not {found}")
        return key

    def fail(self, event: yaml.Event, path: KeyPath, problem: str) -> NoReturn:
        place = _place(self.name, _line(event), path) if self.numbered else self.name
        raise SpaceError(place, problem)

    def syntax_error(self, error: yaml.YAMLError) -> SpaceError:
        """PyYAML's complaint in our words, with the line and, where it helps, a remedy."""
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        position = getattr(error, "position", 0)  # of a character that YAML does not allow
        line = mark.line if mark else self.text.count("\n", 0, position)
        problem = (
            getattr(error, "problem", None) or f"the character U+{getattr(error, 'character', 0):04X} is not allowed"
        )
        source = (self.text.split("\n")[line : line + 1] or [""])[0]
        if "\t" in source[: len(source) - len(source.lstrip())]:
            problem += "; YAML is indented with spaces, not tabs"
        return SpaceError(f"{self.name}:{line + 1}" if self.numbered else self.name, f"not valid YAML: {problem}")
