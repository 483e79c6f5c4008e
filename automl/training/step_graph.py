"""The gradients of a stack's step as a CUDA graph: recorded once, replayed with the samples of each later step.

A small network's step is hundreds of kernels of microseconds each, and starting them takes longer than they run. A
graph starts them all at once. Only the forward and backward pass is recorded: samples are drawn and augmented before
it, and the folds' optimizers and schedules, whose learning rates change, step after it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

log = logging.getLogger("automl.executor")

WORTH = 50  # steps of an epoch; in shorter ones the recording, about four steps, does not come back soon
AGREEMENT = 0.05  # relative, of all gradients: bfloat16 and atomic sums differ by 0.01, another dropout mask by 0.3
ROOM = 2.0  # free memory over what is in use: a graph keeps its activations for itself


class Gradients(NamedTuple):
    """Of one step: the outputs [folds, b, outputs], and of each parameter the stacked gradient; None: it has none."""

    outputs: Tensor
    parameters: Mapping[str, Tensor | None]


Compute = Callable[[Tensor, Tensor], Gradients]
"""(samples [folds * b, ...], targets [folds * b, ...]) -> their gradients; may change buffers, and draw numbers."""

Recorder = Callable[[Callable[[], Gradients], Sequence[torch.Generator]], tuple[Gradients, Callable[[], None]]]
"""Records a function that draws from these generators: (where its results lie, what replays it into them)."""


class StepGraph:
    """A recorded `compute`. What it returns is overwritten by the next call.

    Args:
        compute: what is recorded. It must do the same in every call, but for its samples, targets and random numbers.
        x, targets: of the step at hand; later ones have the same shapes.
        generators: what `compute` draws from. A replay draws from where they stand.
        record: how it is recorded; another one than CUDA's is for tests.
    """

    def __init__(
        self, compute: Compute, x: Tensor, targets: Tensor, generators: Sequence[torch.Generator], record: Recorder
    ):
        self._x, self._targets = x.clone(), targets.clone()
        self._made, self._replay = record(lambda: compute(self._x, self._targets), generators)

    def fits(self, x: Tensor, targets: Tensor) -> bool:
        """Whether a step's samples have the shape of those that were recorded; an epoch's last ones may not."""
        return all(
            new.shape == old.shape and new.dtype == old.dtype and new.stride() == old.stride()
            for new, old in ((x, self._x), (targets, self._targets))
        )

    def __call__(self, x: Tensor, targets: Tensor) -> Gradients:
        """What `compute` returns for these samples."""
        self._x.copy_(x)
        self._targets.copy_(targets)
        self._replay()
        return Gradients(self._made.outputs.clone(), self._made.parameters)


def record_cuda(
    once: Callable[[], Gradients], generators: Sequence[torch.Generator]
) -> tuple[Gradients, Callable[[], None]]:
    """Records with CUDA's stream capture; nothing is computed by it."""
    graph = torch.cuda.CUDAGraph()
    for generator in generators:
        graph.register_generator_state(generator)
    with torch.cuda.graph(graph):
        made = once()
    return made, graph.replay


def now(device: torch.device) -> float:
    """Seconds, after all that the device was asked for is done."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def recorded(
    compute: Compute,
    x: Tensor,
    targets: Tensor,
    generators: Sequence[torch.Generator],
    buffers: Sequence[Tensor],
    record: Recorder = record_cuda,
    clock: Callable[[torch.device], float] = now,
) -> StepGraph | None:
    """The graph of a step, where it computes what `compute` does and is quicker; else None, with a logged reason.

    Buffers and generators are afterwards as they were before. Whatever goes wrong is no error: the step is computed as
    before then.
    """
    before = [buffer.clone() for buffer in buffers], [generator.get_state() for generator in generators]

    def run(step: Compute) -> tuple[Gradients, float]:
        started = clock(x.device)
        try:
            made = step(x, targets)
            return made, clock(x.device) - started
        finally:
            for buffer, value in zip(buffers, before[0], strict=True):
                buffer.copy_(value)
            for generator, state in zip(generators, before[1], strict=True):
                generator.set_state(state)

    try:
        if short := _short_of_memory(x.device):
            raise RuntimeError(short)
        expected, eager = run(compute)
        try:
            graph = StepGraph(compute, x, targets, generators, record)
        finally:
            for generator, state in zip(generators, before[1], strict=True):
                generator.set_state(state)
        found, _ = run(graph)
        if (difference := _difference(expected, found)) > AGREEMENT:
            raise RuntimeError(f"its gradients differ by {difference:.1e}")
        _, replayed = run(graph)
        if replayed >= eager:
            raise RuntimeError(f"it takes {replayed * 1e3:.2g} ms, the step {eager * 1e3:.2g} ms")
    except Exception as error:  # what a network may do during a capture has no end
        log.info("the folds' step is not replayed as a CUDA graph: %s", str(error).partition("\n")[0][:200])
        return None
    return graph


def _short_of_memory(device: torch.device) -> str:
    if device.type != "cuda":
        return ""
    cached = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    unused, used = torch.cuda.mem_get_info(device)[0] + cached, torch.cuda.max_memory_allocated(device)
    return f"{unused >> 20} MiB are free beside {used >> 20} MiB" if unused < ROOM * used else ""


def _difference(a: Gradients, b: Gradients) -> float:
    """|a - b| / |a| over all gradients together; infinite where one of them is no number."""
    pairs = [
        (one.double(), other.double())
        for one, other in zip(a.parameters.values(), b.parameters.values(), strict=True)
        if one is not None and other is not None
    ]
    apart = sum(float((one - other).square().sum()) for one, other in pairs)
    size = sum(float(one.square().sum()) for one, _ in pairs)
    value = (apart / max(size, 1e-30)) ** 0.5
    return value if value == value else float("inf")
