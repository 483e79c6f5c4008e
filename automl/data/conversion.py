"""The one conversion from raw data to what a network is given. It is recorded in the model.

A `Conversion` is made from the data of a search and written to `model.json`. Search, `predict`, `evaluate`, `export`,
scikit-learn and `load_model` use the same record; what does not fit it is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from automl.data.tables.columns import Column, Unreadable
from automl.data.tables.csv_files import Table
from automl.data.tables.features import Feature, numbers
from automl.data.tables.findings import Finding
from automl.errors import DataError, did_you_mean

Array = NDArray[Any]
Layout = Literal["channels last", "channels first", "one channel"]

_CHANNELS = (1, 3, 4)
_LOOKED_AT = 20_000
_DTYPES = {"b": "boolean", "i": "integer", "u": "integer", "f": "float"}


class Files(BaseModel):
    """How an image file, or an image of PIL, is brought to the network's size; the one way that there is."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    orientation: Literal["EXIF"] = "EXIF"
    background: Literal["white"] = "white"
    resize: Literal["to cover, bilinear, antialiased"] = "to cover, bilinear, antialiased"
    crop: Literal["centre"] = "centre"


class Pixels(BaseModel):
    """Images: arrays [n, h, w], [n, h, w, c] or [n, c, h, w]; the network is given uint8 [n, c, h, w].

    dtype: what kind of numbers the pixels were. scale: the factor that makes 0..255 of them. highest: the largest pixel
    of the data, after scaling. layout: where the channels were. files: how image files become such arrays.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["pixels"] = "pixels"
    dtype: Literal["integer", "float", "boolean"] = "integer"
    scale: Literal[1, 255] = 1
    highest: Annotated[int, Field(ge=0, le=255)] = 255
    layout: Layout = "channels last"
    files: Files = Files()

    def samples(self, source: str, x: Array, shape: tuple[int, ...]) -> tuple[Array, list[str]]:
        """`x` as uint8 [n, *shape], and what has to be said; one image needs no axis for n. Raises `DataError` for what
        is not as in training.
        """
        channels, height, width = shape
        if x.shape in ((height, width, channels), shape, (height, width) if channels == 1 else shape):
            x = x[None]
        if x.ndim not in (3, 4) or not len(x):
            raise wrong_shape(source, x, shape)
        self._check_dtype(source, x)
        pixels = scaled_to_255(source, x, self.scale)
        return self._channels_first(source, pixels, shape), self._check_range(source, x.dtype, int(pixels.max()))

    def _check_range(self, source: str, dtype: np.dtype[Any], top: int) -> list[str]:
        """Pixels 0 and 1 may be those of 0..1 or very dark ones of 0..255; as floats they are never meant as these."""
        problem = f"{source}: the largest pixel is {top} ({dtype}), but it was {self.highest} in training"
        if self.highest <= 1 < top or (dtype.kind == "f" and self.scale == 1 and 0 < top <= 1 < self.highest):
            raise DataError(f"{problem}; give pixels in the range of training")
        return [f"{problem}: predictions are wrong if they are in another range"] if 0 < top <= 1 < self.highest else []

    def _check_dtype(self, source: str, x: Array) -> None:
        given = _DTYPES.get(x.dtype.kind, "")
        # Whole numbers 0..255 are the same pixels as integers and as floats; what 1 means differs otherwise.
        if given == self.dtype or ({given, self.dtype} == {"integer", "float"} and self.scale == 1):
            return
        trained = {"boolean": "booleans", "float": "floats in 0..1", "integer": "integers 0..255"}[self.dtype]
        raise DataError(
            f"{source}: images as {x.dtype}, but the model was trained on {trained}; give pixels as they were there"
        )

    def _channels_first(self, source: str, pixels: Array, shape: tuple[int, ...]) -> Array:
        channels, height, width = shape
        given = pixels.shape[1:]
        fitting: dict[Layout, tuple[int, ...]] = {
            "channels last": (height, width, channels),
            "channels first": (channels, height, width),
        }
        layouts = [layout for layout, expected in fitting.items() if given == expected]
        if given == (height, width) and channels == 1:
            return pixels[:, None]
        if not layouts:
            raise wrong_shape(source, pixels, shape)
        layout = self.layout if self.layout in layouts else layouts[0]
        return pixels if layout == "channels first" else np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))


class Numbers(BaseModel):
    """A table without names: an array [n, features] of numbers, as they are; NaN for a missing one.

    missing: the places of the features that had missing values.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["numbers"] = "numbers"
    missing: tuple[Annotated[int, Field(ge=0)], ...] = ()

    def samples(self, source: str, x: Array, shape: tuple[int, ...]) -> tuple[Array, list[str]]:
        """`x` as float [n, features], with nothing to be said; one row needs no axis for n. Raises `DataError`."""
        x = x[None] if x.shape == shape else x
        if x.ndim != 2 or x.shape[1:] != shape or not len(x):
            raise wrong_shape(source, x, shape)
        x = numbers_of(source, "x", x, missing=True)
        new = [place for place in np.flatnonzero(np.isnan(x).any(0)).tolist() if place not in self.missing]
        if not new:
            return x, []
        shown = ", ".join(map(str, new[:5])) + (", ..." if len(new) > 5 else "")
        which = f"column {shown}" if len(new) == 1 else f"columns {shown}"
        return x, [f"{source}: values of {which} are missing, and none was in training: the median stands there"]


class Columns(BaseModel):
    """A table with names, a csv or a DataFrame: columns are found by name. `targets` were predicted, `groups` kept
    together, `splits` said how the rows are split.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["columns"] = "columns"
    columns: tuple[Column, ...]
    targets: tuple[Column, ...] = ()
    groups: str | None = None
    splits: tuple[str, ...] = ()

    @property
    def features(self) -> tuple[Feature, ...]:
        """What the samples consist of."""
        return tuple(feature for column in self.columns for feature in column.features)

    def matrix(self, table: Table, apart: Sequence[str] = ()) -> tuple[Array, list[str]]:
        """The features [n, features] of the table's rows, and what has to be said. `apart`: columns that are no input.

        Raises `DataError` that names the column and the row.
        """
        x, found = self.part(table)
        refuse_whole_columns(found)
        return x, [*map(str, found), *self.ignored(table, apart)]

    def part(self, table: Table) -> tuple[Array, list[Finding]]:
        """As `matrix`, of a table that may be a part of one: what is wrong with a whole column is only found."""
        used = [column for column in self.columns if column.kind != "left out"]
        x, filled = np.empty((len(table.lines), len(self.features))), 0
        there = set(table.names)
        findings: list[Finding] = []
        for column in used:
            if column.name not in there:
                raise DataError(
                    f"{table.path}: there is no column '{column.name}'{did_you_mean(column.name, table.names)}"
                )
            try:
                values, found = column.matrix(table[column.name])
            except Unreadable as error:
                raise DataError(f"{table.place(column.name, error.row)}: {error.problem}") from None
            x[:, filled : filled + values.shape[1]] = values
            filled += values.shape[1]
            for finding in found:
                finding.place = table.place(column.name, finding.row)
            findings += found
        return narrow(x), findings

    def ignored(self, table: Table, apart: Sequence[str] = ()) -> list[str]:
        """A sentence on the columns that training had not, if there are any."""
        known = {column.name for column in (*self.columns, *self.targets)} | {*apart, self.groups, *self.splits}
        extra = [name for name in table.names if name not in known]
        if not extra:
            return []
        shown = ", ".join(f"'{name}'" for name in extra[:5]) + (", ..." if len(extra) > 5 else "")
        what = "1 column that training had not is" if len(extra) == 1 else f"{len(extra)} that training had not are"
        return [f"{what} ignored: {shown}"]


def refuse_whole_columns(found: Iterable[Finding]) -> None:
    """Raises `DataError` for a column of which no cell is what it was in training."""
    for finding in found:
        if refusal := finding.refusal():
            raise DataError(f"{finding.place}: {refusal}")


Conversion = Annotated[Pixels | Numbers | Columns, Field(discriminator="kind")]

_ADAPTER: TypeAdapter[Pixels | Numbers | Columns] = TypeAdapter(Conversion)


def conversion_of(record: Any) -> Pixels | Numbers | Columns:
    """The conversion that `model_dump` recorded. Raises pydantic's `ValidationError`."""
    return _ADAPTER.validate_python(record)


def features_of(conversion: Pixels | Numbers | Columns, input_shape: Sequence[int]) -> tuple[Feature, ...]:
    """What the samples of this shape consist of; nothing for images."""
    if isinstance(conversion, Columns):
        return conversion.features
    return () if isinstance(conversion, Pixels) else numbers(input_shape[0], conversion.missing)


def wrong_shape(source: str, x: Array, shape: tuple[int, ...]) -> DataError:
    """The error for samples that have not the `shape` of those in training."""
    return DataError(
        f"{source}: the model takes samples of shape [n, {', '.join(map(str, shape))}], not {list(x.shape)}"
    )


def pixels_of(source: str, x: Array) -> tuple[Array, Pixels]:
    """Images as uint8 [n, c, h, w], and the conversion that makes them. Raises `DataError`."""
    scale: Literal[1, 255] = 1
    if x.dtype.kind == "b" or (x.dtype.kind == "f" and np.isfinite(x).all() and x.min() >= 0 and x.max() <= 1):
        scale = 255
    pixels = scaled_to_255(source, x, scale)
    layout: Layout = "one channel"
    if pixels.ndim == 3:
        pixels = pixels[:, None]
    else:
        last, first = pixels.shape[3] in _CHANNELS, pixels.shape[1] in _CHANNELS
        if not last and not first:
            raise DataError(
                f"{source}: array 'x' has shape {x.shape}; images need 1, 3 or 4 channels: [n, h, w, c] or [n, c, h, w]"
            )
        # [n, 3, h, 3] can be read both ways; the documented order, channels last, wins.
        layout = "channels last" if last else "channels first"
        pixels = np.ascontiguousarray(pixels.transpose(0, 3, 1, 2)) if last else pixels
    dtype = _DTYPES[x.dtype.kind]
    return pixels, Pixels.model_validate(
        {"dtype": dtype, "scale": scale, "highest": int(pixels.max()), "layout": layout}
    )


def scaled_to_255(source: str, x: Array, scale: int) -> NDArray[np.uint8]:
    """`x` times `scale` as uint8, where that loses nothing. Raises `DataError` that names the row."""
    if x.dtype == np.uint8 and scale == 1:
        return x
    if x.dtype.kind == "b":
        return x.astype(np.uint8) * np.uint8(scale)
    if x.dtype.kind in "iu":
        if x.min() < 0 or x.max() > 255:
            raise DataError(
                f"{source}: array 'x' holds images as {x.dtype} {x.min()}..{x.max()}; scale them to uint8 0..255"
            )
        return x.astype(np.uint8)
    check_finite(source, "x", x)
    if x.min() < 0 or x.max() * scale > 255:
        law = "floats in 0..1, as in training" if scale == 255 else "uint8 0..255"
        raise DataError(f"{source}: array 'x' holds images as {x.dtype} {x.min():g}..{x.max():g}; give {law}")
    values = x.astype(np.float32) * np.float32(scale)
    pixels = np.round(values)
    tolerance = max(1e-3, 255 * float(np.finfo(x.dtype).eps)) if scale == 255 else 0.0
    off = np.abs(values - pixels).reshape(len(x), -1).max(axis=1) > tolerance
    if off.any():
        row = int(np.flatnonzero(off)[0])
        law = "in [0, 1] that are no multiples of 1/255" if scale == 255 else "that are no whole numbers"
        raise DataError(
            f"{source}: array 'x', row {row}: images as {x.dtype} {law} would be rounded; give uint8 0..255"
        )
    return pixels.astype(np.uint8)


def numbers_of(source: str, name: str, x: Array, missing: bool = False) -> Array:
    """Numbers of any dtype as float32 where that changes none, else as float64. Raises `DataError` for infinity, for
    what is too large for 32 bits, and unless they may be `missing` for NaN.
    """
    wide = x.astype(np.float32 if x.dtype in (np.float16, np.float32) else np.float64)
    with np.errstate(over="ignore"):
        small = wide.astype(np.float32)
    check_finite(source, name, np.where(np.isnan(wide), 0, small) if missing else small)
    return narrow(wide)


def narrow(wide: Array) -> Array:
    """The same numbers as float32 where that changes none of them."""
    small = wide.astype(np.float32)
    parts = (slice(start, start + _LOOKED_AT) for start in range(0, len(wide), _LOOKED_AT))
    return small if all(np.array_equal(small[part], wide[part], equal_nan=True) for part in parts) else wide


def merged(x: Array, names: Sequence[str] = ()) -> list[str]:
    """A sentence for each column of `x` [n, columns] in which more than 1 % of the distinct values are one in float32.

    Looked for with the middle of the column taken off, as the network gets it, in the first `_LOOKED_AT` rows.
    """
    if x.dtype == np.float32:
        return []
    said = []
    for place in range(x.shape[1]):
        column = x[:_LOOKED_AT, place]
        column = column[~np.isnan(column)]
        if not len(column):
            continue
        wide, small = len(np.unique(column)), len(np.unique((column - np.median(column)).astype(np.float32)))
        if small < 0.99 * wide:
            name = f"column '{names[place]}'" if names else f"column {place}"
            said.append(f"In 32 bits {wide} distinct values of {name} are {small}: nearby ones cannot be told apart.")
    return said[:5]


def check_finite(source: str, name: str, array: Array) -> None:
    """Raises `DataError` that names the row of the first NaN or infinity in `array`."""
    finite = np.isfinite(array).reshape(len(array), -1)
    if not finite.all():
        row, column = np.argwhere(~finite)[0]
        where = f", column {column}" if array.ndim == 2 else ""
        value = array.reshape(len(array), -1)[row, column]
        raise DataError(f"{source}: array '{name}', row {row}{where}: the value is {value}; fill or drop it")
