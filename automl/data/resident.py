"""The data as tensors that stay on the device for the whole search, and their normalisation."""

from __future__ import annotations

import hashlib
import warnings
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from automl.data.dataset import Dataset
from automl.data.feature_files import FeatureFiles
from automl.data.mapped import BIG, release
from automl.data.table_inputs import Scaling, TableInputs
from automl.data.tables.features import input_columns
from automl.data.target_scale import TargetScale, spread
from automl.errors import DataError

PREPARED = 1 << 30  # bytes of a table's inputs that are kept
CHUNK_BYTES = 1 << 24  # of samples, in the same place
CHUNK = 4096  # samples converted to float at a time when sums are taken, so that memory stays bounded
SHARE = 0.8  # of a GPU's free memory that the data may take


class PixelInputs(nn.Module):
    """Images [b, c, h, w] of values 0..255 to `(x - mean) / std` in float32; `mean` and `std` are [1, c, 1, 1]."""

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Tensor, std: Tensor):
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("std", std)

    def forward(self, x: Tensor) -> Tensor:
        """Pixels of any dtype -> float32, normalised."""
        return ((x.to(self.mean.dtype) - self.mean) / self.std).float()


@dataclass(frozen=True)
class Normalisation:
    """What a fold has taken from its training part: how samples become inputs, and answers what is learnt.

    inputs: a module that makes a network's inputs of samples. rows: of a table float32 [n, columns], the inputs of all
    its samples; None for images, for which that is done batch by batch.
    target: the scale on which a regression is learnt; None for a classification.
    """

    inputs: PixelInputs | TableInputs
    target: TargetScale | None = None
    rows: Tensor | None = None


def refuse_too_large(dataset: Dataset, device: torch.device, free: int | None = None) -> None:
    """Raises `DataError` where a GPU has no room for the data beside the networks.

    `free`: bytes that its memory has left (None: asked of the device).
    """
    if device.type != "cuda":
        return
    values = len(dataset) * len(input_columns(dataset.features)) * 4 if dataset.kind == "table" else dataset.x.size
    needed = values + dataset.y.nbytes
    free = torch.cuda.mem_get_info(device)[0] if free is None else free
    if needed > SHARE * free:
        raise DataError(
            f"{dataset.name}: the data take {needed / 2**30:.1f} GiB, and {device} has {free / 2**30:.1f} GiB free, of "
            f"which {1 - SHARE:.0%} are kept for networks; use smaller images (--image-size) or --device cpu"
        )


class Resident:
    """A data set on a device. Images are kept as uint8 in channels-last order, which is what batches need.

    Of a table nothing is kept but the inputs that the latest folds have made of it, `PREPARED` bytes of them.

    Args:
        dataset: the data.
        device: where it shall live.
        features: the folder for the features of frozen parts of networks; None: they are kept in memory.
    """

    def __init__(self, dataset: Dataset, device: torch.device, features: Path | None = None):
        self.feature_files = FeatureFiles(features, dataset.fingerprint)
        self.device = device
        self.image = dataset.kind == "image"
        self.task = dataset.task
        self.num_outputs = dataset.num_outputs
        self.deviations = dataset.deviations
        self.features = dataset.features
        self.columns = input_columns(dataset.features)
        self.input_shape = dataset.input_shape if self.image else (len(self.columns),)
        x = np.asarray(dataset.x)
        self.y = torch.from_numpy(np.array(dataset.y)).to(device)
        self._prepared: OrderedDict[str, tuple[TableInputs, Tensor]] = OrderedDict()
        if not self.image:
            self._table = x
            return
        x = np.ascontiguousarray(x.transpose(0, 2, 3, 1))  # [n, h, w, c]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of memory that must not be written to, and nobody does
            self._x = torch.from_numpy(x if x.flags.writeable or x.nbytes >= BIG else x.copy()).to(device)
        self._mapped = x if device.type == "cpu" else x[:0]
        self._gathered = 0
        self._means, self._variances = self._sample_moments()

    def __len__(self) -> int:
        return len(self.y)

    def _sample_moments(self) -> tuple[Tensor, Tensor]:
        """Per image: mean and variance of its values by channel, [n, c] in float64 on the CPU.

        Kept because every fold needs them, over another part of the samples. The variance of a part is the mean of
        its samples' variances plus the variance of their means, which cancels nothing, as E[x^2] - E[x]^2 would.
        """
        means, variances = [], []
        largest = max(1, CHUNK_BYTES // max(1, self._x[0].numel()))
        for chunk in torch.split(self._x, min(CHUNK, largest)):
            values = chunk.to(torch.float32).flatten(1, -2).to("cpu", torch.float64)
            means.append(values.mean(1))
            variances.append((values - means[-1].unsqueeze(1)).square().mean(1))
            release(self._mapped)
        return torch.cat(means), torch.cat(variances)

    def normalisation(
        self, index: NDArray[np.int64], scaling: Scaling = "standard", log_target: bool = False
    ) -> Normalisation:
        """What the samples `index` [m] alone say: what a fold may know is its training part.

        scaling: of a table's numbers. log_target: whether the logarithm of a regression's targets is learnt.
        """
        index = np.asarray(index, dtype=np.int64)
        inputs: PixelInputs | TableInputs
        inputs, rows = self._pixel_inputs(index) if self.image else self._table_inputs(index, scaling)
        if self.task != "regression":
            return Normalisation(inputs, rows=rows)
        y = self.y[torch.from_numpy(index).to(self.device)]
        return Normalisation(inputs, TargetScale.of(y, log_target), rows)

    def _pixel_inputs(self, index: NDArray[np.int64]) -> tuple[PixelInputs, None]:
        samples = torch.from_numpy(index)
        mean = self._means[samples].mean(0)
        std = spread(mean, (self._variances[samples] + (self._means[samples] - mean).square()).mean(0))
        mean, std = (v.to(self.device, torch.float32).view(1, -1, 1, 1) for v in (mean, std))
        return PixelInputs(mean, std), None

    def _table_inputs(self, index: NDArray[np.int64], scaling: Scaling) -> tuple[TableInputs, Tensor]:
        """The transformation of a training part, and what it makes of all rows: known from the trial before, mostly."""
        key = f"{scaling} {hashlib.sha256(index.tobytes()).hexdigest()}"
        if key not in self._prepared:
            inputs = TableInputs(self.features, scaling).fit(self._table[index])
            rows = inputs.transform(self._table).to(self.device)
            self._prepared[key] = inputs.to(self.device), rows
        self._prepared.move_to_end(key)
        while len(self._prepared) > 1 and sum(rows.nbytes for _, rows in self._prepared.values()) > PREPARED:
            self._prepared.popitem(last=False)
        return self._prepared[key]

    def batch(self, index: Tensor, rows: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The samples `index` [b] (on the device) and their y: x [b, c, h, w] channels-last uint8, or of a table those
        of the `rows` that a fold has in its `Normalisation`.
        """
        if rows is not None:
            return rows.index_select(0, index), self.y.index_select(0, index)
        x = self._x.index_select(0, index)
        self._gathered += x.nbytes
        if self._gathered > BIG // 2:  # of data that are larger than memory, what was read does not stay in it
            release(self._mapped)
            self._gathered = 0
        return x.permute(0, 3, 1, 2), self.y.index_select(0, index)

    def views(self, index: Tensor, rows: Tensor | None = None, *, mirrored: bool) -> list[Tensor]:
        """The samples of `batch`, and their mirror images where these count as well."""
        x, _ = self.batch(index, rows)
        return [x, x.flip(-1)] if mirrored else [x]

    def training_batch(self, index: Tensor, rows: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """As `batch`, for a step of training, which augments it afterwards."""
        return self.batch(index, rows)
