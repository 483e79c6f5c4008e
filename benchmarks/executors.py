"""What do five folds cost, fused and one after the other? And what does the serial executor add to a plain loop?

    python benchmarks/executors.py [--device cuda] [--threads 2] [--rounds 3] [--only lenet resnet-20]

First table, per network: milliseconds of a step of 1 fold, serial and fused; the time of an epoch of 5 serial and of
5 fused folds over that of 1 serial fold, and of 5 fused folds over that of 1 fused fold. An epoch is a few steps on
random images with a small validation part. On a CPU nothing is fused. Second table: an epoch of the serial executor's
training over that of a loop written by hand for the same network, optimizer, schedule and batch size: over tensors
that stay on the device normalised, channels-last, bf16 where the hardware has it. Ways are taken in turn, each
`--rounds` times after a first time (on a GPU two) that does not count; printed are medians of the rounds' ratios.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from machine import heading, table
from torch import nn

from automl import Architecture, architecture
from automl.data.resident import Resident
from automl.data.sources.arrays import from_arrays
from automl.hooks.host import PluginHost, load_plugins
from automl.training import serial
from automl.training.device import choose_device, choose_precision
from automl.training.fold import build_fold
from automl.training.layout import choose_layout
from automl.training.losses import loss_for
from automl.training.recipe import Recipe
from automl.training.run import TrialRun

FOLDS, CLASSES, VALIDATION = 5, 10, 64
STEPS = 120  # of an epoch on a GPU
HORIZON = 1000  # epochs the schedule is laid out for; none gets so far


class Case(NamedTuple):
    """A network, its images (channels, height, width), its batch and steps per epoch on a CPU; on a GPU 128 and 120."""

    name: str
    architecture: str
    config: dict[str, Any]
    shape: tuple[int, int, int]
    batch: int
    steps: int


CASES = (
    Case("LeNet", "lenet", {"width": 1, "kernel_size": 5, "activation": "relu", "batch_norm": True, "dropout": 0.2},
         (1, 28, 28), 128, 20),
    Case("3-layer CNN", "cnn3", {}, (3, 32, 32), 128, 4),
    Case("ResNet-20", "resnet", {"variant": "cifar", "depth": 3, "width": 16, "kernel_size": 3, "dropout": 0.0},
         (3, 32, 32), 32, 2),
    Case("DenseNet-40", "densenet",
         {"variant": "cifar", "depth": 6, "growth_rate": 12, "kernel_size": 3, "dropout": 0.0}, (3, 32, 32), 32, 2),
    Case("ResNet-18", "resnet", {"variant": "resnet18", "width": 64, "kernel_size": 3, "dropout": 0.0},
         (3, 32, 32), 16, 1),
)  # fmt: skip


@architecture()
def cnn3(input_shape: tuple[int, ...], num_outputs: int) -> nn.Module:
    """Three pooled convolutions of 32, 64 and 128 channels and a linear layer."""
    layers: list[nn.Module] = []
    channels = input_shape[0]
    for out in (32, 64, 128):
        layers += [nn.Conv2d(channels, out, 3, padding=1, bias=False), nn.BatchNorm2d(out), nn.ReLU(), nn.MaxPool2d(2)]
        channels = out
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, num_outputs))


def make_recipe(case: Case, batch: int, host: PluginHost) -> Recipe:
    found: Architecture = cnn3 if case.architecture == "cnn3" else host.architecture(case.architecture)
    sgd, cosine = host.optimizer("sgd"), host.schedule("cosine")
    return Recipe(found, case.config, sgd, {"momentum": 0.9, "nesterov": False}, cosine, {}, 0.01, 1e-4, batch, HORIZON)


def make_resident(case: Case, samples: int, device: torch.device) -> Resident:
    rng = np.random.default_rng(0)
    channels, height, width = case.shape
    x = rng.integers(0, 256, (samples, height, width, channels), dtype=np.uint8)
    return Resident(from_arrays(x.squeeze(), np.arange(samples) % CLASSES), device)


def seconds(do: Callable[[], object], device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    # On a CPU with one thread its own time is the time that it would take alone, also where others keep it busy.
    clock = time.process_time if device.type == "cpu" and torch.get_num_threads() == 1 else time.perf_counter
    started = clock()
    do()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return clock() - started


def in_turn(ways: list[Callable[[], object]], rounds: int, device: torch.device) -> list[list[float]]:
    """Seconds of each way [way][round], taken in turn, so that a busy machine hurts all of them alike."""
    for way in [*ways, *ways] if device.type == "cuda" else ways:  # in the second epoch a step may become a graph
        seconds(way, device)
    times: list[list[float]] = [[] for _ in ways]
    for _ in range(rounds):
        for way, own in zip(ways, times, strict=True):
            own.append(seconds(way, device))
    return times


def ratio(above: list[float], below: list[float]) -> float:
    return statistics.median(a / b for a, b in zip(above, below, strict=True))


FOLD_COLUMNS = [
    "network",
    "batch",
    "ms per step, 1 fold",
    "1 fused",
    "5 serial / 1",
    "5 fused / 1",
    "5 fused / 1 fused",
]


def compare_folds(case: Case, args: argparse.Namespace, device: torch.device, host: PluginHost) -> list[object]:
    """A row of `FOLD_COLUMNS`; where a way is not fused, why not."""
    batch, steps = (128, STEPS) if device.type == "cuda" else (case.batch, case.steps)
    train = batch * steps
    resident = make_resident(case, train + VALIDATION, device)
    samples = [(np.arange(train), np.arange(train, train + VALIDATION))] * FOLDS
    recipe = make_recipe(case, batch, host)
    precision = choose_precision("auto", device)

    def way(folds: int, fused: bool) -> tuple[TrialRun, Callable[[], None]]:
        run = TrialRun(recipe, resident, samples, seed=0, precision=precision, fused=fused)

        def epoch() -> None:
            done = run.folds[0].epochs if run.folds else 0
            for _ in run.advance(done + 1, folds):
                pass

        return run, epoch

    ways = [way(folds, fused) for fused in (False, True) for folds in (1, FOLDS)]
    one, serially, one_fused, fused = in_turn([epoch for _, epoch in ways], args.rounds, device)
    shown: list[object] = [f"{1000 * statistics.median(one) / steps:.2f}"]
    if reason := ways[2][0].executor.reason or ways[3][0].executor.reason:
        shown += [reason, f"{ratio(serially, one):.2f}", "", ""]
    else:
        shown.append(f"{1000 * statistics.median(one_fused) / steps:.2f}")
        shown += [f"{ratio(a, b):.2f}" for a, b in ((serially, one), (fused, one), (fused, one_fused))]
    return [case.name, batch, *shown]


def compare_with_hand(case: Case, args: argparse.Namespace, device: torch.device, host: PluginHost) -> list[object]:
    """A row: milliseconds per step by hand, and the serial executor's time over it."""
    batch, steps = 128 if device.type == "cuda" else case.batch, STEPS if device.type == "cuda" else 3 * case.steps
    resident = make_resident(case, batch * steps, device)
    recipe = make_recipe(case, batch, host)
    precision = choose_precision("auto", device)
    samples = np.arange(batch * steps)
    loss = loss_for("classification")
    fold = build_fold(recipe, resident, loss, samples, samples[:0], number=0, seed=0)

    network = recipe.build_network(resident.input_shape, CLASSES)
    layout = choose_layout(network, device)
    network.to(device, memory_format=layout)
    optimizer = recipe.build_optimizer(network)
    schedule = recipe.build_schedule(optimizer, steps)
    x, y = resident.batch(torch.arange(batch * steps, device=device))
    x = fold.normalisation.inputs(x).contiguous(memory_format=layout)

    def by_hand() -> tuple[float, float]:
        network.train()
        total, right = torch.zeros((), device=device), torch.zeros((), device=device)
        for index in torch.randperm(len(y)).to(device).split(batch):
            with torch.autocast(device.type, torch.bfloat16, enabled=precision is torch.bfloat16):
                output = network(x[index])
            target = y[index]
            lost = F.cross_entropy(output.float(), target)
            optimizer.zero_grad()
            lost.backward()
            optimizer.step()
            schedule.step()
            total += lost.detach() * len(index)
            right += (output.argmax(1) == target).sum()
        return total.item() / len(y), right.item() / len(y)

    def by_executor() -> tuple[float, float]:
        return serial.train_epoch(fold, resident, loss, precision, "accuracy", lambda: None)

    hand, executor = in_turn([by_hand, by_executor], 3 * args.rounds, device)
    return [case.name, batch, steps, f"{1000 * statistics.median(hand) / steps:.1f}", f"{ratio(executor, hand):.3f}"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, help="of torch on a CPU (default: its own choice)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="*", help="names of networks, e.g. lenet resnet-20")
    args = parser.parse_args()
    if args.device.startswith("cuda") and not torch.cuda.is_available():
        print(f"not measured: torch {torch.__version__} sees no CUDA device here")
        return
    if args.threads:
        torch.set_num_threads(args.threads)
    device = choose_device(args.device)
    precision = str(choose_precision("auto", device)).removeprefix("torch.")
    host = load_plugins()
    known = [case.name.lower() for case in CASES]
    if unknown := set(args.only or ()) - set(known):
        parser.error(f"--only {' '.join(sorted(unknown))}: the networks are {', '.join(known)}")
    cases = [case for case in CASES if not args.only or case.name.lower() in args.only]

    note = f"Matrix products in {precision}; medians of {args.rounds} rounds"
    print(heading(device=args.device, seeds=[0], note=note) + "\n")
    rows = [compare_folds(case, args, device, host) for case in cases]
    print(table(FOLD_COLUMNS, rows) + "\n")
    print("The serial executor against a loop written by hand, training alone:\n")
    rows = [compare_with_hand(case, args, device, host) for case in cases]
    print(table(["network", "batch", "steps", "ms per step, by hand", "serial executor / by hand"], rows))


if __name__ == "__main__":
    main()
