"""`Dataset`: the samples and answers of a search in memory, whatever source they came from."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from automl.data.conversion import Columns, Numbers, Pixels, features_of
from automl.data.copies import Equal, find_equal, notes_on
from automl.data.images.decode import printable
from automl.data.tables.columns import Column
from automl.data.tables.features import Feature
from automl.data.understood import Understood
from automl.errors import DataError

Kind = Literal["image", "table"]
Task = Literal["classification", "regression", "multilabel"]
"""One of several classes; one or several numbers; for each of several labels whether it holds."""

_SHOWN = 5  # how many culprits a note lists by name


@dataclass(frozen=True, eq=False)
class Dataset:
    """Samples `x`, answers `y`, and what is known about them. Made by `sources.load` or `arrays.from_arrays`.

    x: images uint8 [n, c, h, w] (maybe a read-only memmap), tables [n, features] as `features` describes them, float32
    where that changes no number, else float64.
    y: classification int64 [n], an index into `classes`; regression float64 [n, outputs]; multilabel int64 [n, labels],
    1 where the label holds, else 0.
    test: bool [n], True where the source itself sets the sample apart for testing.
    groups: int64 [n]; samples of one group never stand on two sides of a split.
    folds: int64 [n], 0..K-1, where the source has folds of its own; -1 in its test set.
    times: float64 [n], where the order of time decides the splits.
    conversion: what made `x` of the raw data; a model takes it over.
    names: what the source calls each sample, an image by its file; empty where it has no names.
    notes: plain sentences that the user should read. understood: what the source took its data for.
    fingerprint: SHA-256 over x, y, classes, test, groups, folds and times.
    """

    name: str
    kind: Kind
    task: Task
    x: NDArray[Any]
    y: NDArray[Any]
    classes: tuple[str, ...]
    test: NDArray[np.bool_] | None = None
    groups: NDArray[np.int64] | None = None
    conversion: Pixels | Numbers | Columns = field(default_factory=Numbers)
    notes: tuple[str, ...] = ()
    understood: Understood = field(default_factory=Understood)
    fingerprint: str = ""
    folds: NDArray[np.int64] | None = None
    times: NDArray[np.float64] | None = None
    names: Sequence[str] = ()

    def __len__(self) -> int:
        return len(self.x)

    def name_of(self, index: int) -> str:
        """What a sample is called: as the source has it, else by its number."""
        return printable(self.names[index]) if self.names else f"sample {index}"

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns of a table that has names, those that are left out too; else none."""
        return self.conversion.columns if isinstance(self.conversion, Columns) else ()

    @property
    def features(self) -> tuple[Feature, ...]:
        """What the samples of a table consist of; nothing for images."""
        return features_of(self.conversion, self.input_shape)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one sample: (channels, height, width) or (features,)."""
        return tuple(self.x.shape[1:])

    @property
    def num_outputs(self) -> int:
        """The number of classes, of labels, or of a regression's outputs."""
        return len(self.classes) if self.task == "classification" else int(self.y.shape[1])

    @property
    def output_names(self) -> tuple[str, ...]:
        """What each label, or output of a regression, is called: by its column, or `label 0`, `output 0`, ..."""
        what = "label" if self.task == "multilabel" else "output"
        return self.understood.targets or tuple(f"{what} {number}" for number in range(self.num_outputs))

    @property
    def several(self) -> tuple[str, ...]:
        """The names of the outputs where they are several targets, each of which has scores of its own; else none."""
        return self.output_names if self.y.ndim == 2 and self.y.shape[1] > 1 else ()

    @cached_property
    def deviations(self) -> NDArray[np.float64] | None:
        """[outputs]: of a regression with several outputs their standard deviations, outside of a given test set.

        Errors are divided by them before they are averaged over the outputs, whose units may differ.
        """
        if self.task != "regression" or self.y.shape[1] == 1:
            return None
        y = self.y if self.test is None else self.y[~self.test]
        found = y.std(axis=0, dtype=np.float64)
        return np.where(found > 0, found, 1.0)  # squares of numbers below 1e-160 are 0

    @cached_property
    def twins(self) -> NDArray[np.int64]:
        """int64 [n]: for each sample the index of the first one that it is a copy of, by `automl.data.copies`."""
        return self._equal.twins

    @cached_property
    def _equal(self) -> Equal:
        if self.kind == "image":
            return find_equal(np.asarray(self.x), self.y, None)
        widths = [len(column.features) for column in self.columns] or [1] * self.x.shape[1]
        return find_equal(self.x, self.y, widths)

    @property
    def copies(self) -> int:
        """How many samples are copies of an earlier one."""
        return int((self.twins != np.arange(len(self))).sum())


def complete(dataset: Dataset) -> Dataset:
    """Checks what every source must hold, adds the notes on copies and the fingerprint.

    Raises `DataError`: fewer than two classes, a class without training samples, or a constant target.
    """
    training = np.ones(len(dataset), dtype=bool) if dataset.test is None else ~dataset.test
    if not training.any():
        raise DataError(f"{dataset.name}: there is no sample to train on")
    if dataset.task == "classification":
        if len(dataset.classes) < 2:
            only = f", '{dataset.classes[0]}'" if dataset.classes else ""
            raise DataError(
                f"{dataset.name}: classification needs at least two classes, found {len(dataset.classes)}{only}"
            )
        counts = np.bincount(dataset.y[training], minlength=len(dataset.classes))
        empty = [name for name, count in zip(dataset.classes, counts, strict=True) if count == 0]
        if empty:
            raise DataError(
                f"{dataset.name}: class '{empty[0]}' has no sample to train on; add samples or remove the class"
                + (f" (also: {', '.join(empty[1 : _SHOWN + 1])})" if len(empty) > 1 else "")
            )
    else:
        _check_outputs(dataset, dataset.y[training])
    notes = dataset.notes + notes_on(dataset, dataset._equal)
    completed = replace(dataset, notes=notes, fingerprint=_fingerprint(dataset))
    completed.__dict__["twins"] = dataset.twins  # already computed; looking at every image again takes seconds
    return completed


def _check_outputs(dataset: Dataset, y: NDArray[Any]) -> None:
    """Raises `DataError` for an output that is the same in all samples `y` [m, outputs], or equal to another one."""
    named = "target '{}'" if dataset.understood.targets else "{}"
    names = [named.format(name) for name in dataset.output_names]
    constant = np.flatnonzero((y == y[0]).all(axis=0))
    if len(constant):
        name, value = names[constant[0]], float(y[0, constant[0]])
        remedy = "; leave it out" if len(names) > 1 else ""
        raise DataError(f"{dataset.name}: {name} is {value:g} in every sample: nothing to learn{remedy}")
    first: dict[bytes, str] = {}
    for name, values in zip(names, y.T, strict=True):
        other = first.setdefault(np.ascontiguousarray(values + 0).tobytes(), name)  # minus zero is zero
        if other != name:
            raise DataError(
                f"{dataset.name}: {name} is equal to {other} in every sample, and would count twice; leave one of them "
                "out"
            )


def _fingerprint(dataset: Dataset) -> str:
    total = hashlib.sha256(repr((dataset.kind, dataset.task, dataset.classes)).encode("utf-8", "surrogateescape"))
    digest = dataset.__dict__.get("digest")  # of big images, which a source has read before
    for name in ("x", "y", "test", "groups", "folds", "times"):
        array = getattr(dataset, name)
        total.update(f"{name}:{None if array is None else (array.dtype.str, array.shape)};".encode())
        if name == "x" and digest:
            total.update(digest.encode())
        elif array is not None and array.size:
            total.update(np.ascontiguousarray(array).data)
    return total.hexdigest()
