"""The frozen settings of a run, validated at the border; inside they are trusted."""

from __future__ import annotations

import json
import re
from collections.abc import Container, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator, model_validator

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


IN_TIME = 1000  # trials that a search with a timeout tries at most where it is not told otherwise

DATA, SPACE, RACE, MACHINE = "Data", "Search space", "Race", "Machine and records"
"""The panels of the command line's help."""


def option(default: Any, panel: str, help: str, *, metavar: str | None = None, text: bool = False) -> Any:
    """A setting that is an option of `automl search` (`automl.cli.options`).

    help: a phrase without a full stop; the default is added. text: the option is a text whatever the setting is, which
    a validator reads.
    """
    return Field(default, description=help, json_schema_extra={"panel": panel, "metavar": metavar, "text": text})


class Settings(BaseModel):
    """What a user decides about a search. The field's name is the option's name on the command line.

    `data` and the fields after it say what to learn from; `space`, `architectures`, `overrides` and `weights` what
    to search; `trials`, `timeout` and `trial_timeout` (seconds) how long; `folds`, `epochs`, `metric`, `ladder`,
    `finalists`, `patience` and `tolerance` define the race, `repeats`, `prefer` and `final` what follows; the rest is
    about the machine and the records.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    data: str = "digits"
    target: tuple[str, ...] = option((), DATA, "The column of a table to predict; several: a,b", metavar="COLUMN")
    task: Literal["classification", "regression", "multilabel"] | None = option(
        None, DATA, "classification, regression or multilabel, where unclear"
    )
    groups: str | None = option(None, DATA, "Column, array or file of groups that stay in one fold")
    categorical: tuple[str, ...] = option((), DATA, "A column of numbers that are categories", metavar="COLUMN")
    time: str | None = option(
        None, DATA, "Column that orders the rows: folds go forward, the latest are the test set", metavar="COLUMN"
    )
    images: str | None = option(None, DATA, "Where the paths of a list of images begin", metavar="DIR")
    image_size: Positive | None = option(None, DATA, "Resize all images to N x N")
    skip_bad: bool = option(False, DATA, "Leave unreadable images out")
    follow_links: bool = option(False, DATA, "Allow links that lead out of the data folder")
    test_fraction: Annotated[float, Field(gt=0, lt=1)] = option(0.2, DATA, "Share cut off for the test")

    space: str | None = option(None, SPACE, "A YAML file or a built-in space (see `automl spaces`)")
    architectures: tuple[str, ...] = option((), SPACE, "Search only this one")
    added: tuple[str, ...] = option((), SPACE, "Add this architecture to the space", metavar="NAME")
    overrides: tuple[str, ...] = option((), SPACE, "Pin or replace a domain: resnet.depth=3", metavar="NAME=DOMAIN")
    plugins: tuple[str, ...] = option((), SPACE, "Load this plugin too", metavar="FILE")
    plugins_dirs: tuple[str, ...] = option((), SPACE, "Load every *.py of this folder", metavar="DIR")
    weights: str | None = option(
        None, SPACE, "What `transfer` begins with: a file of weights, or a run's folder", metavar="FILE|RUN"
    )
    first_from: tuple[str, ...] = option((), SPACE, "Try the best configs of this run first", metavar="RUN")
    max_params: Positive | None = option(None, SPACE, "Networks with more parameters are infeasible")
    sampler: Literal["tpe", "random", "grid", "gp", "cmaes"] = option("tpe", SPACE, "tpe, random, grid, gp or cmaes")

    trials: Positive = option(
        50, RACE, f"How many configs to try; with --timeout by default what there is time for, {IN_TIME:,} at most"
    )
    timeout: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = option(
        None, RACE, "Hard deadline, e.g. 90s, 10m, 1h30m", metavar="10m", text=True
    )
    trial_timeout: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = option(
        None, RACE, "A trial that takes longer in all fails", metavar="10m", text=True
    )
    folds: Annotated[int, Field(ge=2, le=1000)] = option(5, RACE, "K of the cross-validation")
    epochs: Annotated[int, Field(ge=1, le=100_000)] = option(
        20, RACE, "Epochs of a full training; of a table by its rows"
    )
    metric: str | None = option(None, RACE, "What is optimised: accuracy, auroc, mae, ... (default log_loss or rmse)")
    ladder: str | None = option(None, RACE, "The rungs by hand, epochs x folds", metavar="1x1,3x1,9x2,27x5")
    finalists: UpTo1000 = option(3, RACE, "Trials to complete on all folds")
    repeats: UpTo100 = option(2, RACE, "Cross-validations of a finalist in all, on fresh folds")
    prefer: Literal["score", "small"] = option(
        "score",
        RACE,
        "The winner has the best mean score, or of those within a standard error the smallest network",
        metavar="score|small",
    )
    final: Literal["refit", "ensemble"] = option(
        "refit", RACE, "The final model: refit (one network) or ensemble (its folds)"
    )
    patience: Positive | None = option(
        None, RACE, "Epochs of overfitting before a verdict (default 20 % of --epochs, at least 4)"
    )
    tolerance: Annotated[float, Field(ge=0, allow_inf_nan=False)] = option(
        0.05, RACE, "Rise of the validation loss that counts as overfitting"
    )

    seed: Annotated[int, Field(ge=0, lt=2**31)] = option(0, MACHINE, "Seed of everything random")
    device: str = option("auto", MACHINE, "auto, cpu, cuda or cuda:N")
    devices: tuple[str, ...] = option(
        (), MACHINE, "A device for each worker, in turn; auto: every GPU", metavar="cuda:0,cuda:1", text=True
    )
    precision: Literal["auto", "fp32", "bf16"] = option("auto", MACHINE, "auto, fp32 or bf16")
    executor: Literal["auto", "serial", "fused"] = option(
        "auto", MACHINE, "auto, serial or fused: folds one by one or as a CUDA graph"
    )
    threads: UpTo1000 | None = option(None, MACHINE, "CPU threads, of all workers together")
    workers: UpTo1000 | Literal["auto"] = option(
        "auto", MACHINE, "Processes that search side by side", metavar="N", text=True
    )
    launcher: Literal["local", "ray"] = option(
        "local", MACHINE, "Workers on this machine, or as actors of a Ray cluster", metavar="local|ray"
    )
    ray_address: str | None = option(
        None, MACHINE, "The Ray cluster (default the one on this machine)", metavar="HOST:PORT"
    )
    storage: str | None = option(
        None, MACHINE, "Optuna storage URL instead of the run's journal (also $AUTOML_STORAGE)"
    )
    study: str | None = option(None, MACHINE, "Name of the study in the storage (default the run's folder)")
    log_to: tuple[str, ...] = option((), MACHINE, "Log every trial to tensorboard, mlflow or a plugin's listener")

    @model_validator(mode="before")
    @classmethod
    def _what_there_is_time_for(cls, values: Any) -> Any:
        if not isinstance(values, Mapping) or values.get("trials") is not None:
            return values
        told = {name: value for name, value in values.items() if name != "trials"}
        return told | {"trials": IN_TIME} if told.get("timeout") is not None else told

    @field_validator("target", mode="before")
    @classmethod
    def _one_or_several(cls, value: Any) -> Any:
        names = () if value is None else (value,) if isinstance(value, str) else value
        if isinstance(names, list | tuple) and not all(isinstance(name, str) and name.strip() for name in names):
            raise ValueError("must be the name of a column, or several")
        return names

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
        for name in ("plugins", "plugins_dirs", "first_from"):
            changes[name] = tuple(absolute(value) for value in getattr(self, name))
        return self.model_copy(update=changes)


CHANGEABLE = (
    "trials",
    "timeout",
    "trial_timeout",
    "device",
    "devices",
    "threads",
    "workers",
    "launcher",
    "ray_address",
    "storage",
)
"""What may change when a run is resumed."""

OPTION_NAMES = {
    "overrides": "--set",
    "architectures": "--architecture",
    "added": "--add",
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
