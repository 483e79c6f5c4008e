"""The data as tensors that stay on the device for the whole search, and their normalisation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from automl.data.dataset import Dataset
from automl.errors import DataError

CHUNK = 4096  # samples converted to float at a time when sums are taken, so that memory stays bounded
SHARE = 0.8  # of a GPU's free memory that the data may take


@dataclass(frozen=True)
class Normalisation:
    """`(x - mean) / std`: per channel [1, c, 1, 1] for images (in units of 0..255), per column [1, f] for tables.

    For regression the targets are normalised too: `y_mean` and `y_std` are [1, outputs]; else both are None.
    """

    mean: Tensor
    std: Tensor
    y_mean: Tensor | None = None
    y_std: Tensor | None = None

    def __call__(self, x: Tensor) -> Tensor:
        """Raw samples -> float32, normalised."""
        return (x.to(torch.float32) - self.mean) / self.std


def _spread(mean: Tensor, square: Tensor) -> Tensor:
    """The standard deviation from E[x] and E[x^2]; 1 for what never varies, so that nothing is divided by zero."""
    std = (square - mean * mean).clamp_min(0).sqrt()
    return torch.where(std > 1e-6 * mean.abs().clamp_min(1e-6), std, torch.ones_like(std))


def refuse_too_large(dataset: Dataset, device: torch.device, free: int | None = None) -> None:
    """Raises `DataError` where a GPU has no room for the data beside the networks.

    `free`: bytes that its memory has left (None: asked of the device).
    """
    if device.type != "cuda":
        return
    needed = dataset.x.nbytes + dataset.y.nbytes
    free = torch.cuda.mem_get_info(device)[0] if free is None else free
    if needed > SHARE * free:
        raise DataError(
            f"{dataset.name}: the data take {needed / 2**30:.1f} GiB, and {device} has {free / 2**30:.1f} GiB free, of "
            f"which {1 - SHARE:.0%} are kept for networks; use smaller images (--image-size) or --device cpu"
        )


class Resident:
    """A data set on a device. Images are kept as uint8 in channels-last order, which is what batches need.

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
        if self.image:
            x = np.ascontiguousarray(x.transpose(0, 2, 3, 1))  # [n, h, w, c]
        self._x = torch.from_numpy(x if x.flags.writeable else x.copy()).to(device)
        self.y = torch.from_numpy(np.array(dataset.y)).to(device)
        self._sums, self._squares = self._sample_sums()
        # One-hot columns stay 0 and 1: only numeric columns are standardised.
        self._numeric = torch.tensor([c.category is None for c in dataset.columns] or [True] * self._sums.shape[1])

    def __len__(self) -> int:
        return len(self.y)

    def _sample_sums(self) -> tuple[Tensor, Tensor]:
        """Per sample: mean of values and of squares by channel or column, [n, c] in float64 on the CPU.

        Kept because every fold needs the same sums over another part of the samples.
        """
        sums, squares = [], []
        for chunk in torch.split(self._x, CHUNK):
            values = chunk.to(torch.float32).flatten(1, -2) if self.image else chunk.unsqueeze(1)
            values = values.to("cpu", torch.float64)
            sums.append(values.mean(1))
            squares.append((values * values).mean(1))
        return torch.cat(sums), torch.cat(squares)

    def normalisation(self, index: NDArray[np.int64]) -> Normalisation:
        """Mean and deviation over the samples `index` [m] only: what a fold may know is its training part."""
        rows = torch.from_numpy(np.asarray(index, dtype=np.int64))
        mean = self._sums[rows].mean(0)
        std = _spread(mean, self._squares[rows].mean(0))
        mean = torch.where(self._numeric, mean, torch.zeros_like(mean))
        std = torch.where(self._numeric, std, torch.ones_like(std))
        shape = (1, -1, 1, 1) if self.image else (1, -1)
        mean, std = (v.to(self.device, torch.float32).view(shape) for v in (mean, std))
        if self.classification:
            return Normalisation(mean, std)
        y = self.y[rows.to(self.device)].to(torch.float64)
        y_mean = y.mean(0, keepdim=True)
        y_std = _spread(y_mean, (y * y).mean(0, keepdim=True))
        return Normalisation(mean, std, y_mean.to(torch.float32), y_std.to(torch.float32))

    def batch(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """The samples `index` [b] (on the device): x raw, [b, c, h, w] channels-last uint8 or [b, f], and y."""
        x = self._x.index_select(0, index)
        return (x.permute(0, 3, 1, 2) if self.image else x), self.y.index_select(0, index)
