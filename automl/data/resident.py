"""The data as tensors that stay on the device for the whole search, and their normalisation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from automl.data.dataset import Dataset
from automl.errors import DataError

_SAMPLED = 1000  # rows that the middle of a column is taken from
CHUNK = 4096  # samples converted to float at a time when sums are taken, so that memory stays bounded
SHARE = 0.8  # of a GPU's free memory that the data may take


@dataclass(frozen=True)
class Normalisation:
    """`(x - mean) / std`: per channel [1, c, 1, 1] for images (in units of 0..255), per column [1, f] for tables.

    For regression the targets are normalised too: `y_mean` and `y_std` are [1, outputs] in float64, for float32 would
    make one number of 1.7e9 and 1.7e9 + 60. Else both are None.
    """

    mean: Tensor
    std: Tensor
    y_mean: Tensor | None = None
    y_std: Tensor | None = None

    def __call__(self, x: Tensor) -> Tensor:
        """Resident samples -> float32, normalised."""
        return (x.to(torch.float32) - self.mean) / self.std


def _spread(mean: Tensor, variance: Tensor) -> Tensor:
    """The standard deviation; 1 for what never varies beyond the rounding of sums, so that nothing is divided by it."""
    std = variance.clamp_min(0).sqrt()
    return torch.where(std > 1e-12 * mean.abs(), std, torch.ones_like(std))


def refuse_too_large(dataset: Dataset, device: torch.device, free: int | None = None) -> None:
    """Raises `DataError` where a GPU has no room for the data beside the networks.

    `free`: bytes that its memory has left (None: asked of the device).
    """
    if device.type != "cuda":
        return
    needed = dataset.x.size * (1 if dataset.kind == "image" else 4) + dataset.y.nbytes  # a table is kept as float32
    free = torch.cuda.mem_get_info(device)[0] if free is None else free
    if needed > SHARE * free:
        raise DataError(
            f"{dataset.name}: the data take {needed / 2**30:.1f} GiB, and {device} has {free / 2**30:.1f} GiB free, of "
            f"which {1 - SHARE:.0%} are kept for networks; use smaller images (--image-size) or --device cpu"
        )


class Resident:
    """A data set on a device. Images are kept as uint8 in channels-last order, which is what batches need.

    A table is kept as float32 `(x - offset) / scale`, [1, f] each in float64: with the middle of each column taken off,
    float32 tells apart what it could not in the column's own units.

    Args:
        dataset: the data.
        device: where it shall live.
    """

    def __init__(self, dataset: Dataset, device: torch.device):
        self.device = device
        self.image = dataset.kind == "image"
        self.classification = dataset.task == "classification"
        self.input_shape = dataset.input_shape
        self.num_outputs = dataset.num_outputs
        x = np.asarray(dataset.x)
        flags = [standardised for column in dataset.columns for standardised in column.standardised]
        # One-hot columns stay 0 and 1: only numeric columns are standardised.
        self._numeric = torch.tensor(flags or [True] * x.shape[1])
        if self.image:
            x = np.ascontiguousarray(x.transpose(0, 2, 3, 1))  # [n, h, w, c]
        else:
            self.offset, self.scale = _middle(x, self._numeric.numpy())
            x = ((x - self.offset) / self.scale).astype(np.float32)
        self._x = torch.from_numpy(x if x.flags.writeable else x.copy()).to(device)
        self.y = torch.from_numpy(np.array(dataset.y)).to(device)
        self._means, self._variances = self._sample_moments()

    def __len__(self) -> int:
        return len(self.y)

    def _sample_moments(self) -> tuple[Tensor, Tensor]:
        """Per sample: mean and variance of its values by channel or column, [n, c] in float64 on the CPU.

        Kept because every fold needs them, over another part of the samples. The variance of a part is the mean of
        its samples' variances plus the variance of their means, which cancels nothing, as E[x^2] - E[x]^2 would.
        """
        means, variances = [], []
        for chunk in torch.split(self._x, CHUNK):
            values = chunk.to(torch.float32).flatten(1, -2) if self.image else chunk.unsqueeze(1)
            values = values.to("cpu", torch.float64)
            means.append(values.mean(1))
            variances.append((values - means[-1].unsqueeze(1)).square().mean(1))
        return torch.cat(means), torch.cat(variances)

    def normalisation(self, index: NDArray[np.int64]) -> Normalisation:
        """Mean and deviation over the samples `index` [m] only: what a fold may know is its training part."""
        rows = torch.from_numpy(np.asarray(index, dtype=np.int64))
        mean = self._means[rows].mean(0)
        std = _spread(mean, (self._variances[rows] + (self._means[rows] - mean).square()).mean(0))
        mean = torch.where(self._numeric, mean, torch.zeros_like(mean))
        std = torch.where(self._numeric, std, torch.ones_like(std))
        shape = (1, -1, 1, 1) if self.image else (1, -1)
        mean, std = (v.to(self.device, torch.float32).view(shape) for v in (mean, std))
        if self.classification:
            return Normalisation(mean, std)
        y = self.y[rows.to(self.device)].to(torch.float64)
        y_mean = y.mean(0, keepdim=True)
        return Normalisation(mean, std, y_mean, _spread(y_mean, (y - y_mean).square().mean(0, keepdim=True)))

    def in_own_units(self, norm: Normalisation) -> tuple[Tensor, Tensor]:
        """`mean` and `std` of raw samples, as the data hold them: of a table in float64."""
        if self.image:
            return norm.mean, norm.std
        offset, scale = (torch.from_numpy(each).to(norm.mean.device) for each in (self.offset, self.scale))
        return offset + scale * norm.mean.double(), scale * norm.std.double()

    def batch(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """The samples `index` [b] (on the device): x [b, c, h, w] channels-last uint8 or float32 [b, f], and y."""
        x = self._x.index_select(0, index)
        return (x.permute(0, 3, 1, 2) if self.image else x), self.y.index_select(0, index)


def _middle(x: NDArray[Any], numeric: NDArray[np.bool_]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Offset and scale [1, f] of a table's columns: about the median, so that what is common is exact near 0; and the
    largest distance from it. 0 and 1 for inputs that are 0 or 1.
    """
    sample = x[:: max(1, len(x) // _SAMPLED)].astype(np.float64)
    offset = np.where(numeric, np.median(sample, axis=0), 0.0)[None]
    scale = np.maximum(x.max(0) - offset, offset - x.min(0))
    return offset, np.where(numeric & (scale > 0), scale, 1.0)
