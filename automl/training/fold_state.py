"""The state of a fold as a tree that a checkpoint holds. Its randomness needs none: it derives from seeds."""

from __future__ import annotations

from typing import Any

import torch

from automl.training.fold import Fold


def state_of(fold: Fold) -> dict[str, Any]:
    """Everything that the fold's training has changed."""
    return {
        "epochs": fold.epochs,
        "network": dict(fold.network.state_dict()),
        "average": None if fold.average is None else dict(fold.average.module.state_dict()),
        "optimizer": fold.optimizer.state_dict(),
        "schedule": _plain(fold.schedule.state_dict()),
    }


def bring_back(fold: Fold, state: dict[str, Any]) -> None:
    """Gives a fold that was just built the state that `state_of` told of another one.

    Raises what torch raises for a state that does not fit: `RuntimeError`, `ValueError`, `LookupError` and others.
    """
    fold.epochs = state["epochs"]
    fold.network.load_state_dict(state["network"])
    if fold.average is not None:
        fold.average.module.load_state_dict(state["average"])
    fold.optimizer.load_state_dict(state["optimizer"])
    _match_layout(fold.optimizer)
    fold.schedule.load_state_dict(state["schedule"])


def _match_layout(optimizer: torch.optim.Optimizer) -> None:
    """Gives momenta the memory layout of their parameters: fused kernels walk both in the order of memory.

    A checkpoint holds everything contiguous; beside channels-last weights a contiguous momentum would be scrambled.
    """
    for parameter, state in optimizer.state.items():
        for key, value in state.items():
            if isinstance(value, torch.Tensor) and value.shape == parameter.shape:
                state[key] = torch.empty_like(parameter, dtype=value.dtype).copy_(value)


def _plain(state: dict[str, object]) -> dict[str, object]:
    """A schedule's state without what the schedule makes again itself (bound methods, the optimizer)."""
    return {
        k: v for k, v in state.items() if v is None or isinstance(v, bool | int | float | str | list | tuple | dict)
    }
