"""Muon: steps whose matrix is orthogonalised, so that all directions of a weight are learnt at one speed.

torch.optim.Muon takes matrices alone. Here the filters of a convolution are one too, [outputs, inputs * kernel].
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.optim.adamw import adamw

from automl import Float, Optimizer, hookimpl, optimizer

COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # of the iteration (Jordan et al., 2024): fast for small singular values
ITERATIONS = 5
LIKE_ADAMW = (
    0.2  # root mean square of AdamW's steps, in learning rates (Liu et al., 2025, arXiv 2502.16982, section 2.2)
)
BETAS = (0.9, 0.95)  # of AdamW, for what is no matrix
EPSILON = 1e-8


def orthogonalised(matrix: Tensor) -> Tensor:
    """A matrix [m, n] of the same singular vectors, with singular values of about one (0.7 to 1.2).

    Five steps of a Newton-Schulz iteration of fifth order (Jordan et al., 2024, 'Muon: an optimizer for hidden layers
    in neural networks'); on a GPU in bfloat16, which is enough.
    """
    a, b, c = COEFFICIENTS
    x = matrix.to(torch.bfloat16) if matrix.is_cuda else matrix
    if wide := len(x) <= x.shape[1]:
        x = x.T
    x = x / x.norm().clamp_min(EPSILON)
    for _ in range(ITERATIONS):
        gram = x.T @ x  # of the shorter side
        x = torch.addmm(x, x, torch.addmm(gram, gram, gram, beta=b, alpha=c), beta=a)
    return (x.T if wide else x).to(matrix.dtype)


class Muon(torch.optim.Optimizer):
    """Muon for parameters of two and more dimensions, AdamW for the others; one learning rate suits both."""

    def __init__(self, params: list[dict[str, Any]], lr: float, momentum: float):
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": 0.0})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """A step with the gradients that are there."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            given = [p for p in group["params"] if p.grad is not None]
            for weight in given:
                if weight.ndim > 1:
                    self._step_matrix(weight, group)
            self._step_others([p for p in given if p.ndim <= 1], group)
        return loss

    def _step_matrix(self, weight: Tensor, group: dict[str, Any]) -> None:
        state, gradient, momentum = self.state[weight], weight.grad, group["momentum"]
        assert gradient is not None
        if not state:
            state["velocity"] = torch.zeros_like(weight)
        velocity = state["velocity"]
        velocity.mul_(momentum).add_(gradient)
        nesterov = gradient.add(velocity, alpha=momentum).flatten(1)
        size = LIKE_ADAMW * max(nesterov.shape) ** 0.5
        weight.mul_(1 - group["lr"] * group["weight_decay"])
        weight.add_(orthogonalised(nesterov).view(weight.shape), alpha=-group["lr"] * size)

    def _step_others(self, parameters: list[Tensor], group: dict[str, Any]) -> None:
        states = [self.state[parameter] for parameter in parameters]
        for parameter, state in zip(parameters, states, strict=True):
            if not state:
                state["mean"], state["square"] = torch.zeros_like(parameter), torch.zeros_like(parameter)
                state["step"] = torch.zeros(())
        means, squares, steps = ([state[key] for state in states] for key in ("mean", "square", "step"))
        adamw(
            parameters, [p.grad for p in parameters if p.grad is not None], means, squares, [], steps, amsgrad=False,
            beta1=BETAS[0], beta2=BETAS[1], lr=group["lr"], weight_decay=group["weight_decay"], eps=EPSILON,
            maximize=False,
        )  # fmt: skip


@optimizer(momentum=Float(0.85, 0.98))
def muon(params: list[dict[str, Any]], lr: float, *, momentum: float) -> torch.optim.Optimizer:
    """Muon (Jordan et al., 2024): Nesterov's momentum, orthogonalised; what is no matrix is learnt by AdamW."""
    return Muon(params, lr, momentum)


@hookimpl
def automl_optimizers() -> list[Optimizer]:
    """The optimizer of this plugin."""
    return [muon]
