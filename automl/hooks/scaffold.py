"""Writes a new plugin as a small complete package: `automl plugins new NAME`. What it contains is in `template/`."""

from __future__ import annotations

import builtins
import importlib.resources
import importlib.util
import keyword
import os
import re
import secrets
import shutil
import string
from pathlib import Path

import automl
from automl.errors import BadInput
from automl.failpoints import passing
from automl.hooks.host import PluginHost

FILES = {
    "pyproject.toml": "pyproject.toml",
    "README.md": "README.md",
    "search_space.yaml": "search_space.yaml",
    "plugin.py": "$module.py",
    "test_plugin.py": "tests/test_$function.py",
}
"""The templates, and the file that each becomes."""

LONGEST = 60
NAME = re.compile(r"[a-z](?:[_-]?[a-z0-9])*", re.ASCII)


def write_package(name: str, folder: Path, host: PluginHost) -> list[Path]:
    """Writes the package `name` into the new folder `folder / name`.

    It is the distribution `automl-NAME` with the module `automl_NAME`, whose architecture is called NAME, each `-`
    being a `_` in Python.

    Args:
        name: lower-case letters, digits, `-` and `_`, such as `wide-net`.
        folder: an existing folder.
        host: the plugins whose names are taken.

    Returns:
        The files that were written.

    Raises:
        BadInput: the name cannot be used, `folder` is none, or `folder / name` exists. Nothing is left behind.
    """
    problem = _problem_of_name(name) or _taken(name, host)
    if problem:
        raise BadInput(f"plugins new {name!r}: {problem}")
    if not folder.is_dir():
        raise BadInput(f"--dir {folder}: {'is a file' if folder.exists() else 'no such folder'}")
    target = folder / name
    if os.path.lexists(target):
        raise BadInput(f"{target}: exists already; give another name, or another folder with --dir")
    making = folder / f".{name}.{secrets.token_hex(8)}.tmp"  # whoever is killed leaves no half of a plugin
    try:
        making.mkdir()
    except OSError as error:
        raise BadInput(f"{target}: cannot be made: {error.strerror}") from error
    try:
        written = _write(name, making)
        passing("rename")
        making.rename(target)
    except OSError as error:
        shutil.rmtree(making, ignore_errors=True)
        raise BadInput(f"{target}: cannot be written: {error.strerror}") from error
    return [target / path.relative_to(making) for path in written]


def _write(name: str, target: Path) -> list[Path]:
    function = name.replace("-", "_")
    words = {
        "function": function,
        "module": f"automl_{function}",
        "distribution": f"automl-{name.replace('_', '-')}",
        "version": automl.__version__,
    }
    templates = importlib.resources.files("automl.hooks") / "template"
    written = []
    for template, file in FILES.items():
        path = target / string.Template(file).substitute(words)
        path.parent.mkdir(exist_ok=True)
        text = (templates / f"{template}.tmpl").read_text(encoding="utf-8")
        path.write_text(string.Template(text).substitute(words), encoding="utf-8")
        written.append(path)
    return written


def _problem_of_name(name: str) -> str:
    """Why `name` can be the name of no plugin; "" when it can."""
    if not NAME.fullmatch(name):
        return "a name has lower-case letters, digits, and single - or _ between them, and begins with a letter"
    if len(name) > LONGEST:
        return f"a name has at most {LONGEST} characters, this one {len(name)}"
    function = name.replace("-", "_")
    if keyword.iskeyword(function) or hasattr(builtins, function) or function in ("null", "true", "false"):
        return f"'{function}' is a word of Python's or YAML's own; choose another, e.g. my-{name}"
    # The module of the template uses these names itself.
    if function in {*automl.__all__, "automl", "nn"} or function.startswith("automl_"):
        return f"'{function}' is a name of automl's own; choose another, e.g. my-{name}"
    return ""


def _taken(name: str, host: PluginHost) -> str:
    """Who has the name already, as a plugin, as a declaration or as a module; "" when nobody has."""
    function = name.replace("-", "_")
    for declared in host.declarations():
        if declared.name == function:
            kind = f"{'an' if declared.kind[0] in 'aeiou' else 'a'} {declared.kind}"
            return f"there is {kind} '{function}' already, from plugin '{declared.plugin}'; choose another"
    plugins = {p.name for p in host.plugins} | {b.plugin for b in host.broken}
    if function in {plugin.replace("-", "_") for plugin in plugins}:
        return f"there is a plugin '{function}' already; choose another"
    module = f"automl_{function}"
    if importlib.util.find_spec(module) is not None:
        return f"there is a module '{module}' already; choose another"
    return ""
