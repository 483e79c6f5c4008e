"""What a network makes of photos before its last linear layer: where two of them are near, it takes them for alike."""

from __future__ import annotations

import copy
import time
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from automl.data.resident import Resident
from automl.models.modules import Ensemble, Standardised, first_member
from automl.scheduling.deadline import Deadline
from automl.training.folding import fold_batch_norm
from automl.training.frozen import FrozenFeatures
from automl.training.layout import choose_layout

PIXELS = 400_000  # at a time on a CPU: eight photos of 224 x 224, see `automl.training.frozen.AT_A_TIME`
ON_GPU = 64  # times as many
FEWEST, MOST = 8, 1024  # photos at a time
LARGEST = 256 << 20  # bytes of features

Array = NDArray[Any]


class NoLinearLayer(Exception):
    """The network has no linear layer, and so no features before it."""


class Penultimate:
    """The inputs of the last linear layer of a network; of an ensemble those of its first network.

    Args:
        module: that of the final model, whose network is copied.
        resident: the data on their device.
        frozen: the same data as the network's frozen part sees them, where it has one that was computed; then only what
            is behind it is computed for the training part.
    """

    def __init__(self, module: Standardised | Ensemble, resident: Resident, frozen: Resident | None = None):
        member = first_member(module)
        self.inputs = member.inputs
        self.resident = resident
        self.frozen = frozen if isinstance(frozen, FrozenFeatures) else None
        network = copy.deepcopy(member.network)
        network = network.to(memory_format=choose_layout(network, resident.device)).eval()
        height, width = resident.input_shape[-2:]
        fitting = PIXELS * (1 if resident.device.type == "cpu" else ON_GPU) // (height * width)
        self.size = max(FEWEST, min(MOST, fitting))
        if self.frozen is None:  # else few photos go through the whole network: it would take longer than they do
            probed = torch.arange(min(FEWEST, len(resident)), device=resident.device)
            network = fold_batch_norm(network, lambda each: self._forward(each, probed))
        self.network = network
        self._seen: Tensor | None = None
        for layer in self.network.modules():
            if isinstance(layer, nn.Linear):
                layer.register_forward_pre_hook(self._see)

    def of(self, samples: NDArray[np.int64], deadline: Deadline, known: bool = False) -> Array:
        """Features float32 [m, f] of the first m of the `samples`, as many as there is time and memory for.

        known: they are of the training part, whose frozen features are there. Raises `NoLinearLayer`, `Interrupted`,
        and what the network raises.
        """
        found: list[Array] = []
        index, taken = torch.from_numpy(samples).to(self.resident.device), 0.0
        for part in torch.split(index, self.size) if len(index) else ():
            deadline.check_interrupted()
            held = sum(each.nbytes for each in found)
            if deadline.left < taken or held > LARGEST:
                break
            started = time.perf_counter()
            found.append(self._of(part, known))
            taken = time.perf_counter() - started
        return np.concatenate(found) if found else np.empty((0, 0), dtype=np.float32)

    @torch.inference_mode()
    def _of(self, index: Tensor, known: bool) -> Array:
        self._seen = None
        if known and self.frozen is not None:
            features, _ = self.frozen.batch(index)
            self.network.head(features)  # type: ignore[operator]
        else:
            self._forward(self.network, index)
        if self._seen is None:
            raise NoLinearLayer
        return self._seen.flatten(1).float().cpu().numpy()

    def _forward(self, network: nn.Module, index: Tensor) -> Tensor:
        x, _ = self.resident.batch(index)
        output: Tensor = network(self.inputs(x))
        return output

    def _see(self, _: nn.Module, given: tuple[Any, ...]) -> None:
        self._seen = given[0].detach()  # that of the last layer that is called is kept


def nearest(queries: Array, others: Array, count: int) -> tuple[Array, Array]:
    """For each of the `queries` [q, f] its `count` nearest of the `others` [m, f] by the cosine, the nearest first.

    Returns their places [q, count], and the cosines [q, count].
    """
    cosines = _unit(queries) @ _unit(others).T
    places = np.argsort(-cosines, axis=1, kind="stable")[:, :count]
    return places, np.take_along_axis(cosines, places, axis=1)


def cosine(first: Array, second: Array) -> Array:
    """[m]: the cosines of the rows of two arrays [m, f]."""
    cosines: Array = np.einsum("ij,ij->i", _unit(first), _unit(second))
    return cosines


def _unit(rows: Array) -> Array:
    rows = rows.astype(np.float32)
    unit: Array = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), np.finfo(np.float32).tiny)
    return unit
