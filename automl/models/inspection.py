"""What was found out about the data with the networks of a search: `artifacts/inspection.json`.

Of a table what its columns hold and what the networks of the winner's folds make of them; of photos what
`automl.models.photos` has.

It is made at the end of a search, where networks and data are at hand, so that a report needs neither. What is read may
come from anybody: it is checked, and bounded.
"""

from __future__ import annotations

from typing import Self

from pydantic import Field, ValidationError, model_validator

from automl.data.atomic import write_atomic
from automl.data.drift import Drift
from automl.data.table_columns import ColumnSummary
from automl.data.tables.columns import Kind
from automl.models.facts import Count, Facts, Finite, Name, Share
from automl.models.photos import PhotoInspection
from automl.open_file import read_file
from automl.run.folder import RunFolder

LARGEST = 16 << 20  # bytes
MOST_COLUMNS = 200  # that are summarised and compared
MOST_INSPECTED = 30  # whose importance is measured
MOST_FOLDS = 1000
MOST_DRAWN = 2000  # residuals


class Importance(Facts):
    """By how much the score is worse where the values of a column are permuted: the mean, and its 95 % interval.

    by_fold: the mean over the repeats in each fold. ends: None where there is a single number.
    """

    name: Name
    mean: Finite
    ends: tuple[Finite, Finite] | None
    by_fold: tuple[Finite, ...] = Field(max_length=MOST_FOLDS)

    @property
    def beyond_chance(self) -> bool:
        """Whether the interval lies above 0."""
        return self.ends is not None and self.ends[0] > 0


class Dependence(Facts):
    """The partial dependence on a column: mean predictions [output][fold][value], all rows having the same value.

    values: numbers, or seconds since 1970 of a date. names: those of the values, where they have any. outputs: classes,
    whose probability is meant, or names of targets.
    """

    name: Name
    kind: Kind
    values: tuple[Finite, ...] = Field(min_length=1, max_length=100)
    names: tuple[Name, ...] = Field(default=(), max_length=100)
    outputs: tuple[Name, ...] = Field(min_length=1, max_length=5)
    means: tuple[tuple[tuple[Finite, ...], ...], ...]

    @model_validator(mode="after")
    def _check_shape(self) -> Self:
        folds = {len(by_fold) for by_fold in self.means}
        points = {len(curve) for by_fold in self.means for curve in by_fold}
        fitting = (
            len(self.means) == len(self.outputs) and len(folds) == 1 and 0 not in folds and max(folds) <= MOST_FOLDS
        )
        if not fitting or points != {len(self.values)} or len(self.names) not in (0, len(self.values)):
            raise ValueError("means must be [output][fold][value]")
        return self


class Residuals(Facts):
    """Predictions of rows by the network of the fold that has not seen them, with the truth, of one target."""

    target: Name
    truth: tuple[Finite, ...] = Field(min_length=1, max_length=MOST_DRAWN)
    predicted: tuple[Finite, ...]

    @model_validator(mode="after")
    def _check_shape(self) -> Self:
        if len(self.truth) != len(self.predicted):
            raise ValueError("truth and predicted must be equally long")
        return self


class Bin(Facts):
    """Predictions of about the same probability: how many, their mean, the share that came true, its 95 % interval."""

    count: int = Field(ge=1, le=10**12)
    predicted: Share
    observed: Share
    low: Share
    high: Share


class Calibration(Facts):
    """How often what was said with some probability came true. of: the class; "": the most probable one of each row.

    error: the mean distance of `predicted` and `observed`, weighted by the counts (expected calibration error).
    """

    of: Name
    bins: tuple[Bin, ...] = Field(min_length=1, max_length=100)
    error: Share


class Inspection(Facts):
    """What was found for the model of `trial`.

    Args:
        trial: the winner, whose folds' networks were looked at.
        left_out: why nothing of the networks is known; "": it is.
        metric: what importances are measured by, and `score` the mean of the networks themselves over the folds.
        folds, epochs: of the networks. rows: validation rows, of all folds. repeats: permutations of each column.
        columns: how many the table has; screened: of so many the importances are of the highest in a first look.
        summaries: of the first columns over `summarised` training rows; drift: from them to the test set.
        photos: of images, of which nothing but this and `trial` is known.
    """

    trial: Count
    left_out: str = Field(default="", max_length=2000)
    metric: Name = ""
    score: Finite = 0.0
    folds: Count = 0
    epochs: Count = 0
    rows: Count = 0
    repeats: Count = 0
    columns: Count = 0
    screened: Count = 0
    importances: tuple[Importance, ...] = Field(default=(), max_length=MOST_INSPECTED)
    dependences: tuple[Dependence, ...] = Field(default=(), max_length=5)
    residuals: Residuals | None = None
    calibration: Calibration | None = None
    summarised: Count = 0
    summaries: tuple[ColumnSummary, ...] = Field(default=(), max_length=2 * MOST_COLUMNS)
    drift: tuple[Drift, ...] = Field(default=(), max_length=MOST_COLUMNS)
    photos: PhotoInspection | None = None


def save_inspection(folder: RunFolder, inspection: Inspection) -> None:
    """Writes `artifacts/inspection.json`, whole or not at all."""
    text = inspection.model_dump_json()
    write_atomic(folder.inspection, lambda file: file.write(text.encode()))


def load_inspection(folder: RunFolder) -> Inspection | None:
    """The inspection that a run keeps; None when there is none, or it is damaged."""
    try:
        return Inspection.model_validate_json(read_file(folder.inspection, owned=True, limit=LARGEST))
    except (OSError, ValidationError):
        return None
