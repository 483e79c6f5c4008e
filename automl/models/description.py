"""`model.json`, checked where it comes in: it may come from anybody."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from automl.data.conversion import Columns, Conversion, Numbers, Pixels
from automl.data.dataset import Task
from automl.data.table_inputs import Scaling

FORMAT = 2
LARGEST_SAMPLE = 150_000_000  # numbers: an image as large as `automl.data.decode` reads them, in colour

Positive = Annotated[int, Field(ge=1)]


class _PluginFile(BaseModel):
    model_config = ConfigDict(strict=True)

    file: str
    sha256: str


class _Description(BaseModel):
    """What the code relies on; other keys may be there."""

    model_config = ConfigDict(extra="allow", strict=True)

    format: Literal[2]
    sha256: str
    task: Task
    classes: list[str]
    conversion: Conversion
    input_shape: Annotated[list[Positive], Field(min_length=1)]
    num_outputs: Positive
    architecture: str
    architecture_config: dict[str, Any]
    plugins: list[_PluginFile | str] = []
    scaling: Scaling = "standard"
    target_transform: Literal["none", "log"] = "none"
    tta: Literal["none", "mirror"] = "none"
    members: Annotated[int, Field(ge=0)] = 0
    targets: list[str] = []
    deviations: list[Annotated[float, Field(gt=0, allow_inf_nan=False)]] = []

    @model_validator(mode="after")
    def _belongs_together(self) -> _Description:
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
        if math.prod(self.input_shape) > LARGEST_SAMPLE:
            raise ValueError(f"samples of {self.input_shape} are larger than {LARGEST_SAMPLE:,} numbers")
        if isinstance(self.conversion, Pixels) != (len(self.input_shape) == 3):
            raise ValueError(f"a conversion to {self.conversion.kind} does not make samples of {self.input_shape}")
        if isinstance(self.conversion, Columns) and [len(self.conversion.features)] != self.input_shape:
            features = len(self.conversion.features)
            raise ValueError(f"the columns make {features} features, but samples are of {self.input_shape}")
        if isinstance(self.conversion, Numbers) and max(self.conversion.missing, default=0) >= self.input_shape[0]:
            raise ValueError(f"feature {max(self.conversion.missing)} is missing from samples of {self.input_shape}")
        return self


def check_description(about: Any) -> Mapping[str, Any]:
    """`about` as it is, if it is a description of a model. Raises `ValueError` that names the key and the law."""
    if not isinstance(about, dict) or about.get("format") != FORMAT:
        raise ValueError(f"not a model of this version of automl (format {FORMAT})")
    try:
        _Description(**about)
    except ValidationError as error:
        problem = error.errors()[0]
        key = ".".join(str(part) for part in problem["loc"][:3])
        law = str(problem["msg"]).removeprefix("Value error, ")
        raise ValueError(f"{key}: {law}" if key else law) from None
    return about
