"""What describes a model, and `model.json`, which is checked where it comes in: it may come from anybody."""

from __future__ import annotations

import math
from functools import cached_property
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from automl.data.conversion import Columns, Conversion, Numbers, Pixels, features_of
from automl.data.dataset import Task
from automl.data.table_inputs import Scaling
from automl.data.tables.features import Feature, numbers

FORMAT = 2
LARGEST_SAMPLE = 150_000_000  # numbers: an image as large as `automl.data.images.decode` reads them, in colour

Positive = Annotated[int, Field(ge=1)]


class PluginSource(BaseModel):
    """The file of the architecture's plugin, where that was not installed; other keys may be there."""

    model_config = ConfigDict(strict=True, extra="allow")

    file: str
    sha256: str


class NetworkDescription(BaseModel):
    """What a network is built from; other keys may be there. Without a `conversion` a table is one of numbers."""

    model_config = ConfigDict(extra="allow", strict=True, frozen=True)

    architecture: str
    architecture_config: dict[str, Any]
    input_shape: Annotated[list[Positive], Field(min_length=1)]
    num_outputs: Positive
    plugins: list[PluginSource | str] = []
    conversion: Conversion | None = None

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        if math.prod(self.input_shape) > LARGEST_SAMPLE:
            raise ValueError(f"samples of {self.input_shape} are larger than {LARGEST_SAMPLE:,} numbers")
        return self

    @cached_property
    def features(self) -> tuple[Feature, ...]:
        """What a row of a table consists of; nothing for images."""
        if self.conversion is not None:
            return features_of(self.conversion, self.input_shape)
        return numbers(self.input_shape[0]) if len(self.input_shape) == 1 else ()


class ModelDescription(NetworkDescription):
    """A model, but for its weights: docs/model-format.md says what each of the fields means."""

    conversion: Conversion
    task: Task
    kind: Literal["image", "table"]
    classes: list[str]
    name: str = ""
    scaling: Scaling = "standard"
    target_transform: Literal["none", "log"] = "none"
    tta: Literal["none", "mirror"] = "none"
    targets: list[str] = []
    deviations: list[Annotated[float, Field(gt=0, allow_inf_nan=False)]] = []
    config: dict[str, Any] = {}
    final: Literal["refit", "ensemble"] = "refit"
    members: Annotated[int, Field(ge=0)] = 0
    trial: int = 0
    epochs: int = 0
    cut_short: bool = False
    parameters: int = 0

    @model_validator(mode="after")
    def _belongs_together(self) -> ModelDescription:
        if self.classes and len(self.classes) != self.num_outputs:
            raise ValueError(f"{len(self.classes)} classes do not belong to {self.num_outputs} outputs")
        if bool(self.classes) != (self.task == "classification"):
            raise ValueError(f"a {self.task} model has {len(self.classes)} classes")
        if len(set(self.classes)) < len(self.classes):
            raise ValueError("two classes have the same name")
        known = self.conversion.targets if isinstance(self.conversion, Columns) and not self.classes else ()
        for what, found in (("targets", self.targets), ("deviations", self.deviations), ("columns of targets", known)):
            if len(found) not in (0, self.num_outputs):
                raise ValueError(f"{len(found)} {what} do not belong to {self.num_outputs} outputs")
        if (self.kind == "image") != isinstance(self.conversion, Pixels):
            raise ValueError(f"a conversion to {self.conversion.kind} does not belong to a model of kind {self.kind}")
        if isinstance(self.conversion, Pixels) != (len(self.input_shape) == 3):
            raise ValueError(f"a conversion to {self.conversion.kind} does not make samples of {self.input_shape}")
        if isinstance(self.conversion, Columns) and [len(self.conversion.features)] != self.input_shape:
            features = len(self.conversion.features)
            raise ValueError(f"the columns make {features} features, but samples are of {self.input_shape}")
        if isinstance(self.conversion, Numbers) and max(self.conversion.missing, default=0) >= self.input_shape[0]:
            raise ValueError(f"feature {max(self.conversion.missing)} is missing from samples of {self.input_shape}")
        return self


class _File(ModelDescription):
    """`model.json`."""

    format: Literal[2]
    sha256: str


def written(description: ModelDescription, sha256: str) -> dict[str, Any]:
    """What `model.json` holds beside weights with this checksum."""
    return {**description.model_dump(mode="json"), "format": FORMAT, "sha256": sha256}


def read_description(about: Any) -> tuple[ModelDescription, str]:
    """The description that `model.json` holds, and the checksum of its weights.

    Raises `ValueError` that names the key and the law.
    """
    if not isinstance(about, dict) or about.get("format") != FORMAT:
        raise ValueError(f"not a model of this version of automl (format {FORMAT})")
    try:
        found = _File(**about)
    except ValidationError as error:
        raise ValueError(problem_of(error)) from None
    return found, found.sha256


def problem_of(error: ValidationError) -> str:
    """The first key that is wrong, and the law."""
    problem = error.errors()[0]
    key = ".".join(str(part) for part in problem["loc"][:3])
    law = str(problem["msg"]).removeprefix("Value error, ")
    return f"{key}: {law}" if key else law
