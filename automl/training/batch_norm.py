"""BatchNorm's running statistics in the first steps of a training, and its shapes alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.overrides import TorchFunctionMode


class BatchNormWarmUp:
    """Lets the running statistics of the first steps be the plain average of the batches seen.

    They start at mean 0 and variance 1, and with the usual momentum of 0.1 a third of that is still in them after ten
    steps. With few batches in an epoch the validation loss of the first epochs would measure this, not the network, and
    cheap rungs would prune good networks. After 1 / momentum steps it is the moving average that PyTorch defines.
    """

    def __init__(self, network: nn.Module):
        layers = [m for m in network.modules() if isinstance(m, _BatchNorm)]
        self._layers = [(layer, layer.momentum) for layer in layers if layer.momentum]
        self._steps = max((1 / momentum for _, momentum in self._layers), default=0.0)

    def __call__(self, step: int) -> None:
        """Sets the momentum for training step number `step`, counted from 0 over all epochs."""
        if step <= self._steps:
            for layer, momentum in self._layers:
                layer.momentum = max(momentum, 1 / (step + 1))


class BatchNormShapes(TorchFunctionMode):
    """Lets a batch norm on meta keep its input, once the number of channels is right.

    On meta torch decomposes it in Python: 20 of the 30 ms that the check of a small ResNet took, for each climb.
    """

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Takes over batch norm; everything else goes its way."""
        if func is not F.batch_norm:
            return func(*args, **(kwargs or {}))
        named = dict(zip(_BATCH_NORM, args, strict=False)) | (kwargs or {})
        x: Tensor = named["input"]
        channels = {len(named[name]) for name in _BATCH_NORM[1:] if named.get(name) is not None}
        if channels - {x.shape[1]}:
            raise RuntimeError(f"batch norm of {max(channels)} channels has an input of {x.shape[1]}")
        return x.clone()


_BATCH_NORM = ("input", "running_mean", "running_var", "weight", "bias")  # the tensors among its arguments, in order
