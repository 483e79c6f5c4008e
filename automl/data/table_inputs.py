"""The transformation of a table's rows into what a network is given. Each fold fits it to its own training part."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from automl.data.tables.features import Feature, flagged, input_columns

RARE = 5
"""Of a category with more values than are one-hot, those seen less often in the training part are taken as one."""

ONE_HOT = 30
"""Values up to which a flat network is given an input for each; of more it learns an embedding."""

Scaling = Literal["standard", "robust", "quantile"]
"""How numbers are scaled.

standard: to mean 0 and deviation 1. robust: by the median and the quartiles, z = (x - median) / (q75 - q25), and what
lies far out is drawn in, z / sqrt(1 + (z / 3)^2) (RealMLP, Holzmueller et al., 2024, section 3). quantile: to a normal
distribution, linearly between up to `KNOTS` quantiles of the training part.
"""

KNOTS = 200

EXTREME = 1e-3
"""The rank of the smallest value, and of the largest from above: 3.1 deviations from the middle."""

CLIPPED = 3.0
"""Beyond which the robust scaling goes only in the limit."""

_CHUNK = 16_384  # rows that are transformed at a time


class TableInputs(nn.Module):
    """Rows [b, features], see `Feature`, to float32 [b, columns], see `InputColumn`; all that it knows are tensors.

    A missing number becomes the median of the training part; then numbers are scaled, see `Scaling`, in float64, for
    what is large and hardly varies (times, identifiers) must be centred before it is made float32. The input that says
    whether a number is missing stays 0 where none was missing in the training part. A code that the training part did
    not have, or hardly, becomes 0.

    fill, mean, std: float64 [1, features], 0, 0 and 1 of a category. knots, levels: float64 [numbers, KNOTS], rising,
    of the quantile scaling: values, and what becomes of them. flags: float64 [1, features with missing values],
    0 or 1. known: float64 [codes of all categories], 0 or 1.
    """

    fill: Tensor
    mean: Tensor
    std: Tensor
    flags: Tensor
    known: Tensor
    knots: Tensor
    levels: Tensor

    def __init__(self, features: Sequence[Feature], scaling: Scaling = "standard"):
        super().__init__()
        self.features = tuple(features)
        self.scaling = scaling
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
        self._numbers = [place for place, feature in enumerate(features) if feature.kind == "number"]
        self._number_of = {place: number for number, place in enumerate(self._numbers)}
        self._flag_of = {place: number for number, place in enumerate(self._flagged)}
        if scaling == "quantile":
            rising = torch.arange(KNOTS, dtype=torch.float64).repeat(len(self._numbers), 1)
            self.register_buffer("knots", rising)
            self.register_buffer("levels", rising.clone())
        self.register_buffer("flags", torch.zeros(1, len(self._flagged), dtype=torch.float64))
        self.register_buffer("known", torch.ones(sum(sizes), dtype=torch.float64))

    def forward(self, x: Tensor) -> Tensor:
        """Rows of any dtype [b, features] to float32 [b, columns]."""
        x = x.double()
        missing = x.isnan()
        filled = torch.where(missing, self.fill, x)
        values = self._scaled(filled)
        if self._categories:
            values = torch.cat([values, self._codes(filled[:, self._categories])], 1)[:, self._order]
        if self._flagged:
            values = torch.cat([values, missing[:, self._flagged] * self.flags], 1)
        return values.float()

    def _scaled(self, x: Tensor) -> Tensor:
        """Numbers [b, features]; of a category any number."""
        if self.scaling == "quantile":
            numbers = self._between(x[:, self._numbers])
            behind = len(self._numbers)
            return torch.cat([numbers, x], 1)[
                :, [self._number_of.get(place, behind + place) for place in range(len(self.features))]
            ]
        values = (x - self.mean) / self.std
        return values / (1 + (values / CLIPPED).square()).sqrt() if self.scaling == "robust" else values

    def _between(self, x: Tensor) -> Tensor:
        """Numbers [b, numbers], linearly between their knots."""
        x = torch.minimum(torch.maximum(x, self.knots[:, 0]), self.knots[:, -1])
        if torch.compiler.is_exporting() or torch.onnx.is_in_onnx_export():  # no format has a search
            above = (x.unsqueeze(-1) >= self.knots).sum(-1).t()
        else:
            above = torch.searchsorted(self.knots, x.t().contiguous(), right=True)
        above = above.clamp(1, KNOTS - 1)
        low, high = self.knots.gather(1, above - 1), self.knots.gather(1, above)
        share = (x.t() - low) / (high - low)
        return torch.lerp(self.levels.gather(1, above - 1), self.levels.gather(1, above), share).t()

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
        if self.scaling == "robust" and len(present):
            self._fit_robust(place, present)
        if self.scaling == "quantile" and len(present):
            knots, levels = _quantiles(present)
            number = self._number_of[place]
            self.knots[number], self.levels[number] = torch.from_numpy(knots), torch.from_numpy(levels)
        if place in self._flag_of:
            self.flags[0, self._flag_of[place]] = float(some and not missing.all())

    def _fit_robust(self, place: int, present: NDArray[np.float64]) -> None:
        """By the quartiles; where they are equal by half of the range, for most values are the same then."""
        low, middle, high = np.quantile(present, [0.25, 0.5, 0.75])
        width = high - low if high > low else (present.max() - present.min()) / 2
        self.mean[0, place] = middle
        self.std[0, place] = width if width > 0 else 1.0

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


def _quantiles(values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """`KNOTS` rising values, and the normal deviates that belong to their ranks.

    A value that is several quantiles is one knot, in the middle of its ranks. Knots that are not needed follow behind
    the largest value, at the same level.
    """
    from scipy.stats import norm

    ranks = np.linspace(0, 1, min(KNOTS, max(2, len(values))))
    knots, first, counts = np.unique(np.quantile(values, ranks), return_index=True, return_counts=True)
    middle = (ranks[first] + ranks[first + counts - 1]) / 2
    levels = norm.ppf(np.clip(middle, EXTREME, 1 - EXTREME))
    more = KNOTS - len(knots)
    step = max(1.0, abs(float(knots[-1])))
    behind = knots[-1] + step * np.arange(1, more + 1)
    return np.concatenate([knots, behind]), np.concatenate([levels, np.full(more, levels[-1])])
