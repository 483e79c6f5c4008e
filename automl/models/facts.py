"""What the facts in a file of a run are made of. It may come from anybody: what is read is checked, and bounded."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from automl.data.table_columns import LONGEST

Finite = Annotated[
    float, Field(ge=-1e39, le=1e39)
]  # what a table may hold is float32, and what is made of it not larger
Name = Annotated[str, Field(max_length=LONGEST)]
Count = Annotated[int, Field(ge=0, le=10**12)]
Share = Annotated[float, Field(ge=0, le=1)]


class Facts(BaseModel):
    """Some facts that do not change."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)
