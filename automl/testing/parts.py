"""Examines optimizers, schedules, augmentations and data sets: does each do what a training asks of it?"""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from automl.data.augmentation.augment import BatchAugmentation
from automl.data.augmentation.policy import Policy
from automl.data.sources.load import load
from automl.hooks.configs import corner_configs, random_config_list
from automl.hooks.declarations import Architecture, Augmentation, DatasetSource, Declaration, Optimizer, Schedule
from automl.spaces.parameters import Scalar
from automl.testing.architectures import examine
from automl.testing.check import Check, Failure, explain

STEPS = 4
EPOCHS = 5
LR = 1e-3


def examine_any(
    declaration: Declaration,
    input_shape: tuple[int, ...] = (1, 28, 28),
    num_outputs: int = 10,
    *,
    random_configs: int = 20,
    seed: int = 0,
) -> list[Check]:
    """One `Check` for each corner of the search space and for `random_configs` random configs, of any declaration.

    An architecture as in `examine`, for samples of `input_shape` and `num_outputs`. An optimizer must move every weight
    to finite values, and go on from its saved state as if it had never stopped; so must a schedule, whose learning
    rates are finite and not negative. An augmentation gives finite images of the same shape, the same ones for the
    same seed. A data set is loaded, as by a search.
    """
    if isinstance(declaration, Architecture):
        return examine(declaration, input_shape, num_outputs, random_configs=random_configs, seed=seed)
    if isinstance(declaration, DatasetSource):
        return [_checked(declaration, {}, lambda _: _check_dataset(declaration))]
    kinds: dict[type[Declaration], Callable[[Any, Mapping[str, Scalar]], None]] = {
        Optimizer: _check_optimizer,
        Schedule: _check_schedule,
        Augmentation: lambda part, config: _check_augmentation(part, config, input_shape),
    }
    check = kinds[type(declaration)]
    configs = corner_configs(declaration.parameters, seed=seed)
    configs += [c for c in random_config_list(declaration.parameters, random_configs, seed) if c not in configs]
    with torch.random.fork_rng(devices=[]):
        return [_checked(declaration, config, lambda config: check(declaration, config)) for config in configs]


def _checked(
    declaration: Declaration, config: Mapping[str, Scalar], check: Callable[[Mapping[str, Scalar]], None]
) -> Check:
    start = time.perf_counter()
    try:
        check(config)
    except Exception as error:  # whatever a plugin raises is what is reported
        return Check(config, "failed", explain(error, declaration), seconds=time.perf_counter() - start)
    return Check(config, "ok", trained=not isinstance(declaration, DatasetSource), seconds=time.perf_counter() - start)


def _network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 8, bias=False), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3))


def _check_optimizer(optimizer: Optimizer, config: Mapping[str, Scalar]) -> None:
    network, made = _optimized(optimizer, config)
    before = {name: p.detach().clone() for name, p in network.named_parameters()}
    _steps(network, made, STEPS)
    for name, parameter in network.named_parameters():
        if not torch.isfinite(parameter).all():
            raise Failure(f"after {STEPS} steps the weights are not finite")
        if torch.equal(parameter, before[name]):
            raise Failure(f"{STEPS} steps leave the parameter '{name}' as it is")
    again, resumed = _optimized(optimizer, config)
    again.load_state_dict(network.state_dict())
    resumed.load_state_dict(_saved(made.state_dict()))
    _steps(network, made, STEPS, first=STEPS)
    _steps(again, resumed, STEPS, first=STEPS)
    for name, parameter in again.named_parameters():
        if not torch.allclose(parameter, dict(network.named_parameters())[name], rtol=1e-5, atol=1e-7):
            raise Failure("with its saved state it goes on differently; keep what it remembers in `self.state`")


def _optimized(optimizer: Optimizer, config: Mapping[str, Scalar]) -> tuple[nn.Module, torch.optim.Optimizer]:
    """A small network and the optimizer over its weights (decayed) and its biases and norms (not)."""
    network = _network()
    weights = [p for p in network.parameters() if p.ndim > 1]
    others = [p for p in network.parameters() if p.ndim <= 1]
    groups = [{"params": weights, "weight_decay": 1e-2}, {"params": others, "weight_decay": 0.0}]
    rest = {name: value for name, value in config.items() if name != "lr"}
    made = optimizer.build(groups, float(config.get("lr", LR)), **rest)  # type: ignore[arg-type]
    if not isinstance(made, torch.optim.Optimizer):
        raise Failure(f"it returned {type(made).__name__}; it must return a torch.optim.Optimizer")
    return network, made


def _steps(network: nn.Module, optimizer: torch.optim.Optimizer, count: int, first: int = 0) -> None:
    for step in range(first, first + count):
        torch.manual_seed(step)
        x, y = torch.randn(16, 6), torch.randint(3, (16,))
        optimizer.zero_grad()
        nn.functional.cross_entropy(network(x), y).backward()  # type: ignore[no-untyped-call]
        optimizer.step()


def _check_schedule(schedule: Schedule, config: Mapping[str, Scalar]) -> None:
    made, optimizer = _scheduled(schedule, config)
    rates = [_stepped(made, optimizer, epoch) for epoch in range(EPOCHS)]
    if any(not 0 <= rate < float("inf") for rate in rates):
        raise Failure(f"the learning rates of {EPOCHS} epochs are {rates}")
    first, its_optimizer = _scheduled(schedule, config)
    for epoch in range(EPOCHS // 2):
        _stepped(first, its_optimizer, epoch)
    resumed, other = _scheduled(schedule, config)
    other.load_state_dict(_saved(its_optimizer.state_dict()))
    resumed.load_state_dict(_saved(first.state_dict()))
    rest = [_stepped(resumed, other, epoch) for epoch in range(EPOCHS // 2, EPOCHS)]
    if not torch.allclose(torch.tensor(rest), torch.tensor(rates[EPOCHS // 2 :])):
        raise Failure(f"with its saved state it goes on with {rest}, not with {rates[EPOCHS // 2 :]}")


def _scheduled(schedule: Schedule, config: Mapping[str, Scalar]) -> tuple[Any, torch.optim.Optimizer]:
    optimizer = torch.optim.SGD(_network().parameters(), lr=float(config.get("lr", LR)))  # type: ignore[arg-type]
    rest = {name: value for name, value in config.items() if name != "lr"}
    made = schedule.build(optimizer, EPOCHS, STEPS, **rest)
    if not isinstance(made, LRScheduler | ReduceLROnPlateau):
        raise Failure(f"it returned {type(made).__name__}; it must return a torch.optim.lr_scheduler.LRScheduler")
    return made, optimizer


def _stepped(schedule: Any, optimizer: torch.optim.Optimizer, epoch: int) -> float:
    """The learning rate after an epoch."""
    for _ in range(STEPS):
        optimizer.step()
        if not isinstance(schedule, ReduceLROnPlateau):
            schedule.step()
    if isinstance(schedule, ReduceLROnPlateau):
        schedule.step(1.0 / (1 + epoch))
    return float(optimizer.param_groups[0]["lr"])


def _check_augmentation(augmentation: Augmentation, config: Mapping[str, Scalar], input_shape: tuple[int, ...]) -> None:
    built = augmentation.build(**config)
    if not isinstance(built, Policy) and not callable(built):
        raise Failure(f"it returned {type(built).__name__}; it must return an automl.Policy or a function")
    shape = input_shape if len(input_shape) == 3 else (3, 16, 16)
    images = torch.randint(256, (8, *shape), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    batch = BatchAugmentation(built) if isinstance(built, Policy) else BatchAugmentation(Policy(), built, "it")
    first, second = (_augmented(batch, images) for _ in range(2))
    if not torch.isfinite(first).all() or first.min() < -1 or first.max() > 256:
        raise Failure(f"its images are from {first.min():g} to {first.max():g}; they must stay within 0 and 255")
    if not torch.equal(first, second):
        raise Failure("with the same seed it gives other images; draw what is random with torch")


def _augmented(batch: BatchAugmentation, images: Tensor) -> Tensor:
    torch.manual_seed(1)
    return batch(images.clone(), torch.arange(len(images)) % 2, 2)[0].float()


def _check_dataset(source: DatasetSource) -> None:
    load(source.name, plugin_datasets={source.name: source.make})


def _saved(state: Mapping[str, Any]) -> Any:
    """The state as a checkpoint gives it back."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    buffer.seek(0)
    return torch.load(buffer, weights_only=True)
