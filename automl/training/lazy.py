"""Lazy layers (`nn.LazyLinear`, ...): their parameters have no shape before the first pass."""

from __future__ import annotations

import itertools

import torch
from torch import nn
from torch.nn.parameter import is_lazy


def has_lazy_layers(network: nn.Module) -> bool:
    """Whether a parameter or buffer still waits for its shape."""
    return any(is_lazy(tensor) for tensor in itertools.chain(network.parameters(), network.buffers()))


@torch.no_grad()
def materialise(network: nn.Module, input_shape: tuple[int, ...]) -> None:
    """Gives lazy layers their parameters by a pass of two empty samples of `input_shape` (without the batch).

    Does nothing to a network without any. Statistics of BatchNorm are left alone where the pass in eval mode reaches
    every lazy layer; what only training uses (auxiliary classifiers) takes one in training mode.
    """
    if not has_lazy_layers(network):
        return
    modes = {module: module.training for module in network.modules()}
    for training in (False, True):
        if has_lazy_layers(network):
            network.train(training)(torch.zeros(2, *input_shape))
    for module in network.modules():
        module.training = modes.get(module, True)
