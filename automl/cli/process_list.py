"""A password on the command line, taken out of the process list."""

from __future__ import annotations

import os
import re
import sys

VARIABLE = "AUTOML_STORAGE"  # study.storage has it too, but its imports take a second
_PASSWORD = re.compile(r"(?:^|://)[^@:]*:(?!//)[^@]*@|[?&][^=&]*(pass|pwd)[^=&]*=", re.IGNORECASE)


def hide_passwords() -> None:
    """Where `--storage` holds a password, begins this process again, with the URL in its environment instead.

    Everybody on the machine may read the arguments of a process, and only its owner the environment. Does nothing where
    somebody else's program has called the command line.
    """
    hidden = without_password(sys.orig_argv[1:])
    if hidden is None or sys.argv[1:] != sys.orig_argv[len(sys.orig_argv) - len(sys.argv) + 1 :]:
        return
    arguments, url = hidden
    os.execve(sys.executable, [sys.orig_argv[0], *arguments], {**os.environ, VARIABLE: url})


def without_password(arguments: list[str]) -> tuple[list[str], str] | None:
    """The arguments without `--storage URL`, and the URL; None where no URL with a password is among them."""
    for place, argument in enumerate(arguments):
        name, equals, value = argument.partition("=")
        if name != "--storage":
            continue
        after = place + 1 if equals else place + 2
        url = value if equals else "".join(arguments[place + 1 : after])
        if _PASSWORD.search(url):
            return [*arguments[:place], *arguments[after:]], url
    return None
