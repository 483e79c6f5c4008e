"""The fused executor: the folds of a trial as one stacked model, trained by one program through `torch.func`.

Parameters and buffers of the folds are slices of stacked tensors [folds, ...]. One vmapped pass computes the outputs of
all folds; each fold keeps its own optimizer, schedule and seeds, so that it learns what it would learn alone. A step in
which they do not all do the same, such as the last one of an epoch where one fold has a larger batch, is taken fold by
fold.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.func import functional_call

from automl.data.resident import Resident
from automl.training.fold import Fold
from automl.training.fold_dropout import FoldDropout
from automl.training.losses import Loss, training_loss
from automl.training.seeds import forked, seed_torch, state_of_torch
from automl.training.serial import autocast, evaluation_batch, train_step
from automl.training.serial import evaluate as evaluate_alone
from automl.training.step_graph import Gradients, StepGraph, may_record, recorded


class Stack:
    """Folds that advance together, with their parameters and buffers as slices of stacked tensors.

    Making one copies the folds' tensors; from then on the folds' own networks see every change of the stack and the
    other way round. Folds of another stack may join: the tensors are copied again.
    """

    def __init__(self, folds: Sequence[Fold]):
        self.folds = list(folds)
        self.network = folds[0].network  # its tensors are replaced in every pass; what counts is its program
        self.parameters = self._share([dict(fold.network.named_parameters()) for fold in folds])
        self.buffers = self._share([dict(fold.network.named_buffers()) for fold in folds])
        for name, parameter in self.network.named_parameters():
            self.parameters[name].requires_grad_(parameter.requires_grad)
        self.touched = False  # whether a fold has taken a step, which cannot be undone
        self.warm_up = max(fold.batch_norm_warm_up.steps for fold in folds)  # steps with another momentum each
        self._untouched = {name: buffer.clone() for name, buffer in self.buffers.items()}
        device = folds[0].train.device
        self.numbers = torch.arange(len(folds), device=device)
        self.generators = [torch.Generator(device) for _ in folds]  # of dropout, where augmentation left them
        self.graph: StepGraph | None = None
        self._asked_for_graph = False
        norms = [fold.normalisation for fold in folds]
        self.mean, self.std = (torch.stack([getattr(n, name) for n in norms]) for name in ("mean", "std"))

    def undo(self) -> None:
        """Takes back what a step has done that ran out of memory before any fold was `touched`: running statistics."""
        for name, buffer in self.buffers.items():
            buffer.copy_(self._untouched[name])

    @staticmethod
    def _share(tensors: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
        """The folds' tensors, stacked; afterwards each of them is a slice of the stack, with its own strides."""
        stacked = {}
        for name, first in tensors[0].items():
            size, stride = (len(tensors), *first.shape), (max(1, first.numel()), *first.stride())
            stacked[name] = torch.empty_strided(size, stride, dtype=first.dtype, device=first.device)
            for part, own in zip(stacked[name], (each[name] for each in tensors), strict=True):
                part.copy_(own.detach())
                own.data = part
        return stacked

    def forward(self, x: Tensor, dropout: FoldDropout | None = None) -> Any:
        """What the network returns on raw samples [folds, b, ...], with the folds as the first dimension."""
        x = ((x.to(torch.float32) - self.mean) / self.std).to(self.folds[0].dtype)

        def one(parameters: dict[str, Tensor], buffers: dict[str, Tensor], x: Tensor, number: Tensor) -> Any:
            if dropout is not None:
                dropout.number = number
            return functional_call(self.network, (parameters, buffers), (x,))

        # `same`: FoldDropout draws masks inside the pass; anything else that is random is found by the probe.
        together = torch.vmap(one, in_dims=(0, 0, 0, 0), randomness="same")
        return together(self.parameters, self.buffers, x, self.numbers)

    def can_step(self, indices: Sequence[Tensor], step: int) -> bool:
        """Whether the folds that have a batch for this step are all of them, and do the same in it: with batches of one
        size, and one momentum of BatchNorm.
        """
        if len(indices) < len(self.folds) or len({len(index) for index in indices}) > 1:
            return False
        total_steps = {fold.total_step(step) for fold in self.folds}
        return len(total_steps) == 1 or min(total_steps) >= self.warm_up

    def step(
        self, resident: Resident, loss: Loss, precision: torch.dtype, indices: Sequence[Tensor], step: int
    ) -> Tensor:
        """Step number `step` of every fold's next epoch, on its own samples `indices` [b]; the outputs
        [folds, b, outputs].
        """
        total_steps = [fold.total_step(step) for fold in self.folds]
        x, y = resident.batch(torch.cat(list(indices)))
        x, targets = self._augmented(x, y, resident, loss, step)
        for fold, total_step in zip(self.folds, total_steps, strict=True):
            fold.batch_norm_warm_up(total_step)
        if step == 0 and not self._asked_for_graph and self.may_be_recorded(min(total_steps)):
            self._asked_for_graph = True
            self.graph = self.record(x, targets, precision)
        if self.graph is not None and self.graph.fits(x, targets):
            made = self.graph(x, targets)
        else:
            made = self.gradients(x, targets, precision)
        self.touched = True
        for number, (fold, total_step) in enumerate(zip(self.folds, total_steps, strict=True)):
            for name, parameter in fold.network.named_parameters():
                gradient = made.parameters[name]
                parameter.grad = None if gradient is None else gradient[number]
            fold.update(total_step)
        return made.outputs

    def gradients(self, x: Tensor, targets: Tensor, precision: torch.dtype) -> Gradients:
        """Outputs and gradients for the folds' samples [folds * b, ...] and targets; steps nothing."""
        count = len(self.folds)
        with autocast(x.device, precision), FoldDropout(self.generators, self.folds[0].layout) as dropout:
            output = self.forward(x.reshape(count, -1, *x.shape[1:]), dropout)
        minimised, outputs = self._losses(output, torch.split(targets, len(x) // count))
        learning = {name: parameter for name, parameter in self.parameters.items() if parameter.requires_grad}
        found = torch.autograd.grad(minimised, list(learning.values()), allow_unused=True)
        # In the memory layout of the parameters, for optimizers' kernels walk both in the order of memory.
        own = {name: _laid_out(gradient, learning[name]) for name, gradient in zip(learning, found, strict=True)}
        return Gradients(torch.stack(outputs).detach().float(), {**dict.fromkeys(self.parameters), **own})

    def may_be_recorded(self, step: int) -> bool:
        """Whether step number `step` can be a CUDA graph: it does what all later ones do, and many are to come."""
        return step >= self.warm_up and may_record(self.numbers.device, self.folds[0].steps)

    def record(self, x: Tensor, targets: Tensor, precision: torch.dtype) -> StepGraph | None:
        """The graph of `gradients`; None where it cannot be or does not pay."""
        compute = partial(self.gradients, precision=precision)
        return recorded(compute, x, targets, self.generators, list(self.buffers.values()))

    def _augmented(self, x: Tensor, y: Tensor, resident: Resident, loss: Loss, step: int) -> tuple[Tensor, Tensor]:
        """Samples and targets of all folds after augmentation; the folds' generators go on from there.

        Each fold draws with the seed that it has alone; what was drawn is applied to the whole stack at once.
        """
        augmentation = self.folds[0].augmentation  # the folds of a trial have the same
        batch = len(y) // len(self.folds)
        parts, targets, draws = [], [], []
        samples = zip(self.folds, self.generators, torch.split(x, batch), torch.split(y, batch), strict=True)
        for fold, generator, images, own in samples:
            seed_torch(fold.step_seed(step), resident.device)
            parts.append(augmentation.transform(images))
            targets.append(loss.normalise_targets(own, fold.normalisation))
            draws.append(augmentation.draw(parts[-1]))
            generator.set_state(state_of_torch(resident.device))
        x = x if augmentation.function is None else torch.cat(parts)
        drawn = {name: torch.cat([each[name] for each in draws]) for name in draws[0]}
        classes = resident.num_outputs if resident.classification else None
        return augmentation.apply(x, torch.cat(targets), classes, drawn, len(self.folds))

    def _losses(self, output: Any, targets: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """(the sum of what each fold minimises, the outputs [b, outputs] of each fold)."""
        pairs = []
        for number, (fold, y) in enumerate(zip(self.folds, targets, strict=True)):
            own = tuple(each[number] for each in output) if isinstance(output, tuple) else output[number]
            pairs.append(training_loss(fold.criterion, self.network, own, y))
        return torch.stack([minimised for minimised, _ in pairs]).sum(), [own for _, own in pairs]


def _laid_out(gradient: Tensor | None, parameter: Tensor) -> Tensor | None:
    """The gradient with the strides of its parameter."""
    if gradient is None or gradient.stride() == parameter.stride():
        return gradient
    return torch.empty_like(parameter).copy_(gradient)


def train_epoch(
    stack: Stack, resident: Resident, loss: Loss, metric: str, precision: torch.dtype, tick: Callable[[], None]
) -> list[tuple[float, float]]:
    """Trains all folds of the stack for one epoch; for each (train loss, train metric) as `serial.train_epoch`."""
    folds = stack.folds
    outputs: list[list[Tensor]] = [[] for _ in folds]
    for fold in folds:
        fold.network.train()
    with forked(resident.device):
        batches = [fold.batches() for fold in folds]
        for step in range(max(len(own) for own in batches)):
            tick()
            indices = [own[step] for own in batches if step < len(own)]
            if stack.can_step(indices, step):
                made = stack.step(resident, loss, precision, indices, step)
                for mine, output in zip(outputs, made, strict=True):
                    mine.append(output)
                continue
            stack.touched = True
            for fold, own, mine in zip(folds, batches, outputs, strict=True):
                if step < len(own):
                    mine.append(train_step(fold, resident, loss, precision, own[step], step))
    for fold in folds:
        fold.epochs += 1
    return [
        loss.score(torch.cat(mine), resident.y[torch.cat(own)], fold.normalisation, metric)
        for fold, own, mine in zip(folds, batches, outputs, strict=True)
    ]


@torch.no_grad()
def evaluate(
    stack: Stack, resident: Resident, loss: Loss, metric: str, precision: torch.dtype
) -> list[tuple[float, float]]:
    """(validation loss, validation metric) of every fold; shorter validation parts are padded and cut again."""
    folds = stack.folds
    if any(fold.average is not None for fold in folds):  # the averages are not stacked
        return [evaluate_alone(fold, resident, loss, metric, precision) for fold in folds]
    for fold in folds:
        fold.network.eval()
    longest = max(len(fold.validation) for fold in folds)
    padded = torch.stack([F.pad(fold.validation, (0, longest - len(fold.validation))) for fold in folds])
    outputs = []
    for part in torch.split(padded, evaluation_batch(resident.device), 1):
        x, _ = resident.batch(part.flatten())
        with autocast(resident.device, precision):
            outputs.append(stack.forward(x.reshape(len(folds), -1, *x.shape[1:])).float())
    output = torch.cat(outputs, 1)
    return [
        loss.score(own[: len(fold.validation)], resident.y[fold.validation], fold.normalisation, metric)
        for fold, own in zip(folds, output, strict=True)
    ]
