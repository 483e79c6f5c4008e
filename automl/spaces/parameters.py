"""The parameters of a search space: `Int`, `Float`, `Choice` and `Text`, each with an optional condition `when`.

A parameter knows its domain, whether a value lies in it and how to write itself down; sampling is Optuna's work and
stands in `space.py`.
"""

from __future__ import annotations

import copy
import math
import reprlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Self

from automl.errors import SpaceError

Scalar = None | bool | int | float | str
"""What a parameter's value can be."""

Condition = Mapping[str, Scalar | tuple[Scalar, ...] | list[Scalar]]
"""`{"norm": "group"}` or `{"norm": ("group", "batch")}`: active when the named parameter has (one of) the value(s)."""


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def same_value(a: Scalar, b: Scalar) -> bool:
    """Equality in which `True` is not `1` (Python's `==` says they are the same)."""
    return a == b and isinstance(a, bool) == isinstance(b, bool)


def _freeze_condition(when: Condition | None) -> dict[str, tuple[Scalar, ...]] | None:
    if when is None:
        return None
    if not isinstance(when, Mapping) or not when:
        raise SpaceError("", f"when= must map a parameter's name to its value(s), not {reprlib.repr(when)}")
    frozen = {name: tuple(v) if isinstance(v, tuple | list) else (v,) for name, v in when.items()}
    for name, values in frozen.items():
        if not values or not all(v is None or isinstance(v, bool | int | float | str) for v in values):
            raise SpaceError("", f"when: '{name}' needs a value or a list of values, not {reprlib.repr(when[name])}")
    return frozen


class Parameter(ABC):
    """Base of `Int`, `Float`, `Choice` and `Text`. `when` is the condition under which the parameter is active."""

    when: dict[str, tuple[Scalar, ...]] | None

    def active(self, values: Mapping[str, Any]) -> bool:
        """Whether the parameter is used, given the values of its siblings (an inactive sibling has no value)."""
        if self.when is None:
            return True
        return all(
            name in values and any(same_value(values[name], w) for w in wanted) for name, wanted in self.when.items()
        )

    def under(self, when: Condition | None) -> Self:
        """The same domain under another condition."""
        other = copy.copy(self)
        object.__setattr__(other, "when", _freeze_condition(when))
        return other

    @abstractmethod
    def contains(self, value: object) -> bool:
        """Whether `value` lies in the domain."""

    @abstractmethod
    def accepts(self, value: object) -> bool:
        """Whether `value` is of the domain's kind, so that it may pin the parameter, also from outside the domain."""

    @abstractmethod
    def corners(self) -> list[Scalar]:
        """The values at the domain's border (for a choice: all)."""

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """The domain as it is written in YAML, e.g. `{"int": [1, 5]}`."""

    def _json_condition(self) -> dict[str, Any]:
        if self.when is None:
            return {}
        return {"when": {k: list(v) if len(v) != 1 else v[0] for k, v in self.when.items()}}

    @abstractmethod
    def __str__(self) -> str:
        """The domain and its condition, e.g. `1..5 log when norm=group`."""

    def _condition_text(self) -> str:
        if self.when is None:
            return ""
        return " when " + " and ".join(f"{k}={'|'.join(map(str, v))}" for k, v in self.when.items())


@dataclass(frozen=True, init=False)
class Int(Parameter):
    """A whole number from `low` to `high`, both included; `log` samples it logarithmically; `step` from `low` up.

    Raises `SpaceError` when the bounds are not whole numbers, `low > high`, or `log` is asked with `low < 1`.
    """

    low: int
    high: int
    log: bool
    step: int
    when: dict[str, tuple[Scalar, ...]] | None

    def __init__(self, low: int, high: int, *, log: bool = False, step: int = 1, when: Condition | None = None):
        for name, value in (("low", low), ("high", high), ("step", step)):
            if not isinstance(value, int) or isinstance(value, bool):
                raise SpaceError("", f"int: {name} must be a whole number, not {reprlib.repr(value)}")
            if abs(value) > 2**53:
                raise SpaceError("", f"int: {name} must lie within -2**53..2**53 (samplers use floats), not {value}")
        if low > high:
            raise SpaceError("", f"int: low {low} is above high {high}")
        if step < 1 or (log and step != 1):
            raise SpaceError("", f"int: step must be at least 1 (and 1 with log), not {step}")
        if log and low < 1:
            raise SpaceError("", f"int: log needs low >= 1, not {low}")
        for name, value in (("low", low), ("high", high - (high - low) % step), ("log", bool(log)), ("step", step)):
            object.__setattr__(self, name, value)
        object.__setattr__(self, "when", _freeze_condition(when))

    def contains(self, value: object) -> bool:  # noqa: D102
        return self.accepts(value) and self.low <= value <= self.high and (value - self.low) % self.step == 0  # type: ignore[operator]

    def accepts(self, value: object) -> bool:  # noqa: D102
        return isinstance(value, int) and not isinstance(value, bool)

    def corners(self) -> list[Scalar]:  # noqa: D102
        return [self.low] if self.low == self.high else [self.low, self.high]

    def to_json(self) -> dict[str, Any]:  # noqa: D102
        out: dict[str, Any] = {"int": [self.low, self.high]}
        if self.log:
            out["log"] = True
        if self.step != 1:
            out["step"] = self.step
        return out | self._json_condition()

    def __str__(self) -> str:
        step = f" step {self.step}" if self.step != 1 else ""
        return f"{self.low}..{self.high}{' log' if self.log else ''}{step}{self._condition_text()}"


@dataclass(frozen=True, init=False)
class Float(Parameter):
    """A real number from `low` to `high`; `log` samples it logarithmically; `step` makes a grid from `low` up.

    Raises `SpaceError` when a bound is not a finite number, `low > high`, or `log` is asked with `low <= 0`.
    """

    low: float
    high: float
    log: bool
    step: float | None
    when: dict[str, tuple[Scalar, ...]] | None

    def __init__(
        self, low: float, high: float, *, log: bool = False, step: float | None = None, when: Condition | None = None
    ):
        for name, value in (("low", low), ("high", high), ("step", 1 if step is None else step)):
            if not _is_number(value) or not math.isfinite(value):
                raise SpaceError("", f"float: {name} must be a finite number, not {reprlib.repr(value)}")
        if low > high or not math.isfinite(float(high) - float(low)):
            law = "is above" if low > high else "is too far from"
            raise SpaceError("", f"float: low {low:g} {law} high {high:g}")
        if step is not None and (step <= 0 or log):
            raise SpaceError("", f"float: step must be above 0 and cannot go with log, not {step:g}")
        if log and low <= 0:
            raise SpaceError("", f"float: log needs low > 0, not {low:g}")
        if step is not None:  # the grid's last point, by decimal arithmetic: 0.3 is on the grid of 0.1
            first, grid = Decimal(str(low)), Decimal(str(step))
            steps = int((Decimal(str(high)) - first) / grid + Decimal("1e-9"))  # a point stays one after rounding
            if steps > 2**53:
                raise SpaceError("", f"float: step {step:g} is too small for {low:g}..{high:g}")
            high = float(first + steps * grid)
        for name, value in (("low", float(low)), ("high", float(high)), ("log", bool(log))):
            object.__setattr__(self, name, value)
        object.__setattr__(self, "step", None if step is None else float(step))
        object.__setattr__(self, "when", _freeze_condition(when))

    def contains(self, value: object) -> bool:  # noqa: D102
        if not self.accepts(value) or not self.low <= value <= self.high:  # type: ignore[operator]
            return False
        steps = 0.0 if self.step is None else (value - self.low) / self.step  # type: ignore[operator]
        return abs(steps - round(steps)) < 1e-8

    def accepts(self, value: object) -> bool:  # noqa: D102
        return _is_number(value) and math.isfinite(value)  # type: ignore[arg-type]

    def steps(self) -> int:
        """How many steps lead from `low` to `high`; 0 without a grid."""
        return 0 if self.step is None else round((self.high - self.low) / self.step)

    def corners(self) -> list[Scalar]:  # noqa: D102
        return [self.low] if self.low == self.high else [self.low, self.high]

    def to_json(self) -> dict[str, Any]:  # noqa: D102
        out: dict[str, Any] = {"float": [self.low, self.high]}
        if self.log:
            out["log"] = True
        if self.step is not None:
            out["step"] = self.step
        return out | self._json_condition()

    def __str__(self) -> str:
        step = f" step {self.step:g}" if self.step is not None else ""
        return f"{self.low:g}..{self.high:g}{' log' if self.log else ''}{step}{self._condition_text()}"


@dataclass(frozen=True, init=False)
class Choice(Parameter):
    """One of the given values: numbers, strings, booleans or None.

    Raises `SpaceError` for no value, a value twice, or a value that is none of these kinds.
    """

    values: tuple[Scalar, ...]
    when: dict[str, tuple[Scalar, ...]] | None

    def __init__(self, *values: Scalar, when: Condition | None = None):
        if not values:
            raise SpaceError("", "choice: at least one value is needed")
        seen = set()
        for value in values:
            if value is not None and not isinstance(value, bool | int | float | str):
                raise SpaceError("", f"choice: {reprlib.repr(value)} is not a number, string, boolean or null")
            if isinstance(value, float) and not math.isfinite(value):
                raise SpaceError("", f"choice: {reprlib.repr(value)} is not a finite number")
            if value in seen:  # Python's ==, which Optuna uses too: 1 and True are the same
                raise SpaceError("", f"choice: {reprlib.repr(value)} is listed twice (1 and true count as the same)")
            seen.add(value)
        object.__setattr__(self, "values", tuple(values))
        object.__setattr__(self, "when", _freeze_condition(when))

    def contains(self, value: object) -> bool:  # noqa: D102
        return any(same_value(value, v) for v in self.values)  # type: ignore[arg-type]

    def accepts(self, value: object) -> bool:  # noqa: D102
        if isinstance(value, int) and not isinstance(value, bool):
            return any(_is_number(v) for v in self.values)
        if isinstance(value, float):
            return math.isfinite(value) and any(isinstance(v, float) for v in self.values)
        return self.contains(value) or (isinstance(value, bool) and any(isinstance(v, bool) for v in self.values))

    def corners(self) -> list[Scalar]:  # noqa: D102
        return list(self.values)

    def to_json(self) -> dict[str, Any]:  # noqa: D102
        return {"choice": list(self.values)} | self._json_condition()

    def __str__(self) -> str:
        return "|".join(
            "null" if v is None else str(v).lower() if isinstance(v, bool) else str(v) for v in self.values
        ) + (self._condition_text())


@dataclass(frozen=True, init=False)
class Text(Parameter):
    """Any text, e.g. the name of a file: it is `default` until a search space pins it, and never varied by itself.

    An architecture with such a parameter is searched only where it is named. Raises `SpaceError` when `default` is no
    text.
    """

    default: str
    when: dict[str, tuple[Scalar, ...]] | None

    def __init__(self, default: str, *, when: Condition | None = None):
        if not isinstance(default, str):
            raise SpaceError("", f"text: the default must be a text, not {reprlib.repr(default)}")
        object.__setattr__(self, "default", default)
        object.__setattr__(self, "when", _freeze_condition(when))

    def contains(self, value: object) -> bool:  # noqa: D102
        return isinstance(value, str)

    def accepts(self, value: object) -> bool:  # noqa: D102
        return isinstance(value, str)

    def corners(self) -> list[Scalar]:  # noqa: D102
        return [self.default]

    def to_json(self) -> dict[str, Any]:  # noqa: D102
        return {"text": self.default} | self._json_condition()

    def __str__(self) -> str:
        return f"any text, else {self.default}{self._condition_text()}"
