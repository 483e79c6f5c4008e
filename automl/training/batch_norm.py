"""BatchNorm's running statistics in the first steps of a training."""

from __future__ import annotations

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm


class BatchNormWarmUp:
    """Lets the running statistics of the first steps be the plain average of the batches seen.

    They start at mean 0 and variance 1, and with the usual momentum of 0.1 a third of that is still in them after ten
    steps. With few batches in an epoch the validation loss of the first epochs would measure this, not the network, and
    cheap rungs would prune good networks. After `steps`, 1 / momentum, it is the moving average that PyTorch defines.
    """

    def __init__(self, network: nn.Module):
        layers = [m for m in network.modules() if isinstance(m, _BatchNorm)]
        self._layers = [(layer, layer.momentum) for layer in layers if layer.momentum]
        self.steps = max((1 / momentum for _, momentum in self._layers), default=0.0)

    def __call__(self, step: int) -> None:
        """Sets the momentum for training step number `step`, counted from 0 over all epochs."""
        if step <= self.steps:
            for layer, momentum in self._layers:
                layer.momentum = max(momentum, 1 / (step + 1))
