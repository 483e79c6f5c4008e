"""What belongs to the whole process and not to a search or a plugin: random generators, torch's defaults and threads.

A search gives them back to its caller as they were, and a plugin changes them for nobody but itself. Imports no torch.
"""

from __future__ import annotations

import functools
import os
import random
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


@contextmanager
def restored_defaults(changed: Callable[[str], None] = lambda what: None) -> Iterator[None]:
    """Puts torch's default dtype, default device and number of threads back to what they were before.

    `changed` is called with each that needed it: `torch's default dtype (to torch.float64)`.
    """
    before = _torch_defaults() or {"default dtype": "torch.float32", "default device": "cpu"}
    try:
        yield
    finally:
        now = _torch_defaults()
        for name in [name for name, value in before.items() if now.get(name, value) != value]:
            _set_torch_default(name, before[name])
            changed(f"torch's {name} (to {now[name]})")


@contextmanager
def exits_raise() -> Iterator[None]:
    """Makes `os._exit` raise SystemExit in this process: it would end it with whatever code, and without a word."""
    ends, process = os._exit, os.getpid()

    def leave(status: int) -> NoReturn:
        if os.getpid() != process:
            ends(status)
        raise SystemExit(status)

    os._exit = leave
    try:
        yield
    finally:
        os._exit = ends


@contextmanager
def restored_generators() -> Iterator[None]:
    """Has the generators of `random`, of numpy and of torch stand where they stood before."""
    numpy, torch = sys.modules.get("numpy"), sys.modules.get("torch")
    ours = random.getstate()
    numpys = numpy.random.get_state() if numpy else None
    torchs = torch.get_rng_state() if torch else None
    try:
        yield
    finally:
        random.setstate(ours)
        if numpy:
            numpy.random.set_state(numpys)
        if torch:
            torch.set_rng_state(torchs)


def leaves_the_process_alone(function: Callable[P, R]) -> Callable[P, R]:
    """The function, with all of it put back at its end: for what is called from Python."""

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        with restored_defaults(), restored_generators():
            return function(*args, **kwargs)

    return call


def keeps_defaults(build: Callable[..., Any]) -> Callable[..., Any]:
    """A plugin's function, within `restored_defaults`."""

    def call(*args: Any, **kwargs: Any) -> Any:
        with restored_defaults():
            return build(*args, **kwargs)

    return functools.update_wrapper(call, build, updated=())


def _torch_defaults() -> dict[str, str | int]:
    torch = sys.modules.get("torch")
    if torch is None or not hasattr(torch, "get_default_device"):  # not imported, or only half
        return {}
    return {
        "default dtype": str(torch.get_default_dtype()),
        "default device": str(torch.get_default_device()),
        "number of threads": torch.get_num_threads(),
    }


def _set_torch_default(name: str, value: str | int) -> None:
    torch = sys.modules["torch"]
    if name == "default dtype":
        torch.set_default_dtype(getattr(torch, str(value).removeprefix("torch.")))
    elif name == "default device":
        torch.set_default_device(None if value == "cpu" else value)
    else:
        torch.set_num_threads(value)
