"""Dropout in stacked folds: each fold's mask from its own generator."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from automl.training.seeds import state_of_torch

DROPOUTS = (F.dropout, F.dropout1d, F.dropout2d, F.dropout3d)


class FoldDropout(TorchFunctionMode):
    """Lets dropout inside a vmapped pass draw each fold's mask from that fold's own generator.

    A mask is drawn as torch does on a CPU for images in `layout`, so that a fold drops what it would drop alone.
    `number` is the fold's number inside the pass, a batched scalar; None outside of one, where there is one generator.
    """

    def __init__(self, generators: Sequence[torch.Generator], layout: torch.memory_format = torch.contiguous_format):
        super().__init__()
        self.generators = generators
        self.layout = layout
        self.number: Tensor | None = None

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Takes over dropout; everything else goes its way."""
        if func in DROPOUTS:
            return self._drop(func, *args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))

    def _drop(
        self, func: Callable[..., Any], input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
    ) -> Tensor:
        if not training or p == 0:
            return input
        channels = func is not F.dropout  # whole channels [b, c, 1, ...] are dropped
        shape = (*input.shape[:2], *[1] * (input.ndim - 2)) if channels else tuple(input.shape)
        layout = self.layout if len(shape) == 4 else torch.contiguous_format
        empty = [torch.empty(shape, dtype=input.dtype, device=g.device, memory_format=layout) for g in self.generators]
        masks = torch.stack(
            [mask.bernoulli_(1 - p, generator=g) for mask, g in zip(empty, self.generators, strict=True)]
        )
        masks = masks.div_(1 - p) if p < 1 else masks
        # Not `masks[self.number]`, which may ask the device for the number.
        return input * (masks[0] if self.number is None else masks.index_select(0, self.number.view(1)).squeeze(0))


def dropout_alone(device: torch.device, layout: torch.memory_format) -> AbstractContextManager[object]:
    """Lets a fold that is trained alone draw the masks that it would draw in a stack, from torch's own generator on.

    On a CPU those are the same; on CUDA torch's dropout draws in another order.
    """
    if device.type == "cpu":
        return nullcontext()
    generator = torch.Generator(device)
    generator.set_state(state_of_torch(device))
    return FoldDropout([generator], layout)
