"""A stand-in for CUDA's stream capture: what was recorded is computed again in each replay."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch

from automl.training.seeds import seed_torch


class Rerun:
    """As `CudaRecorder`, on a CPU."""

    def __init__(self, device: torch.device, folds: int):
        self.device = device
        self.seeds: Sequence[int] = [0] * folds

    @contextmanager
    def fold(self, number: int) -> Iterator[None]:
        seed_torch(self.seeds[number], self.device)
        yield

    def join(self) -> None:
        pass

    def record(self, step: Callable[[], None]) -> Callable[[Sequence[int]], None]:
        def replay(seeds: Sequence[int]) -> None:
            self.seeds = seeds
            step()

        return replay
