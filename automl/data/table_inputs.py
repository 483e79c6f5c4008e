"""The transformation of a table's rows into what a network is given. Each fold fits it to its own training part."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from automl.data.features import Feature, flagged, input_columns

RARE = 5
"""Of a category with more values than are one-hot, those seen less often in the training part are taken as one."""

ONE_HOT = 30
"""Values up to which a flat network is given an input for each; of more it learns an embedding."""

_CHUNK = 65_536  # rows that are transformed at a time


class TableInputs(nn.Module):
    """Rows [b, features], see `Feature`, to float32 [b, columns], see `InputColumn`; all that it knows are tensors.

    A missing number becomes the median of the training part; then numbers are brought to mean 0 and deviation 1, in
    float64, for what is large and hardly varies (times, identifiers) must be centred before it is made float32. The
    input that says whether a number is missing stays 0 where none was missing in the training part. A code that the
    training part did not have, or hardly, becomes 0.

    fill, mean, std: float64 [1, features], 0, 0 and 1 of a category. flags: float64 [1, features with missing values],
    0 or 1. known: float64 [codes of all categories], 0 or 1.
    """

    fill: Tensor
    mean: Tensor
    std: Tensor
    flags: Tensor
    known: Tensor

    def __init__(self, features: Sequence[Feature]):
        super().__init__()
        self.features = tuple(features)
        self.columns = input_columns(features)
        count = len(features)
        self._flagged = flagged(features)
        self._categories = [place for place, feature in enumerate(features) if feature.kind == "category"]
        sizes = [features[place].cardinality for place in self._categories]
        self._offsets = [sum(sizes[:number]) for number in range(len(sizes))]
        number_of = {place: number for number, place in enumerate(self._categories)}
        # Exporters know no assignment to some columns: the codes stand behind all of them, and are put in their places.
        self._order = [count + number_of[place] if place in number_of else place for place in range(count)]
        self.register_buffer("fill", torch.zeros(1, count, dtype=torch.float64))
        self.register_buffer("mean", torch.zeros(1, count, dtype=torch.float64))
        self.register_buffer("std", torch.ones(1, count, dtype=torch.float64))
        self.register_buffer("flags", torch.zeros(1, len(self._flagged), dtype=torch.float64))
        self.register_buffer("known", torch.ones(sum(sizes), dtype=torch.float64))

    def forward(self, x: Tensor) -> Tensor:
        """Rows of any dtype [b, features] to float32 [b, columns]."""
        x = x.double()
        missing = x.isnan()
        values = (torch.where(missing, self.fill, x) - self.mean) / self.std
        if self._categories:
            values = torch.cat([values, self._codes(values[:, self._categories])], 1)[:, self._order]
        if self._flagged:
            values = torch.cat([values, missing[:, self._flagged] * self.flags], 1)
        return values.float()

    def _codes(self, codes: Tensor) -> Tensor:
        """Codes [b, categories], those that the training part had; all others 0."""
        offsets = torch.tensor(self._offsets, device=codes.device)
        highest = torch.tensor([self.features[place].cardinality - 1 for place in self._categories]).to(codes)
        codes = torch.minimum(codes.clamp_min(0), highest)
        return codes * self.known[codes.long() + offsets]

    def fit(self, x: NDArray[np.floating]) -> TableInputs:
        """Takes medians, means, deviations and the values of categories from the training part `x` [m, features]."""
        for place, feature in enumerate(self.features):
            column = x[:, place].astype(np.float64)
            if feature.kind == "number":
                self._fit_number(place, column)
        for place, offset in zip(self._categories, self._offsets, strict=True):
            size = self.features[place].cardinality
            counts = np.bincount(x[:, place].astype(np.int64), minlength=size)
            enough = 1 if size - 1 <= ONE_HOT else RARE
            self.known[offset : offset + size] = torch.from_numpy((counts >= enough).astype(np.float64))
        return self

    def _fit_number(self, place: int, column: NDArray[np.float64]) -> None:
        missing = np.isnan(column)
        some = bool(missing.any())
        present = column[~missing] if some else column
        fill = float(np.median(present)) if len(present) else 0.0
        self.fill[0, place] = fill
        # About the median, which cancels nothing: the mean of 1.7e9 + 1, 2, 3 is exact.
        centred = np.where(missing, 0.0, column - fill) if some else column - fill
        middle = float(centred.mean())
        self.mean[0, place] = fill + middle
        variance = float(np.square(centred - middle).mean())
        scale = float(np.abs(column[~missing]).max()) if len(present) else 0.0
        self.std[0, place] = deviation if (deviation := variance**0.5) > 1e-12 * scale else 1.0
        if place in self._flagged:
            self.flags[0, self._flagged.index(place)] = float(some and not missing.all())

    def transform(self, x: NDArray[np.floating]) -> Tensor:
        """All rows `x` [n, features] at once, on the CPU."""
        with torch.no_grad():
            parts = (x[start : start + _CHUNK] for start in range(0, len(x), _CHUNK))
            return torch.cat([self(torch.from_numpy(np.array(part, order="C"))) for part in parts])

    def likely(self, count: int) -> Tensor:
        """Rows float64 [count, features] that look like those of the training part; some values are missing."""
        rng = np.random.default_rng(0)
        rows = self.mean + self.std * torch.from_numpy(rng.standard_normal((count, len(self.features))))
        for place in self._categories:
            rows[:, place] = torch.from_numpy(rng.integers(0, self.features[place].cardinality, count).astype(float))
        for place in self._flagged:
            rows[rng.random(count) < 0.2, place] = torch.nan
        return rows
