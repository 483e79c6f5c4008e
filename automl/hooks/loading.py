"""Finds plugins and imports them, guarded: whatever a plugin does when imported, the caller learns who, where and why.

Three sources: entry points of the group `automl`, files, folders of files. The current folder is never searched.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.machinery
import importlib.util
import logging
import re
import stat
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any

from automl.errors import AutomlError, BadInput, PluginError, did_you_mean
from automl.hooks.process_state import exits_raise, restored_defaults
from automl.open_file import read_file

log = logging.getLogger("automl.plugins")

BUILT_IN = "automl_plugins."
"""Modules of the built-in plugins; they are loaded first, so that nobody can take their names away."""


@dataclass(frozen=True)
class Broken:
    """What is wrong with a plugin: `source` is the file, `line` where in it (0: unknown)."""

    plugin: str
    source: str
    line: int
    problem: str

    def error(self) -> PluginError:
        """The same as an exception, with the file's name instead of its path."""
        return PluginError(self.plugin, Path(self.source).name, self.line, self.problem)

    def __str__(self) -> str:
        return str(self.error())


@dataclass(frozen=True)
class Found:
    """A plugin that was found, not yet imported. `source` is its file; `version` its distribution's ("" for a file)."""

    name: str
    source: str
    version: str
    load: Callable[[], Any]


def blame(error: BaseException, plugin: str, source: str) -> Broken:
    """Where in the plugin's code `error` was raised.

    The last frame in the file `source`; else the last in its folder; else where Python says. A SyntaxError and a
    PluginError bring their own file and line.
    """
    if isinstance(error, PluginError):
        return Broken(plugin, error.source or source, error.line, error.problem)
    if isinstance(error, SyntaxError) and error.filename and error.lineno:
        return Broken(plugin, error.filename, error.lineno, f"{type(error).__name__}: {error.msg}")
    own = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    problem = str(error) if isinstance(error, AutomlError) else own
    if isinstance(error, SystemExit):
        problem = f"it ends the program with exit code {error.code!r}, which a plugin must not"
    elif isinstance(error, ImportError):
        problem += _import_remedy(error, Path(source))
    here = Path(__file__).parent
    frames = [
        (frame.filename, frame.lineno or 0)
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith("<frozen") and Path(frame.filename).parent != here
    ]
    in_file = [frame for frame in frames if frame[0] == source]
    in_folder = [frame for frame in frames if Path(frame[0]).parent == Path(source).parent]
    for candidates in (in_file, in_folder):
        if candidates:
            return Broken(plugin, *candidates[-1], problem)
    return Broken(plugin, source, 0, problem)


def _import_remedy(error: ImportError, source: Path) -> str:
    """What to do where a plugin's file imports one that stands beside it; "" for any other import."""
    first = (error.name or "").partition(".")[0]
    beside = [name for name in (f"{first}.py", first) if first and (source.parent / name).exists()]
    if not beside and "relative import" not in str(error):
        return ""
    file = f"{beside[0]} stands beside {source.name}, but a" if beside else "a"
    return (
        f"; {file} plugin's file is loaded alone, and its folder is not searched for modules: put all of it into one "
        "file, or make a package of it with `automl plugins new NAME` and install that"
    )


def blame_one_of(error: BaseException, suspects: Sequence[tuple[str, str]]) -> Broken:
    """`blame` on the suspect (plugin, file) whose file has the last frame; on the first one when it is none's."""
    files = [frame.filename for frame in traceback.extract_tb(error.__traceback__)]

    def last(suspect: tuple[str, str]) -> int:
        return max((place for place, file in enumerate(files) if file == suspect[1]), default=-1)

    return blame(error, *max(suspects, key=last))


@contextlib.contextmanager
def guarded(plugin: str, source: str, broken: list[Broken]) -> Iterator[None]:
    """Runs a plugin's code: any exception but Ctrl-C becomes an entry of `broken`.

    What the plugin prints goes to stderr, since stdout may be somebody's JSON. What it changes of torch's defaults, for
    all others too, is put back, and said.
    """

    def changed(what: str) -> None:
        log.warning("plugin '%s' (%s) sets %s for everybody; it was put back", plugin, Path(source).name, what)

    try:
        with contextlib.redirect_stdout(sys.stderr), restored_defaults(changed), exits_raise():
            yield
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        broken.append(blame(error, plugin, source))


def find_entry_points() -> list[Found]:
    """The installed plugins, the built-in ones first, then by name. Nothing is imported."""
    unique = {(point.name, point.value): point for point in metadata.entry_points(group="automl")}
    points = sorted(unique.values(), key=lambda p: (not p.module.startswith(BUILT_IN), p.name, p.value))
    return [Found(p.name, _origin(p.module), p.dist.version if p.dist else "", p.load) for p in points]


def find_files(files: Sequence[str | Path], folders: Sequence[str | Path]) -> list[Found]:
    """The plugins in `files`, then in `folders` (each `*.py` not starting with `_`, by name), each file once.

    Raises:
        BadInput: a file or folder does not exist or is of the wrong kind, or anybody could have written it.
    """
    paths = [_checked_file(Path(file)) for file in files]
    for folder in map(Path, folders):
        _check_owner(folder)
        paths += sorted(p for p in _checked_folder(folder).glob("*.py") if not p.name.startswith("_") and p.is_file())
    unique = dict.fromkeys(path.resolve() for path in paths)
    return [Found(path.stem, str(path), "", lambda path=path: import_file(path)) for path in unique]  # type: ignore[misc]


def import_file(path: Path, text: bytes | None = None) -> ModuleType:
    """Imports a plugin's file under a name made of its stem and its path, the same in every process.

    text: what was read of the file, where that was checked. A file that is imported already and has not changed is not
    run again. No bytecode is written beside the file.
    """
    text = read_file(path) if text is None else text
    name, digest = _module_name(path), hashlib.sha256(text).hexdigest()
    loaded = sys.modules.get(name)
    if loaded is not None and is_imported(path, digest):
        return loaded
    code = compile(text, str(path), "exec", dont_inherit=True)
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None, "a name that ends in .py has a loader"
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # before it runs: dataclasses and pickle look their module up by name
    try:
        exec(code, module.__dict__)
    except BaseException:
        if loaded is None:
            del sys.modules[name]
        else:
            sys.modules[name] = loaded
        raise
    module.__dict__["__automl_digest__"] = digest
    return module


def is_imported(path: Path, digest: str) -> bool:
    """Whether this process has imported the plugin's file `path` with a text of this SHA-256."""
    return getattr(sys.modules.get(_module_name(path)), "__automl_digest__", "") == digest


def _module_name(path: Path) -> str:
    stem = re.sub(r"[^0-9a-zA-Z_]", "_", path.stem)
    return f"automl_plugin_{stem}_{hashlib.sha256(str(path).encode()).hexdigest()[:8]}"


def _origin(module: str) -> str:
    """The file of a module that is not imported, found without importing its packages; else the module's name."""
    path: Sequence[str] | None = None
    parts = module.split(".")
    for i in range(len(parts)):
        try:
            spec = importlib.machinery.PathFinder.find_spec(".".join(parts[: i + 1]), path)
        except (ImportError, ValueError):
            return module
        if spec is None:
            break
        if i == len(parts) - 1:
            return spec.origin or module
        path = list(spec.submodule_search_locations or [])
    known = sys.modules.get(module)
    return getattr(known, "__file__", None) or module


def _checked_file(path: Path) -> Path:
    if path.is_dir():
        raise BadInput(f"--plugin {path}: is a folder; give --plugins-dir {path} to load every plugin in it")
    if not path.is_file():
        near = [p.name for p in path.parent.glob("*.py")] if path.parent.is_dir() else []
        raise BadInput(f"--plugin {path}: no such file{did_you_mean(path.name, near)}")
    if path.suffix != ".py":
        raise BadInput(f"--plugin {path}: a plugin is a Python file, its name must end in .py")
    return path


def _check_owner(folder: Path) -> None:
    """Raises `BadInput` where every user of the machine can put a plugin there, or write to one."""
    for path in [_checked_folder(folder), *folder.glob("*.py")]:
        if path.stat().st_mode & stat.S_IWOTH:
            raise BadInput(
                f"--plugins-dir {folder}: every user of this machine can write to {path}, so its code might be "
                f"anybody's: close it with `chmod o-w {path}`, or name the files that you trust: --plugin FILE"
            )


def _checked_folder(path: Path) -> Path:
    if path.is_file():
        raise BadInput(f"--plugins-dir {path}: is a file; give --plugin {path}")
    if not path.is_dir():
        near = [p.name for p in path.parent.iterdir() if p.is_dir()] if path.parent.is_dir() else []
        raise BadInput(f"--plugins-dir {path}: no such folder{did_you_mean(path.name, near)}")
    return path
