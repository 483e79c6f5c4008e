"""Trains folds that advance together: stacked where that was asked for and works, else one after the other."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from automl.data.augment import BatchAugmentation
from automl.data.resident import Resident
from automl.training import fused, serial
from automl.training.fold import Fold, build_fold
from automl.training.fold_dropout import FoldDropout
from automl.training.losses import Loss
from automl.training.recipe import FoldSamples, Recipe
from automl.training.seeds import forked

log = logging.getLogger("automl.executor")

Scores = tuple[float, float]
"""(loss, metric) of an epoch."""

NOT_ASKED = "not asked for"
PROBED = 4  # samples of the probe's batch
AGREEMENT = 1e-6  # relative, in float64: what cannot be stacked is off by orders of magnitude


class Executor:
    """One trial's way of training its folds.

    Args:
        resident, loss, metric, precision: as in `TrialRun`.
        tick: called before each batch.
        reason: why the folds are trained one after the other; "": they are stacked.
    """

    def __init__(
        self,
        resident: Resident,
        loss: Loss,
        metric: str,
        precision: torch.dtype,
        tick: Callable[[], None],
        reason: str,
    ):
        self.how = (resident, loss, metric, precision)
        self.tick = tick
        self.reason = reason
        self.largest: int | None = None  # folds that fit into the device's memory together
        self._stacks: dict[tuple[int, ...], fused.Stack] = {}

    @property
    def name(self) -> str:
        """`fused` or `serial`."""
        return "serial" if self.reason else "fused"

    @property
    def replays(self) -> bool:
        """Whether the step of every stack at hand is replayed as a CUDA graph."""
        return bool(self._stacks) and all(stack.graph is not None for stack in self._stacks.values())

    def train(self, folds: Sequence[Fold]) -> list[Scores]:
        """(train loss, train metric) of each fold in its next epoch; all have equally many epochs behind them."""
        if self.reason or len(folds) == 1:
            return [serial.train_epoch(fold, *self.how, self.tick) for fold in folds]
        scores: list[Scores] = []
        while len(scores) < len(folds):
            stack = self._stack(folds[len(scores) :][: self.largest])
            try:
                scores += fused.train_epoch(stack, *self.how, self.tick)
            except torch.OutOfMemoryError:
                if stack.touched or len(stack.folds) == 1:
                    raise
                stack.undo()
                self.release()
                self.largest = (len(stack.folds) + 1) // 2
                log.info("%d folds do not fit into memory together; trying %d", len(stack.folds), self.largest)
        return scores

    def evaluate(self, folds: Sequence[Fold]) -> list[Scores]:
        """(validation loss, validation metric) of each fold."""
        if self.reason or len(folds) == 1:
            return [serial.evaluate(fold, *self.how) for fold in folds]
        scores: list[Scores] = []
        while len(scores) < len(folds):
            stack = self._stack(folds[len(scores) :][: self.largest])
            scores += fused.evaluate(stack, *self.how)
        return scores

    def release(self) -> None:
        """Lets the stacks go; the folds keep their tensors."""
        self._stacks.clear()
        if self.how[0].device.type == "cuda":
            torch.cuda.empty_cache()

    def _stack(self, folds: Sequence[Fold]) -> fused.Stack:
        """The stack of these folds. A fold is in one stack only: its tensors are slices of that one."""
        key = tuple(fold.number for fold in folds)
        if key not in self._stacks or self._stacks[key].folds != list(folds):
            self._stacks = {k: stack for k, stack in self._stacks.items() if not set(k) & set(key)}
            self._stacks[key] = fused.Stack(folds)
        return self._stacks[key]


def why_not_stacked(recipe: Recipe, resident: Resident, loss: Loss, samples: Sequence[FoldSamples], seed: int) -> str:
    """Why folds of this recipe cannot be stacked; "" when they can: found by trying.

    Two folds take a step on a few samples, stacked and alone, in float64. What torch.func cannot do raises; what it
    does differently, such as random numbers that it does not know, shows in the weights.
    """
    if len(samples) < 2:
        return "there is one fold only"
    try:
        alone, together = (
            [_probed(recipe, resident, loss, samples[number], number, seed) for number in range(2)] for _ in range(2)
        )
        indices = [fold.train[:PROBED] for fold in together]
        for fold, index in zip(alone, indices, strict=True):
            generator = torch.Generator(resident.device)
            generator.manual_seed(fold.step_seed(0))
            with forked(resident.device), FoldDropout([generator], fold.layout):
                serial.train_step(fold, resident, loss, torch.float64, index, 0)
        with forked(resident.device):
            fused.Stack(together).step(resident, loss, torch.float64, indices, 0)
    except Exception as error:  # anything may go wrong in a plugin's network under vmap; memory may run out, too
        return f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0][:200]}"
    worst = max(_difference(a, b) for a, b in zip(alone, together, strict=True))
    return "" if worst <= AGREEMENT else f"stacked, a step differs by {worst:.1e} from the step alone"


def _probed(recipe: Recipe, resident: Resident, loss: Loss, samples: FoldSamples, number: int, seed: int) -> Fold:
    """A fold for the probe, in float64 and without augmentation, which is stacked in another way."""
    fold = build_fold(recipe, resident, loss, *samples, number=number, seed=seed + number)
    fold.network.double().train()
    if fold.average is not None:
        fold.average.double()
    fold.dtype = torch.float64
    fold.augmentation = BatchAugmentation()
    return fold


def _difference(a: Fold, b: Fold) -> float:
    """The worst relative difference between the folds' tensors, NaN counting as infinite."""

    def of(x: Tensor, y: Tensor) -> float:
        scale = x.abs().max().clamp_min(1e-3) if x.numel() else 1.0
        value = float(((x - y).abs() / scale).max()) if x.numel() else 0.0
        return value if value == value else float("inf")

    ours, theirs = a.network.state_dict(), b.network.state_dict()
    return max((of(ours[name].double(), theirs[name].double()) for name in ours), default=0.0)
