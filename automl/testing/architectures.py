"""Examines an architecture at the corners of its search space and at random configs: does every network build, train,
save and load?

In a plugin's test: `from automl.testing import check_architecture; check_architecture(my_network)`.
On the command line: `automl plugins check my_network`.
"""

from __future__ import annotations

import copy
import dataclasses
import json
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import torch
from safetensors.torch import load_model, save_model
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from automl.data.tables.features import InputColumn
from automl.errors import Infeasible
from automl.hooks.configs import corner_configs, random_config_list
from automl.hooks.declarations import Architecture
from automl.spaces.parameters import Scalar
from automl.testing.check import Check, Failure, explain
from automl.training.input_layer import build_network
from automl.training.losses import expected_output, split_auxiliary
from automl.training.on_meta import is_about_meta

BATCH = 2
MOST_TRAINED = 16
LARGEST_TRAINED = 20_000_000  # parameters
MOST_WORK = 1.5e10  # floating-point operations of one pass of all trained networks: about half a minute on a slow core


class _NoVerdict(Exception):
    """The meta device cannot tell."""


def check_architecture(
    architecture: Architecture,
    input_shape: Sequence[int] = (1, 28, 28),
    num_outputs: int = 10,
    *,
    random_configs: int = 20,
    seed: int = 0,
) -> list[Check]:
    """Examines `architecture` as `examine` does, for use in a test.

    Raises:
        AssertionError: a config failed, or none was feasible; the message lists every failure with its config.
    """
    checks = examine(architecture, input_shape, num_outputs, random_configs=random_configs, seed=seed)
    failed = [c for c in checks if c.outcome == "failed"]
    where = f"architecture '{architecture.name}' ({Path(architecture.source).name}:{architecture.line})"
    if failed:
        lines = [f"\n  {json.dumps(dict(c.config))}: {c.problem}" for c in failed]
        raise AssertionError(f"{where} fails with {len(failed)} of {len(checks)} configs:{''.join(lines)}")
    if all(c.outcome == "infeasible" for c in checks):
        raise AssertionError(f"{where}: no config is feasible for input {list(input_shape)}, e.g. {checks[0].problem}")
    return checks


def examine(
    architecture: Architecture,
    input_shape: Sequence[int] = (1, 28, 28),
    num_outputs: int = 10,
    *,
    random_configs: int = 20,
    seed: int = 0,
) -> list[Check]:
    """Tries the corners of the search space and `random_configs` random configs.

    Every config is built on the `meta` device, which costs no memory, and its output's shape is checked. Up to 16 of
    them with less than 20 million parameters, and as many as keep the work bounded, are then built on the CPU: one
    training step must give finite gradients to every parameter, and the weights, saved and loaded into a new network,
    must give the same outputs. The others say why they were not trained.

    Args:
        architecture: a function decorated with `@architecture(...)`.
        input_shape: one sample's shape, without the batch: (channels, height, width) or (features,). An architecture
            that asks for `columns` is given so many, every third one a category, or six where this is an image's.
        num_outputs: classes, or 1 for a regression.
        random_configs: how many besides the corners.
        seed: of the random configs, the weights and the inputs.

    Returns:
        One `Check` per config. `automl.Infeasible` raised by `build` is an outcome of its own, not a failure.
    """
    shape = tuple(input_shape)
    if architecture.takes_columns and len(shape) != 1:
        shape = (6,)
    configs = corner_configs(architecture.parameters, seed=seed)
    for config in random_config_list(architecture.parameters, random_configs, seed):
        if config not in configs:
            configs.append(config)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        checks = [_on_meta(architecture, config, shape, num_outputs) for config in configs]
        checks = _choose(checks)
        for i, check in enumerate(checks):
            if check.outcome == "ok" and not check.untrained:
                checks[i] = _on_cpu(architecture, check, shape, num_outputs)
    return checks


def _choose(checks: list[Check]) -> list[Check]:
    """The checks, with a reason in `untrained` for all but those that are to be trained.

    Those are spread evenly over the configs that are cheap enough. Where none is, the cheapest is trained.
    """
    chosen = [i for i, c in enumerate(checks) if c.outcome == "ok" and c.parameters < LARGEST_TRAINED]
    cheap = [i for i in chosen if checks[i].operations <= MOST_WORK / MOST_TRAINED]
    chosen = cheap or sorted(chosen, key=lambda i: checks[i].operations)[:1]
    share = max(1.0, len(chosen) / MOST_TRAINED)
    chosen = [chosen[int(k * share)] for k in range(min(len(chosen), MOST_TRAINED))]

    def reason(i: int, check: Check) -> str:
        if check.outcome != "ok" or i in chosen:
            return ""
        if check.parameters >= LARGEST_TRAINED:
            return f"{check.parameters / 1e6:.0f} million parameters"
        if i not in cheap:
            return f"{check.operations / 1e9:.1f} billion operations"
        return f"{MOST_TRAINED} others stand for it"

    return [dataclasses.replace(check, untrained=reason(i, check)) for i, check in enumerate(checks)]


def _on_meta(
    architecture: Architecture, config: Mapping[str, Scalar], shape: tuple[int, ...], num_outputs: int
) -> Check:
    """Builds the network without memory and sends an empty batch through it; on the CPU where meta cannot tell."""
    try:
        return _passed(architecture, config, shape, num_outputs, "meta")
    except _NoVerdict:  # a search passes over it, too
        return _passed(architecture, config, shape, num_outputs, "cpu")


def _passed(
    architecture: Architecture, config: Mapping[str, Scalar], shape: tuple[int, ...], num_outputs: int, device: str
) -> Check:
    """What a pass of an empty batch shows. Raises `_NoVerdict` where meta itself is what fails."""
    start = time.perf_counter()
    parameters = 0
    counter = FlopCounterMode(display=False)
    outcome: Literal["ok", "infeasible", "failed"] = "ok"
    problem = ""
    try:
        with torch.device(device), torch.no_grad(), counter:
            network = _build(architecture, config, shape, num_outputs)
            output = network(torch.zeros(BATCH, *shape))
            parameters = sum(p.numel() for p in network.parameters())  # now that lazy modules have theirs
            _check_outputs(network, output, num_outputs)
    except Infeasible as error:
        outcome, problem = "infeasible", str(error)
    except Exception as error:
        if device == "meta" and not isinstance(error, Failure) and is_about_meta(error):
            raise _NoVerdict from error
        outcome, problem = "failed", explain(error, architecture, f"on torch.device('{device}')")
    operations = counter.get_total_flops()
    return Check(config, outcome, problem, parameters, operations, seconds=time.perf_counter() - start)


def _on_cpu(architecture: Architecture, check: Check, shape: tuple[int, ...], num_outputs: int) -> Check:
    """Trains the network for one step on random data, saves it, loads it into another one and compares the two."""
    start = time.perf_counter()
    problem = ""
    try:
        network = _build(architecture, check.config, shape, num_outputs)
        x = _samples(architecture, shape)
        _check_step(network, x, num_outputs)
        _check_saved(network, _build(architecture, check.config, shape, num_outputs), x)
        _check_moves(network, x)
    except Exception as error:
        problem = explain(error, architecture, "on the CPU")
    seconds = check.seconds + time.perf_counter() - start
    outcome: Literal["ok", "failed"] = "failed" if problem else "ok"
    return dataclasses.replace(check, outcome=outcome, problem=problem, trained=True, seconds=seconds)


def _build(
    architecture: Architecture, config: Mapping[str, Scalar], shape: tuple[int, ...], num_outputs: int
) -> nn.Module:
    columns = _columns(shape[0]) if architecture.takes_columns else ()
    network = build_network(architecture, config, shape, num_outputs, columns)
    if not isinstance(network, nn.Module):
        raise Failure(f"build() returned {type(network).__name__}; it must return a torch.nn.Module")
    return network


def _columns(count: int) -> tuple[InputColumn, ...]:
    """Columns of a table; those at 2, 5, 8, ... are categories."""
    return tuple(
        InputColumn(f"x{place}", "category", place + 2) if place % 3 == 2 else InputColumn(f"x{place}", "number")
        for place in range(count)
    )


def _samples(architecture: Architecture, shape: tuple[int, ...]) -> torch.Tensor:
    """Random samples [BATCH, *shape], of a table with codes for its categories."""
    x = torch.randn(BATCH, *shape)
    for place, column in enumerate(_columns(shape[0]) if architecture.takes_columns else ()):
        if column.kind == "category":
            x[:, place] = torch.arange(BATCH) % column.cardinality
    return x


def _check_outputs(network: nn.Module, output: object, num_outputs: int) -> tuple[torch.Tensor, ...]:
    """The output and those of auxiliary classifiers, which a network may have in training, each checked."""
    output, auxiliary = split_auxiliary(network, output)
    outputs = (output, *auxiliary)
    for each in outputs:
        _check_output(each, expected_output(network, BATCH, num_outputs))
    return outputs


def _check_output(output: object, expected: tuple[int, ...]) -> None:
    if not isinstance(output, torch.Tensor):
        raise Failure(f"the network returned {type(output).__name__}; it must return one tensor")
    if tuple(output.shape) != expected:
        raise Failure(f"the network's output has shape {list(output.shape)}; it must be {list(expected)}")
    if not output.is_floating_point():
        raise Failure(f"the network's output is {output.dtype}; it must be a floating-point tensor")


def _check_step(network: nn.Module, x: torch.Tensor, num_outputs: int) -> None:
    """One forward and backward pass: the loss and all gradients are finite, and no parameter is left out."""
    network.train()
    outputs = _check_outputs(network, network(x), num_outputs)
    loss = sum((_loss(output, num_outputs) for output in outputs), start=torch.zeros(()))
    if not torch.isfinite(loss):
        raise Failure(f"the loss of the first step is {loss.item()}")
    if not loss.requires_grad:
        raise Failure("the loss does not depend on any parameter that requires a gradient")
    loss.backward()  # type: ignore[no-untyped-call]
    gradients = {name: p.grad for name, p in network.named_parameters() if p.requires_grad}
    without = [name for name, g in gradients.items() if g is None]
    if without:
        raise Failure(f"parameters without a gradient (is the layer used in forward?): {', '.join(without)}")
    wild = [name for name, g in gradients.items() if g is not None and not torch.isfinite(g).all()]
    if wild:
        raise Failure(f"parameters with a non-finite gradient: {', '.join(wild)}")


def _loss(output: torch.Tensor, num_outputs: int) -> torch.Tensor:
    """Of made-up targets; the members of a network of many each have it."""
    outputs = output.reshape(-1, num_outputs)
    if num_outputs == 1:
        return nn.functional.mse_loss(outputs, torch.ones_like(outputs))
    targets = torch.arange(BATCH).repeat_interleave(len(outputs) // BATCH) % num_outputs
    return nn.functional.cross_entropy(outputs, targets)


def _check_saved(network: nn.Module, another: nn.Module, x: torch.Tensor) -> None:
    """The weights alone carry the network: loaded into `another`, the outputs in eval mode are the same."""
    network.eval()
    another.eval()
    with torch.no_grad():
        expected = network(x)
        if not isinstance(expected, torch.Tensor):
            raise Failure(f"in eval mode the network returned {type(expected).__name__}; it must return one tensor")
        if not torch.allclose(network(x), expected, rtol=1e-4, atol=1e-5):
            raise Failure("two passes in eval mode differ; is there dropout that ignores self.training?")
        if not torch.isfinite(expected).all():
            raise Failure("the outputs in eval mode are not finite")
        another(x)  # lazy modules get their parameters in the first pass
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "model.safetensors")
            save_model(network, str(file))  # unlike save_file, it takes tied weights
            load_model(another, str(file))
        if not torch.allclose(another(x), expected, rtol=1e-4, atol=1e-5):
            raise Failure(
                "the saved weights, loaded into a new network of the same config, give other outputs; "
                "register what build() draws as parameters or buffers"
            )


def _check_moves(network: nn.Module, x: torch.Tensor) -> None:
    """Every tensor of the network follows `.to(device)`, so that it runs on a GPU: tried with the meta device."""
    moved = copy.deepcopy(network).to("meta")
    try:
        with torch.no_grad():
            moved(x.to("meta"))
    except RuntimeError as error:
        if "expected device" not in str(error) and "same device" not in str(error):
            return  # it looks at values, which meta has not: a search on the CPU or a GPU does not mind
        remedy = "register its tensors as buffers"
        raise Failure(f"the network does not move with .to(device), {remedy}: {error}") from None
