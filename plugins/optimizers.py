"""Optimizers from torch.optim. Weight decay comes with the parameter groups: none on biases and norm parameters.

`fused=True` is one kernel for a whole step, on a CPU too: without it a small network spends a fifth of its time here.
"""

from __future__ import annotations

from typing import Any

import torch

from automl import Choice, Float, Optimizer, hookimpl, optimizer


@optimizer(momentum=Float(0.0, 0.98), nesterov=Choice(True, False))
def sgd(params: list[dict[str, Any]], lr: float, *, momentum: float, nesterov: bool) -> torch.optim.Optimizer:
    """Stochastic gradient descent with momentum, plain or Nesterov's."""
    # torch refuses nesterov without momentum, where both are the same step.
    return torch.optim.SGD(params, lr, momentum=momentum, nesterov=nesterov and momentum > 0, fused=True)


@optimizer(beta1=Float(0.8, 0.95))
def adam(params: list[dict[str, Any]], lr: float, *, beta1: float) -> torch.optim.Optimizer:
    """Adam (Kingma and Ba, 2014); weight decay enters the gradient (L2)."""
    return torch.optim.Adam(params, lr, betas=(beta1, 0.999), fused=True)


@optimizer(beta1=Float(0.8, 0.95))
def adamw(params: list[dict[str, Any]], lr: float, *, beta1: float) -> torch.optim.Optimizer:
    """AdamW (Loshchilov and Hutter, 2017); weight decay is decoupled from the gradient."""
    return torch.optim.AdamW(params, lr, betas=(beta1, 0.999), fused=True)


@hookimpl
def automl_optimizers() -> list[Optimizer]:
    """The optimizers of this plugin."""
    return [sgd, adam, adamw]
