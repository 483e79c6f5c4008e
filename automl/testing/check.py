"""What a check of a plugin found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from automl.hooks.declarations import Declaration
from automl.hooks.loading import blame
from automl.spaces.parameters import Scalar


@dataclass(frozen=True)
class Check:
    """What one config showed. `problem` is why it failed or is infeasible; `seconds` what everything took.

    Of an architecture, `parameters` is the network's number of them; `operations` the floating-point operations of 2
    samples' forward pass; `trained` whether a training step and saving were tried too, `untrained` why not.
    """

    config: Mapping[str, Scalar]
    outcome: Literal["ok", "infeasible", "failed"]
    problem: str = ""
    parameters: int = 0
    operations: int = 0
    trained: bool = False
    untrained: str = ""
    seconds: float = 0.0


class Failure(Exception):
    """A check found something wrong; the message says what."""


def explain(error: BaseException, declaration: Declaration, where: str = "") -> str:
    """What went wrong, with the line of the plugin's file; `where` says under which circumstances."""
    if isinstance(error, Failure):
        return str(error)
    broken = blame(error, declaration.plugin, declaration.source)
    place = f" at {Path(broken.source).name}:{broken.line}" if broken.line else ""
    return f"{broken.problem}{place}" + (f" ({where})" if where else "")
