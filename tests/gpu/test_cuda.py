"""Training on a CUDA device: fused as alone, without waiting for the device, and when its memory is short."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from automl import Infeasible, architecture
from automl.racing.curves import Curves
from automl.training import fused
from automl.training.techniques import Techniques


@pytest.fixture(autouse=True)
def short_epochs(monkeypatch):
    """Steps are recorded as soon as they can be, for epochs here have few."""
    monkeypatch.setattr(fused, "WORTH", 1)


@pytest.fixture(autouse=True)
def exact(monkeypatch):
    """Convolutions in float32, not in TF32."""
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)


def curves_of(run: Any, epochs: int = 4) -> Curves:
    curves = Curves(5, run.recipe.epochs)
    for results in run.advance(epochs, 5):
        curves.add(results)
    return curves


def linear_after(treat: Callable[[torch.Tensor], torch.Tensor]) -> Any:
    """A linear network behind what `treat` does to the samples."""

    class Net(nn.Module):
        def __init__(self, num_outputs: int) -> None:
            super().__init__()
            self.out = nn.Linear(3 * 16 * 16, num_outputs)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.out(treat(x).flatten(1))

    @architecture()
    def treated(input_shape, num_outputs):
        """Linear, behind something else."""
        return Net(num_outputs)

    return treated


NETWORKS: dict[str, dict[str, Any]] = {
    "mlp": {},
    "lenet": {"dropout": 0.3},
    "resnet": {"dropout": 0.3},
    "densenet": {"variant": "cifar", "depth": 1, "growth_rate": 4, "kernel_size": 3, "dropout": 0.0},
    "resnet9": {"width": 16, "dropout": 0.1},
}


def recipe_of(name, make_recipe, host):
    known = name in ("mlp", "lenet", "resnet")
    return make_recipe(name if known else host.architecture(name), lr=0.01, **NETWORKS[name])


@pytest.mark.parametrize("name", NETWORKS)
def test_fused_folds_show_the_curves_of_folds_alone_dropout_included(name, make_recipe, make_cuda_run, host):
    recipe = recipe_of(name, make_recipe, host)
    together, alone = make_cuda_run(recipe, fused=True), make_cuda_run(recipe)
    np.testing.assert_allclose(curves_of(together).values, curves_of(alone).values, rtol=0.02, atol=0.02)
    assert (together.executor.name, together.executor.reason, alone.executor.name) == ("fused", "", "serial")
    assert together.executor.replays


@pytest.mark.parametrize(
    "optimizer", ["sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adadelta", "adam", "adamw"]
)
@pytest.mark.parametrize("schedule", ["constant", "one_cycle"])
def test_every_optimizer_reads_the_learning_rate_of_its_step(optimizer, schedule, make_recipe, make_cuda_run):
    recipe = make_recipe("mlp", optimizer=optimizer, schedule=schedule, lr=0.001)
    together, alone = make_cuda_run(recipe, fused=True), make_cuda_run(recipe)
    np.testing.assert_allclose(curves_of(together).values, curves_of(alone).values, rtol=0.01, atol=0.01)
    (group,) = together.executor._groups
    assert group.graph.updates == (optimizer in ("sgd", "momentum", "nesterov", "adam", "adamw"))


def test_every_technique_and_augmentation(make_recipe, make_cuda_run, host):
    techniques = Techniques(
        warmup=0.7, l1=1e-4, label_smoothing=0.1, class_weights="balanced", clip_norm=1.0, clip_value=0.1, ema=0.9
    )
    recipe = replace(
        make_recipe("lenet", lr=0.01, dropout=0.3), techniques=techniques, augmentation=host.augmentation("strong")
    )
    together, alone = make_cuda_run(recipe, fused=True), make_cuda_run(recipe)
    np.testing.assert_allclose(curves_of(together).values, curves_of(alone).values, rtol=0.02, atol=0.02)
    assert together.executor.replays, together.executor.reason


def test_restored_folds_go_on_as_fused_ones_would_have(make_recipe, make_cuda_run, tmp_path):
    recipe = make_recipe("lenet", optimizer="adamw", lr=0.01, dropout=0.3)
    first, second, straight = (make_cuda_run(recipe, fused=True) for _ in range(3))
    first.save(tmp_path / "trial", curves_of(first, 3))
    curves = second.restore(tmp_path / "trial")
    for results in second.advance(5, 5):
        curves.add(results)
    np.testing.assert_allclose(curves.values, curves_of(straight, 5).values, rtol=0.01, atol=0.01)


def unrecordable(how: str) -> Callable[[torch.Tensor], torch.Tensor]:
    def treat(x: torch.Tensor) -> torch.Tensor:
        if x.device.type != "cuda" or not torch.is_grad_enabled():
            return x
        if how == "copies a number to the device":
            return x * torch.tensor([0.5], device=x.device)
        if how == "draws on the CPU":
            return x * float(torch.rand(1))
        if how == "fails in a capture" and torch.cuda.is_current_stream_capturing():
            torch.rand(4, device=x.device)
            torch.cuda.synchronize()
        return x

    return treat


@pytest.mark.parametrize("how", ["copies a number to the device", "draws on the CPU", "fails in a capture"])
def test_a_step_that_cannot_be_recorded_is_taken_as_before_and_the_next_trial_is_recorded(
    how, make_recipe, make_cuda_run
):
    recipe = make_recipe(linear_after(unrecordable(how)), lr=0.01)
    run, alone = make_cuda_run(recipe, fused=True), make_cuda_run(recipe)
    np.testing.assert_allclose(curves_of(run).values, curves_of(alone).values, rtol=1e-3, atol=1e-3)
    assert run.executor.name == "serial"
    assert run.executor.reason.startswith("the step cannot be a CUDA graph: ")
    assert torch.cuda.current_stream() == torch.cuda.default_stream()
    other = make_cuda_run(make_recipe("lenet", lr=0.01, dropout=0.3), fused=True)
    curves_of(other)
    assert other.executor.replays


@pytest.mark.parametrize("is_fused", [False, True])
def test_a_step_never_waits_for_the_device(is_fused, make_recipe, make_cuda_run):
    """From the second batch to the last one; the order of an epoch's samples comes from the CPU at its start."""
    run = make_cuda_run(make_recipe("lenet", lr=0.01, dropout=0.3), fused=is_fused)
    for _ in run.advance(3, 5):
        pass
    assert run.executor.replays == is_fused
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
        for _ in run.advance(4, 5):  # raises where the device was waited for
            pass
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert len(watched) > 5


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


def test_a_trial_that_is_over_leaves_no_memory_behind(make_recipe, make_cuda_run):
    held = []
    for _ in range(3):
        run = make_cuda_run(make_recipe("lenet", lr=0.01), fused=True)
        curves_of(run, 2)
        run.release()
        del run
        held.append(torch.cuda.memory_allocated())
    assert held[-1] < held[0] + 1e6


def test_bfloat16_learns_too(make_recipe, make_cuda_run):
    curves = curves_of(make_cuda_run(make_recipe("lenet", lr=0.02), fused=True, precision=torch.bfloat16), 4)
    assert curves.score() < 0.9 * float(np.log(3))
