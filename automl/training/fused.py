"""The fused executor: a step of all folds that advance together is one CUDA graph.

Each fold keeps its own network, optimizer, schedule and seeds, so that it learns what it would learn alone. Steps that
are not like the others are taken fold by fold: the first ones, while BatchNorm warms up, and one with a smaller batch.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from automl.data.resident import Resident
from automl.training.cuda_graph import CudaRecorder, Recorder
from automl.training.fold import Fold
from automl.training.losses import Loss
from automl.training.seeds import forked
from automl.training.serial import train_step
from automl.training.step_graph import StepGraph

log = logging.getLogger("automl.executor")

WORTH = 6  # steps ahead; a recording costs about three

MakeRecorder = Callable[[torch.device, int], Recorder]
"""Called with the device and the number of folds."""


class FoldGroup:
    """Folds that advance together, and the graph of their step.

    Args:
        folds: of one trial, with equally many epochs behind them.
        resident, loss, precision: as in `serial.train_step`.
        make_recorder: records the step; another one than CUDA's is for tests.
    """

    def __init__(
        self,
        folds: Sequence[Fold],
        resident: Resident,
        loss: Loss,
        precision: torch.dtype,
        make_recorder: MakeRecorder = CudaRecorder,
    ):
        self.folds = list(folds)
        self.about = resident, loss, precision
        self.graph: StepGraph | None = None
        self.reason = ""  # why there is no graph
        self.out_of_memory = False  # whether that is the reason
        self._make_recorder = make_recorder
        self._warm_up = max(1, *(fold.batch_norm_warm_up.steps for fold in folds))

    def train_epoch(self, metric: str, tick: Callable[[], None]) -> list[tuple[float, float]]:
        """Trains all folds for one epoch; for each (train loss, train metric) as `serial.train_epoch`."""
        resident, loss, _ = self.about
        for fold in self.folds:
            fold.network.train()
        outputs: list[list[Tensor]] = [[] for _ in self.folds]
        with forked(resident.device):
            batches = [fold.batches() for fold in self.folds]
            step, steps = 0, max(len(own) for own in batches)
            while step < steps:
                made = self._replay(batches, step, tick)
                if not len(made):
                    tick()
                    self._take(batches, step, outputs)
                for own, output in zip(outputs, made.unbind(1) if len(made) else (), strict=False):
                    own.append(output.flatten(0, 1))
                step += max(1, len(made))
        for fold in self.folds:
            fold.epochs += 1
        return [
            loss.score(torch.cat(output), resident.y[torch.cat(own)], fold.normalisation, metric)
            for fold, own, output in zip(self.folds, batches, outputs, strict=True)
        ]

    def _take(self, batches: Sequence[Sequence[Tensor]], step: int, outputs: Sequence[list[Tensor]]) -> None:
        """The step, fold by fold."""
        for fold, own, output in zip(self.folds, batches, outputs, strict=True):
            if step < len(own):
                output.append(self._take_alone(fold, own[step], step))

    def _take_alone(self, fold: Fold, index: Tensor, step: int) -> Tensor:
        """The fold's step; where there is no room for it beside the graph, that goes."""
        try:
            return train_step(fold, *self.about, index, step)
        except torch.OutOfMemoryError as error:
            if self.graph is None:
                raise
            traceback.clear_frames(error.__traceback__)
        self._give_up(f"there is no room for another step beside the graph of {len(self.folds)} folds", full=True)
        return train_step(fold, *self.about, index, step)

    def _replay(self, batches: Sequence[Sequence[Tensor]], step: int, tick: Callable[[], None]) -> Tensor:
        """Takes the steps from `step` on that can be replayed; outputs [steps, folds, b, outputs], of none maybe."""
        none = torch.empty(0)
        last = self._last(batches, step)
        if last == step or self.reason:
            return none
        if self.graph is None:
            if last - step < WORTH and not self.folds[0].epochs:
                return none
            self._record([own[step] for own in batches], step)
        return none if self.graph is None else self._run(batches, step, last, tick)

    def _run(self, batches: Sequence[Sequence[Tensor]], first: int, last: int, tick: Callable[[], None]) -> Tensor:
        assert self.graph is not None
        made = self.graph.run(batches, first, last, tick)
        if len(made) < last - first:
            self._give_up("the schedule changes more than the learning rate")
        return made

    def _last(self, batches: Sequence[Sequence[Tensor]], step: int) -> int:
        """Where the steps that are alike end which begin with `step`: all folds have a full batch in them."""
        last, size = step, len(batches[0][0])
        if min(fold.total_step(step) for fold in self.folds) < self._warm_up:
            return step
        while all(last < len(own) and len(own[last]) == size for own in batches):
            last += 1
        return last

    def _record(self, batches: Sequence[Tensor], step: int) -> None:
        """Makes the graph, or says why there is none. Whatever goes wrong is no error: folds are trained one by one."""
        recorder = self._make_recorder(self.about[0].device, len(self.folds))
        try:
            self.graph = StepGraph(self.folds, *self.about, batches, step, recorder)
            return
        except torch.OutOfMemoryError as error:
            traceback.clear_frames(error.__traceback__)  # they hold the activations that did fit
            reason, full = f"the activations of {len(self.folds)} folds do not fit into memory together", True
        except Exception as error:  # what a network may do during a recording has no end
            traceback.clear_frames(error.__traceback__)
            reason, full = f"the step cannot be a CUDA graph: {str(error).strip().partition(chr(10))[0][:200]}", False
        self._give_up(reason, full=full)

    def _give_up(self, reason: str, *, full: bool = False) -> None:
        """There is no graph any more, and what it had of the memory is free; `full`: for that was too little."""
        self.graph, self.reason, self.out_of_memory = None, reason, full
        log.info("folds are trained one after the other: %s", reason)
        for fold in self.folds:
            fold.optimizer.zero_grad()  # gradients may lie in the graph's memory
        if self.about[0].device.type == "cuda":
            torch.cuda.empty_cache()
