"""The frozen settings of a run, validated at the border; inside they are trusted."""

from __future__ import annotations

import json
import re
from collections.abc import Container, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator

from automl.errors import SettingsError, did_you_mean

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(s(?:ec(?:ond)?s?)?|m(?:in(?:ute)?s?)?|h(?:(?:ou)?rs?)?|d(?:ays?)?)?\s*")


def parse_duration(text: str | float) -> float:
    """Seconds from `90`, `90s`, `10m`, `2min`, `1h30m` or `2 days`. Raises `ValueError`."""
    if isinstance(text, int | float):
        return float(text)
    parts = _DURATION.findall(text.strip().lower())
    alone = len(parts) == 1
    if not _DURATION.sub("", text.strip().lower()) == "" or not parts or (not alone and any(not u for _, u in parts)):
        raise ValueError("must be a duration such as 90s, 10m or 1h30m")
    return sum(float(number) * _UNITS[unit[:1] or "s"] for number, unit in parts)


def write_space(space: Mapping[str, Any]) -> str:
    """A search space given as a mapping, as text: JSON, which is YAML too. Raises `ValueError`."""

    def plain(value: Any) -> Any:
        if hasattr(value, "to_json"):  # Int, Float, Choice
            return value.to_json()
        if hasattr(value, "item"):  # a number of numpy's
            return value.item()
        raise ValueError(f"must hold numbers, texts, lists and mappings, not {type(value).__name__}")

    try:
        return json.dumps(space, ensure_ascii=False, allow_nan=False, default=plain)
    except (TypeError, RecursionError) as error:
        raise ValueError(f"must be a mapping as a YAML file would hold it: {error}") from None


def is_written_out(space: str) -> bool:
    """Whether the setting `space` is the search space itself, not its name or path."""
    return space.lstrip().startswith("{")


Positive = Annotated[int, Field(ge=1)]
UpTo100 = Annotated[int, Field(ge=1, le=100)]
UpTo1000 = Annotated[int, Field(ge=1, le=1000)]


class Settings(BaseModel):
    """What a user decides about a search. The field's name is the option's name on the command line.

    `data` and the fields after it say what to learn from; `space`, `architectures`, `overrides` and `weights` what
    to search; `trials`, `timeout` and `trial_timeout` (seconds) how long; `folds`, `epochs`, `metric`, `ladder`,
    `finalists`, `patience` and `tolerance` define the race, `repeats`, `prefer` and `final` what follows; the rest is
    about the machine and the records.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    data: str = "digits"
    target: str | None = None
    task: Literal["classification", "regression"] | None = None
    groups: str | None = None
    images: str | None = None
    image_size: Positive | None = None
    skip_bad: bool = False
    follow_links: bool = False
    test_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.2

    space: str | None = None
    architectures: tuple[str, ...] = ()
    overrides: tuple[str, ...] = ()
    plugins: tuple[str, ...] = ()
    plugins_dirs: tuple[str, ...] = ()
    weights: str | None = None
    max_params: Positive | None = None

    trials: Positive = 50
    timeout: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    trial_timeout: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    sampler: Literal["tpe", "random", "grid", "gp", "cmaes"] = "tpe"
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0

    folds: Annotated[int, Field(ge=2, le=1000)] = 5
    epochs: Annotated[int, Field(ge=1, le=100_000)] = 20
    metric: str | None = None
    ladder: str | None = None
    finalists: UpTo1000 = 3
    repeats: UpTo100 = 2
    prefer: Literal["score", "small"] = "score"
    final: Literal["refit", "ensemble"] = "refit"
    patience: Positive | None = None
    tolerance: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.05

    device: str = "auto"
    devices: tuple[str, ...] = ()
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    executor: Literal["auto", "serial", "fused"] = "auto"
    threads: UpTo1000 | None = None
    workers: UpTo1000 | Literal["auto"] = "auto"
    launcher: Literal["local", "ray"] = "local"
    ray_address: str | None = None
    storage: str | None = None
    study: str | None = None
    log_to: tuple[str, ...] = ()

    @field_validator("space", mode="before")
    @classmethod
    def _written_out(cls, value: Any) -> Any:
        return write_space(value) if isinstance(value, Mapping) else value

    @field_validator("workers", mode="before")
    @classmethod
    def _number_or_auto(cls, value: Any) -> Any:
        number = int(value) if isinstance(value, str) and value.isdecimal() else value
        if number != "auto" and not (isinstance(number, int) and not isinstance(number, bool) and number >= 1):
            raise ValueError("must be auto or a whole number from 1")
        return number

    @field_validator("ray_address")
    @classmethod
    def _for_ray(cls, value: Any, info: ValidationInfo) -> Any:
        if value is not None and info.data.get("launcher") != "ray":
            raise ValueError("is for --launcher ray only")
        return value

    @field_validator("devices", mode="before")
    @classmethod
    def _listed(cls, value: Any, info: ValidationInfo) -> Any:
        names = tuple(name.strip() for name in value.split(",")) if isinstance(value, str) else tuple(value)
        if "" in names or ("auto" in names and len(names) > 1):
            raise ValueError("must be auto, or devices with commas between: cuda:0,cuda:1")
        if names and info.data.get("device", "auto") != "auto":
            raise ValueError(f"give one of --devices and --device {info.data['device']}, not both")
        return names

    @field_validator("timeout", "trial_timeout", mode="before")
    @classmethod
    def _duration(cls, value: Any) -> Any:
        return parse_duration(value) if isinstance(value, str) else value

    def with_absolute_paths(self, names: Container[str]) -> Settings:
        """The same settings with absolute paths, so that a run can be resumed from any folder.

        `names` are those of data sets and search spaces: they go before files of the same name.
        """

        def absolute(value: str) -> str:
            path = Path(value).expanduser()
            return str(path.absolute()) if value not in names and path.exists() else value

        def named(field: str) -> bool:
            value = getattr(self, field)
            return bool(value) and not (field == "space" and is_written_out(value))

        changes: dict[str, Any] = {
            name: absolute(getattr(self, name)) for name in ("data", "images", "space", "weights") if named(name)
        }
        if (
            self.data and self.groups and Path(self.data).expanduser().is_dir()
        ):  # elsewhere it names a column or an array
            changes["groups"] = absolute(self.groups)
        for name in ("plugins", "plugins_dirs"):
            changes[name] = tuple(absolute(value) for value in getattr(self, name))
        return self.model_copy(update=changes)


OPTION_NAMES = {
    "overrides": "--set",
    "architectures": "--architecture",
    "plugins": "--plugin",
    "plugins_dirs": "--plugins-dir",
}


def option_name(field: str) -> str:
    """The command line's name of a setting: `test_fraction` -> `--test-fraction`."""
    return OPTION_NAMES.get(field, "DATA" if field == "data" else "--" + field.replace("_", "-"))


def make_settings(**values: Any) -> Settings:
    """Validated settings; None means the default. Raises `SettingsError` naming the option, the value and the law."""
    for name in values:
        if name not in Settings.model_fields:
            raise SettingsError(f"there is no setting '{name}'{did_you_mean(name, Settings.model_fields)}")
    try:
        given: dict[str, Any] = {k: str(v) if isinstance(v, Path) else v for k, v in values.items() if v is not None}
        return Settings(**given)
    except ValidationError as error:
        problems = []
        for problem in error.errors():
            field = str(problem["loc"][0]) if problem["loc"] else ""
            law = str(problem["msg"]).removeprefix("Value error, ").removeprefix("Input ")
            problems.append(f"{option_name(field)} {problem['input']}: {law}")
        raise SettingsError("; ".join(problems)) from None
