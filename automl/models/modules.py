"""What a saved model computes: a network with its preprocessing, or several of them averaged."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from automl.data.dataset import Task
from automl.data.resident import PixelInputs
from automl.data.table_inputs import TableInputs
from automl.data.target_scale import TargetScale
from automl.training.device import evaluation_batch
from automl.training.layout import choose_layout
from automl.training.losses import merge_members
from automl.training.network import seen_shape
from automl.training.outputs import averaged


class Standardised(nn.Module):
    """A network with its preprocessing: samples in, logits or predictions in the targets' units out.

    Images are [b, c, h, w] with values 0..255, tables [b, features] as `automl.data.tables.features` has them, in
    float64. A regression's `y_mean` and `y_std` are float64, and so are its predictions: what is large and hardly
    varies (times, identifiers) must not be made float32 before it is centred. `log`: it has learnt the logarithm of its
    targets. `mirrored`: the output is the mean of those for an image and its mirror image.
    """

    y_mean: Tensor
    y_std: Tensor

    def __init__(
        self,
        network: nn.Module,
        inputs: PixelInputs | TableInputs,
        y_mean: Tensor | None = None,
        y_std: Tensor | None = None,
        log: bool = False,
        *,
        mirrored: bool = False,
        task: Task = "classification",
    ):
        super().__init__()
        self.task = task
        self.network = network
        self.inputs = inputs
        self.log = log
        self.mirrored = mirrored
        self.register_buffer("y_mean", torch.zeros(()) if y_mean is None else y_mean)
        self.register_buffer("y_std", torch.ones(()) if y_std is None else y_std)

    def forward(self, x: Tensor) -> Tensor:
        """[b, outputs]: logits in float32, or predictions in the dtype of `y_mean`."""
        inputs = self.inputs(x)
        output = self._output(inputs)
        if self.mirrored:
            output = torch.stack([output, self._output(inputs.flip(-1))]).mean(0)
        return TargetScale(self.y_mean, self.y_std, self.log).predicted(output)

    def _output(self, inputs: Tensor) -> Tensor:
        return merge_members(self.network, self.network(inputs), self.task).float()


class Ensemble(nn.Module):
    """The average of several networks, each with its own preprocessing: of their probabilities, or their predictions.

    Its output is what a single network's would be: logits, which are the logarithms of the mean probabilities, or
    predictions in the targets' units. `network` and the preprocessing are those of the first member.
    """

    def __init__(self, members: Iterable[Standardised]):
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(self, x: Tensor) -> Tensor:
        """[b, outputs], as of one member."""
        return averaged(torch.stack([member(x) for member in self.members]), self.first.task, 0)

    @property
    def first(self) -> Standardised:
        """The first member."""
        return cast(Standardised, self.members[0])

    @property
    def network(self) -> nn.Module:
        """The first member's."""
        return self.first.network

    @property
    def inputs(self) -> PixelInputs | TableInputs:
        """The first member's."""
        return self.first.inputs

    @property
    def y_mean(self) -> Tensor:
        """The first member's."""
        return self.first.y_mean

    @property
    def log(self) -> bool:
        """The first member's."""
        return self.first.log

    @property
    def y_std(self) -> Tensor:
        """The first member's."""
        return self.first.y_std


def first_member(module: Standardised | Ensemble) -> Standardised:
    """The network itself, or the first of several."""
    return module.first if isinstance(module, Ensemble) else module


@torch.inference_mode()
def outputs_of(module: Standardised | Ensemble, samples: NDArray[Any]) -> NDArray[Any]:
    """What it says of samples [n, ...], [n, outputs]: logits, or predicted numbers."""
    device = module.y_mean.device
    module.eval().to(memory_format=choose_layout(module, device))
    size = evaluation_batch(seen_shape(first_member(module).network, samples.shape[1:]), device)
    # One layout, whatever the caller's array and the saved weights had: sums in another order differ in the last bits.
    parts = (np.array(samples[start : start + size], order="C") for start in range(0, len(samples), size))
    return np.concatenate([module(torch.from_numpy(part).to(device)).cpu().numpy() for part in parts])
