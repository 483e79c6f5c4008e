"""The fused executor: the folds of a trial as one stacked model, trained by one program through `torch.func`.

Parameters and buffers of the folds are slices of stacked tensors [folds, ...]. One vmapped pass computes the outputs of
all folds; each fold keeps its own optimizer, schedule and seeds, so that it learns what it would learn alone. A step in
which the folds' batches differ in size, which only the last one of an epoch can, is taken fold by fold.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.func import functional_call
from torch.overrides import TorchFunctionMode

from automl.data.resident import Resident
from automl.training.fold import Fold
from automl.training.losses import Loss, training_loss
from automl.training.seeds import seed_torch
from automl.training.serial import autocast, evaluation_batch, train_step
from automl.training.serial import evaluate as evaluate_alone

DROPOUTS = (F.dropout, F.dropout1d, F.dropout2d, F.dropout3d)


class FoldDropout(TorchFunctionMode):
    """Lets dropout inside a vmapped pass draw each fold's mask from that fold's own generator.

    A mask is drawn as torch does on a CPU for images in `layout`, so that a fold drops what it would drop alone.
    `number` is the fold's number inside the pass, a batched scalar; None outside of one, where there is one generator.
    """

    def __init__(self, generators: Sequence[torch.Generator], layout: torch.memory_format = torch.contiguous_format):
        super().__init__()
        self.generators = generators
        self.layout = layout
        self.number: Tensor | None = None

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Takes over dropout; everything else goes its way."""
        if func in DROPOUTS:
            return self._drop(func, *args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))

    def _drop(
        self, func: Callable[..., Any], input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
    ) -> Tensor:
        if not training or p == 0:
            return input
        channels = func is not F.dropout  # whole channels [b, c, 1, ...] are dropped
        shape = (*input.shape[:2], *[1] * (input.ndim - 2)) if channels else tuple(input.shape)
        layout = self.layout if len(shape) == 4 else torch.contiguous_format
        empty = [torch.empty(shape, dtype=input.dtype, device=g.device, memory_format=layout) for g in self.generators]
        masks = torch.stack(
            [mask.bernoulli_(1 - p, generator=g) for mask, g in zip(empty, self.generators, strict=True)]
        )
        masks = masks.div_(1 - p) if p < 1 else masks
        return input * (masks[0] if self.number is None else masks[self.number])


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
        self.steps = 0
        self._untouched = {name: buffer.clone() for name, buffer in self.buffers.items()}
        self.numbers = torch.arange(len(folds), device=folds[0].train.device)
        norms = [fold.normalisation for fold in folds]
        self.mean, self.std = (torch.stack([getattr(n, name) for n in norms]) for name in ("mean", "std"))

    def undo(self) -> None:
        """Takes back what a first step that ran out of memory has done: running statistics, nothing else."""
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

    def step(
        self, resident: Resident, loss: Loss, precision: torch.dtype, indices: Sequence[Tensor], step: int, steps: int
    ) -> Tensor:
        """One step of every fold on its own samples `indices` [b]; the outputs [folds, b, outputs]."""
        total_step = self.folds[0].epochs * steps + step
        x, y = resident.batch(torch.cat(list(indices)))
        x, targets, generators = self._augmented(x, y, resident, loss, step)
        for fold in self.folds:
            fold.batch_norm_warm_up(total_step)
        with autocast(resident.device, precision), FoldDropout(generators, self.folds[0].layout) as dropout:
            output = self.forward(x.reshape(len(self.folds), -1, *x.shape[1:]), dropout)
        minimised, outputs = self._losses(output, torch.split(targets, len(indices[0])))
        for parameter in self.parameters.values():
            parameter.grad = None
        minimised.backward()  # type: ignore[no-untyped-call]
        for number, fold in enumerate(self.folds):
            for name, parameter in fold.network.named_parameters():
                gradient = self.parameters[name].grad
                parameter.grad = None if gradient is None else gradient[number]
            fold.update(total_step)
        self.steps += 1
        return torch.stack(outputs).detach().float()

    def _augmented(
        self, x: Tensor, y: Tensor, resident: Resident, loss: Loss, step: int
    ) -> tuple[Tensor, Tensor, list[torch.Generator]]:
        """Samples and targets of all folds after augmentation, and for each fold the generator that goes on from there.

        Each fold draws with the seed that it has alone; what was drawn is applied to the whole stack at once.
        """
        augmentation = self.folds[0].augmentation  # the folds of a trial have the same
        batch = len(y) // len(self.folds)
        parts, targets, draws, generators = [], [], [], []
        for fold, images, own in zip(self.folds, torch.split(x, batch), torch.split(y, batch), strict=True):
            seed_torch(fold.step_seed(step), resident.device)
            parts.append(augmentation.transform(images))
            targets.append(loss.normalise_targets(own, fold.normalisation))
            draws.append(augmentation.draw(parts[-1]))
            generators.append(_continued(resident.device))
        x = x if augmentation.function is None else torch.cat(parts)
        drawn = {name: torch.cat([each[name] for each in draws]) for name in draws[0]}
        classes = resident.num_outputs if resident.classification else None
        x, y = augmentation.apply(x, torch.cat(targets), classes, drawn, len(self.folds))
        return x, y, generators

    def _losses(self, output: Any, targets: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """(the sum of what each fold minimises, the outputs [b, outputs] of each fold)."""
        pairs = []
        for number, (fold, y) in enumerate(zip(self.folds, targets, strict=True)):
            own = tuple(each[number] for each in output) if isinstance(output, tuple) else output[number]
            pairs.append(training_loss(fold.criterion, self.network, own, y))
        return torch.stack([minimised for minimised, _ in pairs]).sum(), [own for _, own in pairs]


def _continued(device: torch.device) -> torch.Generator:
    """A generator that goes on where torch's own stands."""
    generator = torch.Generator(device)
    state = torch.cuda.get_rng_state(device) if device.type == "cuda" else torch.get_rng_state()
    generator.set_state(state)
    return generator


def train_epoch(
    stack: Stack, resident: Resident, loss: Loss, metric: str, precision: torch.dtype, tick: Callable[[], None]
) -> list[tuple[float, float]]:
    """Trains all folds of the stack for one epoch; for each (train loss, train metric) as `serial.train_epoch`."""
    folds = stack.folds
    outputs: list[list[Tensor]] = [[] for _ in folds]
    for fold in folds:
        fold.network.train()
    devices = [resident.device] if resident.device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        batches = [fold.batches() for fold in folds]
        steps = {len(own) for own in batches}
        for step in range(max(steps)):
            tick()
            indices = [own[step] for own in batches if step < len(own)]
            if len(indices) == len(folds) and len(steps) == 1 and len({len(index) for index in indices}) == 1:
                for own, output in zip(
                    outputs, stack.step(resident, loss, precision, indices, step, *steps), strict=True
                ):
                    own.append(output)
                continue
            for fold, own, mine in zip(folds, batches, outputs, strict=True):
                if step < len(own):
                    mine.append(train_step(fold, resident, loss, precision, own[step], step, len(own)))
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
