"""Training on a CUDA device: stacked as alone, without waiting for the device, and when its memory is short."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch

from automl import Infeasible, architecture
from automl.racing.curves import Curves
from automl.training import fused, step_graph
from automl.training.timing import Timing


def curves_of(run: Any, epochs: int = 2) -> Curves:
    curves = Curves(5, run.recipe.epochs)
    for results in run.advance(epochs, 5):
        curves.add(results)
    return curves


@pytest.mark.parametrize("name", ["mlp", "lenet", "resnet"])
def test_stacked_folds_show_the_curves_of_folds_alone(name, make_recipe, make_cuda_run):
    recipe = make_recipe(name, lr=0.01)
    stacked, alone = make_cuda_run(recipe, stacked=True), make_cuda_run(recipe)
    assert (stacked.executor.name, alone.executor.name) == ("fused", "serial")
    np.testing.assert_allclose(curves_of(stacked).values, curves_of(alone).values, rtol=0.02, atol=0.02)


def linear_after(treat: Callable[[torch.Tensor], torch.Tensor]) -> Any:
    """A linear network behind what `treat` does to the samples."""

    class Net(torch.nn.Module):
        def __init__(self, num_outputs: int) -> None:
            super().__init__()
            self.out = torch.nn.Linear(3 * 16 * 16, num_outputs)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.out(treat(x).flatten(1))

    @architecture()
    def treated(input_shape, num_outputs):
        """Linear, behind something else."""
        return Net(num_outputs)

    return treated


def recording(monkeypatch):
    """Lets stacks record their step although the epochs here are short, and also where it is no quicker."""
    ticks = itertools.count()
    shrinking = partial(step_graph.recorded, clock=lambda device: -float(next(ticks) ** 2))
    monkeypatch.setattr(fused, "recorded", shrinking)
    monkeypatch.setattr(step_graph, "WORTH", 1)


needs_safe_capture = pytest.mark.skipif(
    not step_graph.may_record(torch.device("cuda"), 10_000), reason="this torch is no good after a failed capture"
)

NETWORKS: dict[str, dict[str, Any]] = {
    "mlp": {},
    "lenet": {"dropout": 0.3},
    "resnet": {"dropout": 0.3},
    "densenet": {"variant": "cifar", "depth": 1, "growth_rate": 4, "kernel_size": 3, "dropout": 0.0},
    "googlenet": {"width": 0.0625, "kernel_size": 3, "auxiliary": False, "dropout": 0.0},
}


def recipe_of(name, make_recipe, host):
    known = name in ("mlp", "lenet", "resnet")
    # GoogLeNet's BatchNorm over maps of one pixel amplifies rounding where the steps are large.
    return make_recipe(
        name if known else host.architecture(name), lr=1e-3 if name == "googlenet" else 0.01, **NETWORKS[name]
    )


@needs_safe_capture
@pytest.mark.parametrize("name", NETWORKS)
def test_a_step_as_a_cuda_graph_shows_the_curves_of_one_that_is_not(
    name, make_recipe, make_cuda_run, host, monkeypatch
):
    recipe = recipe_of(name, make_recipe, host)
    plain = make_cuda_run(recipe, stacked=True)
    expected = curves_of(plain, 4)
    assert not plain.executor.replays
    recording(monkeypatch)
    replayed = make_cuda_run(recipe, stacked=True)
    np.testing.assert_allclose(curves_of(replayed, 4).values, expected.values, rtol=0.02, atol=0.02)
    assert replayed.executor.replays


@needs_safe_capture
def test_each_replay_draws_the_masks_of_its_step(make_recipe, make_cuda_run, monkeypatch):
    recording(monkeypatch)
    run = make_cuda_run(make_recipe("lenet", lr=0.01, dropout=0.5), stacked=True)
    curves_of(run, 4)
    (stack,) = run.executor._stacks.values()
    x = torch.randint(0, 256, (5 * 8, 3, 16, 16), device="cuda", dtype=torch.uint8)
    x = x.contiguous(memory_format=torch.channels_last)
    y = torch.arange(5 * 8, device="cuda") % 3
    graph = step_graph.StepGraph(
        lambda x, y: stack.gradients(x, y, torch.float32), x, y, stack.generators, step_graph.record_cuda
    )
    for seed in range(3):
        for generator in stack.generators:
            generator.manual_seed(seed)
        expected = stack.gradients(x, y, torch.float32)
        for generator in stack.generators:
            generator.manual_seed(seed)
        found = graph(x, y)
        torch.testing.assert_close(found.outputs, expected.outputs, rtol=1e-3, atol=1e-3)
        for name, gradient in expected.parameters.items():
            torch.testing.assert_close(found.parameters[name], gradient, rtol=1e-2, atol=1e-3)


@needs_safe_capture
def test_a_step_that_cannot_be_recorded_is_taken_as_before(make_recipe, make_cuda_run, monkeypatch):
    def waiting(x: torch.Tensor) -> torch.Tensor:
        return x * torch.tensor([0.5], device=x.device)  # copies a number to the device in every step

    recording(monkeypatch)
    run = make_cuda_run(make_recipe(linear_after(waiting), lr=0.01), stacked=True)
    curves_of(run, 3)
    assert not run.executor.replays
    assert torch.cuda.current_stream() == torch.cuda.default_stream()
    other = make_cuda_run(make_recipe("lenet", lr=0.01), stacked=True)
    curves_of(other, 3)
    assert other.executor.replays


@pytest.mark.parametrize(("stacked", "graph"), [(False, False), (True, False), (True, True)])
def test_a_step_never_waits_for_the_device(stacked, graph, make_recipe, make_cuda_run, monkeypatch):
    """From the second batch to the last one; the order of an epoch's samples comes from the CPU at its start."""
    if graph:
        if not step_graph.may_record(torch.device("cuda"), 10_000):
            pytest.skip("this torch is no good after a failed capture")
        recording(monkeypatch)
    run = make_cuda_run(make_recipe("lenet", lr=0.01), stacked=stacked)
    for _ in run.advance(2, 5):
        pass
    assert run.executor.replays == graph
    ticks, watched = [], []

    def tick() -> None:
        torch.cuda.set_sync_debug_mode("error" if ticks else "default")
        watched.extend(ticks[:1])
        ticks.append(1)

    run.executor.tick = tick
    original = run.loss.score

    def score(*arguments: Any) -> Any:  # the epoch is over
        torch.cuda.set_sync_debug_mode("default")
        ticks.clear()
        return original(*arguments)

    run.loss.score = score
    try:
        for _ in run.advance(3, 5):  # raises where the device was waited for
            pass
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert len(watched) > 10


def test_out_of_memory_is_infeasible_and_the_memory_comes_back(make_recipe, make_cuda_run):
    def hungry(x: torch.Tensor) -> torch.Tensor:
        if x.device.type != "cuda":
            return x
        return x + torch.ones(torch.cuda.mem_get_info()[1], device=x.device).sum() * 0  # more than the device has

    run = make_cuda_run(make_recipe(linear_after(hungry), lr=0.01))
    before = torch.cuda.memory_allocated()
    with pytest.raises(Infeasible, match="out of memory"):
        curves_of(run, 1)
    assert run.folds == []
    assert torch.cuda.memory_allocated() < before + 1e8


def test_auto_times_each_architecture_once(make_recipe, make_cuda_run):
    timing = Timing()
    make_cuda_run(make_recipe("lenet"), stacked=True, timing=timing)
    alone, stacked = timing.seconds["lenet"]
    assert stacked > 0
    assert alone > 0


def test_bfloat16_learns_too(make_recipe, make_cuda_run):
    curves = curves_of(make_cuda_run(make_recipe("lenet", lr=0.02), stacked=True, precision=torch.bfloat16), 4)
    assert curves.score() < 0.9 * float(np.log(3))
