"""Optimizers from torch.optim. Weight decay comes with the parameter groups: none on biases and norm parameters.

`fused=True` is one kernel for a whole step, on a CPU too: without it a small network spends a fifth of its time here.
"""

from __future__ import annotations

from typing import Any

import torch

from automl import Choice, Float, Optimizer, hookimpl, optimizer

Groups = list[dict[str, Any]]


@optimizer(momentum=Float(0.0, 0.98), nesterov=Choice(True, False))
def sgd(params: Groups, lr: float, *, momentum: float, nesterov: bool) -> torch.optim.Optimizer:
    """Stochastic gradient descent with momentum, plain or Nesterov's; `momentum: 0` is SGD without any."""
    # torch refuses nesterov without momentum, where both are the same step.
    return torch.optim.SGD(params, lr, momentum=momentum, nesterov=nesterov and momentum > 0, fused=True)


@optimizer(momentum=Float(0.5, 0.98))
def momentum(params: Groups, lr: float, *, momentum: float) -> torch.optim.Optimizer:
    """SGD with heavy-ball momentum (Polyak, 1964)."""
    return torch.optim.SGD(params, lr, momentum=momentum, fused=True)


@optimizer(momentum=Float(0.5, 0.98))
def nesterov(params: Groups, lr: float, *, momentum: float) -> torch.optim.Optimizer:
    """SGD with Nesterov's momentum (Sutskever et al., 2013)."""
    return torch.optim.SGD(params, lr, momentum=momentum, nesterov=True, fused=True)


@optimizer()
def adagrad(params: Groups, lr: float) -> torch.optim.Optimizer:
    """Adagrad (Duchi et al., 2011): each weight's rate falls with the sum of its squared gradients."""
    return torch.optim.Adagrad(params, lr)


@optimizer(alpha=Float(0.9, 0.99), momentum=Float(0.0, 0.9))
def rmsprop(params: Groups, lr: float, *, alpha: float, momentum: float) -> torch.optim.Optimizer:
    """RMSprop (Hinton, 2012, lecture 6e): Adagrad with a moving average, here with momentum."""
    return torch.optim.RMSprop(params, lr, alpha=alpha, momentum=momentum)


@optimizer(rho=Float(0.8, 0.98))
def adadelta(params: Groups, lr: float, *, rho: float) -> torch.optim.Optimizer:
    """Adadelta (Zeiler, 2012); the paper's step is learning rate 1, so try 0.1 to 1."""
    return torch.optim.Adadelta(params, lr, rho=rho)


@optimizer(beta1=Float(0.8, 0.95))
def adam(params: Groups, lr: float, *, beta1: float) -> torch.optim.Optimizer:
    """Adam (Kingma and Ba, 2014); weight decay enters the gradient (L2)."""
    return torch.optim.Adam(params, lr, betas=(beta1, 0.999), fused=True)


@optimizer(beta1=Float(0.8, 0.95))
def adamw(params: Groups, lr: float, *, beta1: float) -> torch.optim.Optimizer:
    """AdamW (Loshchilov and Hutter, 2017); weight decay is decoupled from the gradient."""
    return torch.optim.AdamW(params, lr, betas=(beta1, 0.999), fused=True)


@hookimpl
def automl_optimizers() -> list[Optimizer]:
    """The optimizers of this plugin."""
    return [sgd, momentum, nesterov, adagrad, rmsprop, adadelta, adam, adamw]
