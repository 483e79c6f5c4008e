"""Trains folds that advance together: fused on a GPU, else one after the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from automl.data.resident import Resident
from automl.training import serial
from automl.training.cuda_graph import CudaRecorder
from automl.training.fold import Fold
from automl.training.fused import FoldGroup, MakeRecorder
from automl.training.losses import Loss

Scores = tuple[float, float]
"""(loss, metric) of an epoch."""

NOT_ASKED = "not asked for"
NO_GRAPHS = "a CPU has no CUDA graphs"


class Executor:
    """One trial's way of training its folds.

    Args:
        resident, loss, metric, precision: as in `TrialRun`.
        tick: called before each batch.
        fused: whether the folds' steps shall be CUDA graphs.
        make_recorder: records them; tests on a CPU have one.
    """

    def __init__(
        self,
        resident: Resident,
        loss: Loss,
        metric: str,
        precision: torch.dtype,
        tick: Callable[[], None],
        fused: bool,
        make_recorder: MakeRecorder | None = None,
    ):
        self.about = resident, loss, precision
        self.metric = metric
        self.tick = tick
        if make_recorder is None and resident.device.type == "cuda":
            make_recorder = CudaRecorder
        self._make_recorder = make_recorder
        self.reason = NOT_ASKED if not fused else NO_GRAPHS if make_recorder is None else ""
        self.largest: int | None = None  # folds that fit into the device's memory together
        self._groups: list[FoldGroup] = []

    @property
    def name(self) -> str:
        """`fused` or `serial`."""
        return "serial" if self.reason else "fused"

    @property
    def replays(self) -> bool:
        """Whether the steps of all folds at hand are replayed."""
        return bool(self._groups) and all(group.graph is not None for group in self._groups)

    def train(self, folds: Sequence[Fold]) -> list[Scores]:
        """(train loss, train metric) of each fold in its next epoch; all have equally many epochs behind them."""
        if self.reason:
            return [serial.train_epoch(fold, *self.about, self.metric, self.tick) for fold in folds]
        scores: list[Scores] = []
        while len(scores) < len(folds):
            group = self._group(folds[len(scores) :][: self.largest])
            scores += group.train_epoch(self.metric, self.tick)
            if group.out_of_memory and len(group.folds) > 1:
                self.largest = (len(group.folds) + 1) // 2  # from the next epoch on
            elif group.reason:
                self.reason = group.reason
        return scores

    def evaluate(self, folds: Sequence[Fold]) -> list[Scores]:
        """(validation loss, validation metric) of each fold."""
        return [serial.evaluate(fold, *self.about, self.metric) for fold in folds]

    def release(self) -> None:
        """Lets the graphs go; the folds keep their tensors."""
        self._groups.clear()
        if self.about[0].device.type == "cuda":
            torch.cuda.empty_cache()

    def _group(self, folds: Sequence[Fold]) -> FoldGroup:
        """The group of these folds; those of other groups that share a fold with it are let go."""
        for group in self._groups:
            if len(group.folds) == len(folds) and all(a is b for a, b in zip(group.folds, folds, strict=True)):
                return group
        assert self._make_recorder is not None
        made = FoldGroup(folds, *self.about, self._make_recorder)
        self._groups = [group for group in self._groups if not set(map(id, group.folds)) & set(map(id, folds))]
        self._groups.append(made)
        return made
