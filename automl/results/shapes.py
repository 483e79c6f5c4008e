"""The layout of a network's weights, told by building it without memory and without drawing random numbers."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.modules.module import (
    register_module_module_registration_hook,
    register_module_parameter_registration_hook,
)

from automl.training.on_meta import Shapes


def layout_of(build: Callable[[], nn.Module]) -> Mapping[str, Tensor]:
    """The `state_dict` of what `build` returns, with shapes and dtypes but no values. Raises what it raises."""
    with torch.device("meta"), Shapes():
        return build().state_dict()


@contextmanager
def at_most(layers: int) -> Iterator[None]:
    """Raises `ValueError` where more layers and parameters than these are put together: a depth of 10^9 has no end."""
    count = itertools.count(1)

    def one_more(*_: object) -> None:
        if next(count) > layers:
            raise ValueError("the network has many more layers than there are weights")

    hooks = register_module_module_registration_hook, register_module_parameter_registration_hook
    handles = [register(one_more) for register in hooks]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
