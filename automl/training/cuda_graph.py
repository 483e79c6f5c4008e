"""Records what several folds do in a step as one CUDA graph, side by side on streams of their own.

A small network's step is hundreds of kernels of microseconds each, and starting them one by one takes ten times longer
than they run. A graph starts them all at once, and folds on streams of their own fill the device together.
"""

from __future__ import annotations

import random
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

import torch

from automl.training.seeds import seed_torch


class Turns(Protocol):
    """How the folds of a step take their turns, each with a seed of its own for what is random in the step."""

    def fold(self, number: int) -> AbstractContextManager[None]:
        """Within it a fold computes, drawing from its own generator."""

    def join(self) -> None:
        """All folds are done; what follows may use what they made."""


class Recorder(Turns, Protocol):
    """Turns that can be recorded."""

    def record(self, step: Callable[[], None]) -> Callable[[Sequence[int]], None]:
        """What replays `step`, given the folds' seeds. Nothing is computed yet. Raises whatever forbids it."""


class OneByOne:
    """The folds compute at once, one after the other.

    Args:
        device: where they compute.
        seeds: of each fold.

    Raises:
        RuntimeError: a fold draws random numbers on the CPU for what it computes on a GPU, which a graph would repeat.
    """

    def __init__(self, device: torch.device, seeds: Sequence[int]):
        self.device, self.seeds = device, seeds

    @contextmanager
    def fold(self, number: int) -> Iterator[None]:
        """As `Turns.fold`."""
        seed_torch(self.seeds[number], self.device)
        before = torch.default_generator.get_state(), random.getstate()
        yield
        if self.device.type != "cuda":
            return
        if not torch.equal(before[0], torch.default_generator.get_state()) or random.getstate() != before[1]:
            raise RuntimeError("it draws random numbers on the CPU")

    def join(self) -> None:
        """As `Turns.join`."""


class CudaRecorder:
    """Records with CUDA's stream capture."""

    def __init__(self, device: torch.device, folds: int):
        self.device = torch.device("cuda", torch.cuda.current_device() if device.index is None else device.index)
        self.generators = [torch.Generator(self.device) for _ in range(folds)]
        self.streams = [torch.cuda.Stream(self.device) for _ in range(folds)]  # type: ignore[no-untyped-call]

    @contextmanager
    def fold(self, number: int) -> Iterator[None]:
        """As `Turns.fold`."""
        stream, default = self.streams[number], torch.cuda.default_generators[self.device.index]
        stream.wait_stream(torch.cuda.current_stream(self.device))
        before = default.graphsafe_get_state()
        with torch.cuda.stream(stream):
            default.graphsafe_set_state(self.generators[number].graphsafe_get_state())
            try:
                yield
            finally:
                default.graphsafe_set_state(before)

    def join(self) -> None:
        """As `Turns.join`."""
        for stream in self.streams:
            torch.cuda.current_stream(self.device).wait_stream(stream)

    def record(self, step: Callable[[], None]) -> Callable[[Sequence[int]], None]:
        """As `Recorder.record`."""
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.device(self.device), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # later versions of torch find the generators by themselves, and say so
            for generator in self.generators:
                graph.register_generator_state(generator)
            here = torch.cuda.current_stream()
            forget_workspaces()
            try:
                with torch.cuda.stream(here), torch.cuda.graph(graph, stream=torch.cuda.Stream()):  # type: ignore[no-untyped-call]
                    step()
            except Exception:
                mend_generators(self.device)
                raise
            finally:
                forget_workspaces()

        def replay(seeds: Sequence[int]) -> None:
            for generator, seed in zip(self.generators, seeds, strict=True):
                generator.manual_seed(seed)
            graph.replay()

        return replay


def forget_workspaces() -> None:
    """Gives back what cuBLAS keeps for each stream, 32 MiB on an H100: new streams would add up to a GiB.

    What it takes during a recording is its graph's then, and goes with it.
    """
    torch._C._cuda_clearCublasWorkspaces()


def mend_generators(device: torch.device) -> None:
    """Lets torch draw random numbers again after a capture that failed.

    Before torch 2.13 its generators believe that they are in that capture until another one has ended (seen with torch
    2.11 on an H200: "Offset increment outside graph capture encountered unexpectedly").
    """
    torch.cuda.synchronize(device)
    torch.cuda.empty_cache()
    nothing = torch.zeros(1, device=device)
    with torch.cuda.graph(torch.cuda.CUDAGraph(), stream=torch.cuda.Stream(device)):  # type: ignore[no-untyped-call]
        nothing.add_(1)


@contextmanager
def no_waiting(device: torch.device) -> Iterator[None]:
    """What waits for the device raises a RuntimeError: a graph cannot hold it."""
    if device.type != "cuda":
        yield
        return
    mode = torch.cuda.get_sync_debug_mode()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the check is a prototype, and says so
        torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode(mode)
