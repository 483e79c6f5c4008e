"""The training step of several folds as one graph: recorded once, replayed with the samples of each later step."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from automl.data.resident import Resident
from automl.training.cuda_graph import OneByOne, Recorder, Turns, no_waiting
from automl.training.fold import Fold
from automl.training.losses import Loss
from automl.training.serial import find_gradients

AGREEMENT = 0.05  # relative, of gradients: bfloat16 and atomic sums differ by 0.01, another dropout mask by 0.3

RECORDED = (torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW)
"""Optimizers whose step is part of the graph where they are `fused`: only then the learning rate may be a tensor, which
a replay reads anew. Others step outside of it."""


class StepGraph:
    """A recorded step of folds that have full batches.

    What differs from step to step stands in tables on the device, a row for each step: samples, learning rates, the
    weights of moving averages. Each replay takes the next row and writes the folds' outputs into it.

    Args:
        folds: each has taken a step, so that its optimizer has its state. They are afterwards as before.
        resident, loss, precision: as in `serial.train_step`.
        batches: the samples of the step at hand, [b] for each fold.
        step: its number in the folds' next epoch.
        recorder: records it.

    Raises:
        RuntimeError: the step cannot be recorded, or a replay does not compute what the step does.
        torch.OutOfMemoryError: the activations of all folds do not fit into memory together.
    """

    def __init__(
        self,
        folds: Sequence[Fold],
        resident: Resident,
        loss: Loss,
        precision: torch.dtype,
        batches: Sequence[Tensor],
        step: int,
        recorder: Recorder,
    ):
        self.folds = list(folds)
        self._about = resident, loss, precision
        self.updates = all(_is_recorded(fold.optimizer) for fold in folds)
        device, rows = resident.device, max(fold.steps for fold in folds)
        groups = len(folds[0].optimizer.param_groups)
        shape = rows, len(folds)
        exact = torch.float32 if device.type == "cuda" else torch.float64  # fused optimizers on CUDA read float32
        self._row = torch.zeros(1, dtype=torch.int64, device=device)
        self._samples = torch.zeros(*shape, len(batches[0]), dtype=torch.int64, device=device)
        self._rates = torch.zeros(*shape, groups, dtype=exact, device=device)
        self._averaging = torch.zeros(shape, dtype=exact, device=device)
        self._outputs = torch.zeros(*shape, len(batches[0]), resident.num_outputs, device=device)
        self._settings = self._optimizer_settings()
        self._gradients: list[list[Tensor | None]] = [[] for _ in folds]
        self._replay = self._recorded(batches, step, recorder)

    def run(self, batches: Sequence[Sequence[Tensor]], first: int, last: int, tick: Callable[[], None]) -> Tensor:
        """Takes the steps from `first` to before `last` of the folds' next epoch; outputs [steps, folds, b, outputs].

        They are fewer than asked for where a schedule has changed more of its optimizer than the learning rate.

        Args:
            batches: the epoch's samples by fold and step.
            tick: called before each step.
        """
        self._fill([list(own[first:last]) for own in batches])
        if self.updates:
            last = self._plan(first, last)
        for step in range(first, last):
            tick()
            self._replay([fold.step_seed(step) for fold in self.folds])
            if not self.updates:
                for fold, gradients in zip(self.folds, self._gradients, strict=True):
                    for parameter, gradient in zip(_learning(fold), gradients, strict=True):
                        parameter.grad = gradient
                    fold.update(fold.total_step(step))
        return self._outputs[: last - first].clone()

    def _plan(self, first: int, last: int) -> int:
        """Writes down learning rates and weights of averages for these steps; where they end."""
        rates: list[list[list[float]]] = []
        for step in range(first, last):
            if self._optimizer_settings() != self._settings:
                last = step
                break
            rates.append([fold.rates(fold.total_step(step)) for fold in self.folds])
            for fold in self.folds:
                fold.step_schedule()
        averaging = [
            [0.0 if fold.average is None else fold.average.weight(fold.total_step(step)) for fold in self.folds]
            for step in range(first, last)
        ]
        if last > first:
            self._rates[: last - first] = torch.tensor(rates, dtype=torch.float64)
            self._averaging[: last - first] = torch.tensor(averaging, dtype=torch.float64)
        return last

    def _fill(self, batches: Sequence[Sequence[Tensor]]) -> None:
        """Samples into the first rows, from which replays start then."""
        samples = torch.stack([torch.stack(list(own)) for own in batches], 1)
        self._samples[: len(samples)] = samples
        self._row.zero_()

    def _step(self, turns: Turns) -> None:
        """What is recorded."""
        samples, rates, averaging = (
            table.index_select(0, self._row)[0] for table in (self._samples, self._rates, self._averaging)
        )
        for number, fold in enumerate(self.folds):
            with turns.fold(number):
                output = find_gradients(fold, *self._about, samples[number])
                self._outputs[:, number].index_copy_(0, self._row, output[None])
                if self.updates:
                    with _tensor_rates(fold.optimizer, rates[number]):
                        fold.change_weights(averaging[number])
                self._gradients[number] = [parameter.grad for parameter in _learning(fold)]
        turns.join()
        self._row += 1

    def _recorded(self, batches: Sequence[Tensor], step: int, recorder: Recorder) -> Callable[[Sequence[int]], None]:
        """What replays the step. A replay must have computed what the step computes."""
        device = self._row.device
        seeds = [fold.step_seed(step) for fold in self.folds]
        self._rates[0] = torch.tensor([fold.rates(fold.total_step(step)) for fold in self.folds], dtype=torch.float64)
        self._averaging[0] = 0.5  # any weight will do
        with _undone(self.folds):
            self._fill([[own] for own in batches])
            with no_waiting(device):
                self._step(OneByOne(device, seeds))
            expected = self._made()
        with _undone(self.folds):
            replay = recorder.record(lambda: self._step(recorder))
            self._fill([[own] for own in batches])
            replay(seeds)
            found = self._made()
        for what, a, b in zip(("gradients", "weights"), expected, found, strict=True):
            if (difference := _difference(a, b)) > AGREEMENT:
                raise RuntimeError(f"replayed, its {what} differ by {difference:.1e}")
        return replay

    def _made(self) -> tuple[list[Tensor], list[Tensor]]:
        """The gradients, and sizes of the weights, after a step."""
        gradients = [gradient.clone() for own in self._gradients for gradient in own if gradient is not None]
        sizes = [torch.linalg.vector_norm(weight.detach()) for fold in self.folds for weight in _learning(fold)]
        return gradients, sizes

    def _optimizer_settings(self) -> list[dict[str, Any]]:
        """What is fixed in the recorded steps of the optimizers."""
        return [
            {
                key: value
                for key, value in group.items()
                if key != "lr" and isinstance(value, bool | int | float | str | tuple | None)
            }
            for fold in self.folds
            for group in fold.optimizer.param_groups
        ]


def _is_recorded(optimizer: torch.optim.Optimizer) -> bool:
    return type(optimizer) in RECORDED and all(group.get("fused") for group in optimizer.param_groups)


def _learning(fold: Fold) -> list[torch.nn.Parameter]:
    return [parameter for parameter in fold.network.parameters() if parameter.requires_grad]


@contextmanager
def _tensor_rates(optimizer: torch.optim.Optimizer, rates: Tensor) -> Iterator[None]:
    """Within it the optimizer's learning rates are the tensors `rates` [groups]."""
    before = [(group["lr"], group.get("capturable")) for group in optimizer.param_groups]
    for group, rate in zip(optimizer.param_groups, rates, strict=True):
        group["lr"] = rate
        if "capturable" in group:
            group["capturable"] = rate.is_cuda
    try:
        yield
    finally:
        for group, (lr, capturable) in zip(optimizer.param_groups, before, strict=True):
            group["lr"] = lr
            if "capturable" in group:
                group["capturable"] = capturable


@contextmanager
def _undone(folds: Sequence[Fold]) -> Iterator[None]:
    """Leaves all tensors of the folds as they were."""
    tensors = [tensor for fold in folds for tensor in _tensors(fold)]
    before = [tensor.clone() for tensor in tensors]
    try:
        yield
    finally:
        with torch.no_grad():
            for tensor, value in zip(tensors, before, strict=True):
                tensor.copy_(value)


def _tensors(fold: Fold) -> Iterable[Tensor]:
    """All that a step changes."""
    networks = [fold.network] if fold.average is None else [fold.network, fold.average.module]
    for network in networks:
        yield from (tensor.detach() for tensor in (*network.parameters(), *network.buffers()))
    for state in fold.optimizer.state.values():
        yield from (value for value in state.values() if isinstance(value, Tensor))


def _difference(a: Sequence[Tensor], b: Sequence[Tensor]) -> float:
    """|a - b| / |a| over all of them together; infinite where one of them is no number."""

    def size(tensors: Iterable[Tensor]) -> float:
        return math.hypot(*(float(torch.linalg.vector_norm(each, dtype=torch.float64)) for each in tensors))

    value = size(one - other for one, other in zip(a, b, strict=True)) / max(size(a), 1e-30)
    return value if value == value else float("inf")
