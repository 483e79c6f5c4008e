"""The gradients of a stack's step as a CUDA graph: recorded once, replayed with the samples of each later step.

A small network's step is hundreds of kernels of microseconds each, and starting them takes longer than they run. A
graph starts them all at once. Only the forward and backward pass is recorded: samples are drawn and augmented before
it, and the folds' optimizers and schedules, whose learning rates change, step after it.
"""

from __future__ import annotations

import logging
import math
import statistics
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor

log = logging.getLogger("automl.executor")

WORTH = 100  # steps of an epoch; in shorter ones the recording, about ten steps, does not come back soon
TIMED = 3
AGREEMENT = 0.05  # relative, of all gradients: bfloat16 and atomic sums differ by 0.01, another dropout mask by 0.3
SAFE_SINCE = (2, 13)  # an earlier torch cannot draw random numbers any more after a capture that failed


class Gradients(NamedTuple):
    """Of one step: the outputs [folds, b, outputs], and of each parameter the stacked gradient; None: it has none."""

    outputs: Tensor
    parameters: Mapping[str, Tensor | None]


Compute = Callable[[Tensor, Tensor], Gradients]
"""(samples [folds * b, ...], targets [folds * b, ...]) -> their gradients; may change buffers, and draw numbers."""

Recorder = Callable[[Callable[[], Gradients], Sequence[torch.Generator]], tuple[Gradients, Callable[[], None]]]
"""Records a function that draws from these generators: (where its results lie, what replays it into them)."""

Clock = Callable[[torch.device], float]
"""Seconds, after all that the device was asked for is done."""


class StepGraph:
    """A recorded `compute`. The gradients that it returns are overwritten by the next call.

    Args:
        compute: what is recorded. It must do the same in every call, but for its samples, targets and random numbers.
        x, targets: of the step at hand; later ones have the same shapes. It is recorded with others, so that a replay
            with these shows whether it looks at them.
        generators: what `compute` draws from. A replay draws from where they stand. They are left anywhere.
        record: how it is recorded; another one than CUDA's is for tests.
    """

    def __init__(
        self, compute: Compute, x: Tensor, targets: Tensor, generators: Sequence[torch.Generator], record: Recorder
    ):
        self._x, self._targets = x.clone(), targets.clone()
        self._x.copy_(x.flip(0))
        self._targets.copy_(targets.flip(0))
        for generator in generators:
            generator.manual_seed(0)
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
    device = generators[0].device
    graph = torch.cuda.CUDAGraph()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # later versions of torch find the generators by themselves, and say so
        for generator in generators if hasattr(graph, "register_generator_state") else ():
            graph.register_generator_state(generator)
    # The stream of the device, which need not be the current one, and the streams as they were, also after a failure.
    as_it_was = torch.cuda.device(device), torch.cuda.stream(torch.cuda.current_stream(device))
    with as_it_was[0], as_it_was[1], torch.cuda.graph(graph, stream=_capture_stream(device)):
        made = once()
    return made, graph.replay


@cache
def _capture_stream(device: torch.device) -> torch.cuda.Stream:
    """One for each device, for a stream has workspaces of its own."""
    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]


def may_record(device: torch.device, steps: int) -> bool:
    """Whether steps on this device, in epochs of so many, are worth a recording that is safe to try."""
    version = tuple(int(part) for part in torch.__version__.split(".")[:2])
    return device.type == "cuda" and version >= SAFE_SINCE and steps >= WORTH


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
    clock: Clock = now,
) -> StepGraph | None:
    """The graph of a step, where it computes what `compute` does and is quicker; else None, with a logged reason.

    Buffers and generators are afterwards as they were before. Whatever goes wrong is no error: the step is computed as
    before then.
    """
    try:
        return _recorded(compute, x, targets, generators, buffers, record, clock)
    except Exception as error:  # what a network may do during a capture has no end
        log.info("the folds' step is not replayed as a CUDA graph: %s", str(error).partition("\n")[0][:200])
    if x.device.type == "cuda":
        torch.cuda.empty_cache()  # what the graph had for itself
    return None


def _recorded(
    compute: Compute,
    x: Tensor,
    targets: Tensor,
    generators: Sequence[torch.Generator],
    buffers: Sequence[Tensor],
    record: Recorder,
    clock: Clock,
) -> StepGraph:
    """The graph. Raises whatever is wrong with it."""

    def run(step: Compute) -> Gradients:
        with _undone(buffers, generators):
            return step(x, targets)

    def seconds(step: Compute) -> float:
        times = []
        for _ in range(TIMED):
            started = clock(x.device)
            run(step)
            times.append(clock(x.device) - started)
        return statistics.median(times)

    with _no_waiting(x.device):  # a step that waits for the device cannot be recorded
        expected = run(compute)
    eager = seconds(compute)
    if short := _short_of_memory(x.device):
        raise RuntimeError(short)
    with _undone(buffers, generators):
        graph = StepGraph(compute, x, targets, generators, record)
    if (difference := _difference(expected, run(graph))) > AGREEMENT:
        raise RuntimeError(f"its gradients differ by {difference:.1e}")
    if (replayed := seconds(graph)) >= eager:
        raise RuntimeError(f"it takes {replayed * 1e3:.2g} ms, the step {eager * 1e3:.2g} ms")
    return graph


@contextmanager
def _undone(buffers: Sequence[Tensor], generators: Sequence[torch.Generator]) -> Iterator[None]:
    """Leaves buffers and generators as they were."""
    before = [buffer.clone() for buffer in buffers], [generator.get_state() for generator in generators]
    try:
        yield
    finally:
        for buffer, value in zip(buffers, before[0], strict=True):
            buffer.copy_(value)
        for generator, state in zip(generators, before[1], strict=True):
            generator.set_state(state)


@contextmanager
def _no_waiting(device: torch.device) -> Iterator[None]:
    """What waits for the device raises."""
    if device.type != "cuda":
        yield
        return
    mode = torch.cuda.get_sync_debug_mode()
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode(mode)


def _short_of_memory(device: torch.device) -> str:
    """Why there is no room for a graph, which keeps its activations for itself: they lie in the cache now."""
    if device.type != "cuda":
        return ""
    free, cached = torch.cuda.mem_get_info(device)[0], torch.cuda.memory_reserved(device)
    return f"{free >> 20} MiB are free beside {cached >> 20} MiB" if free < cached else ""


def _difference(a: Gradients, b: Gradients) -> float:
    """|a - b| / |a| over all gradients together; infinite where one of them is no number."""

    def size(tensors: Iterator[Tensor]) -> float:
        return math.hypot(*(float(torch.linalg.vector_norm(each, dtype=torch.float64)) for each in tensors))

    pairs = [
        (one, other)
        for one, other in zip(a.parameters.values(), b.parameters.values(), strict=True)
        if one is not None and other is not None
    ]
    value = size(one - other for one, other in pairs) / max(size(one for one, _ in pairs), 1e-30)
    return value if value == value else float("inf")
