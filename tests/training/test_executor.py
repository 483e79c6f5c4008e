"""The executor stacks folds where that works, and trains them one after the other where it does not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from automl import architecture
from automl.errors import Infeasible
from automl.racing.curves import Curves
from automl.training import fused
from automl.training.fold import Fold
from automl.training.timing import Timing


class Branching(nn.Module):
    """Goes another way for every batch, which one program for all folds cannot."""

    def __init__(self, outputs: int):
        super().__init__()
        self.linear = nn.Linear(64, outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x.flatten(1)
        return self.linear(x if x.mean() > 0 else -x)


class Noisy(nn.Module):
    """Draws random numbers of its own."""

    def __init__(self, outputs: int):
        super().__init__()
        self.linear = nn.Linear(64, outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear(x.flatten(1) + torch.randn(64, dtype=x.dtype) * self.training)


@architecture()
def branching(input_shape, num_outputs):
    """Branches on values."""
    return Branching(num_outputs)


@architecture()
def noisy(input_shape, num_outputs):
    """Noise of its own."""
    return Noisy(num_outputs)


@architecture()
def unusual(input_shape, num_outputs):
    """A BatchNorm with a cumulative average."""
    return nn.Sequential(nn.Flatten(), nn.BatchNorm1d(64, momentum=None), nn.Linear(64, num_outputs))


def curves_of(run: Any, *rungs: tuple[int, int]) -> Curves:
    curves = Curves(3, run.recipe.epochs)
    for epochs, folds in rungs:
        for results in run.advance(epochs, folds):
            curves.add(results)
    return curves


@pytest.mark.parametrize("name", ["mlp", "lenet", "resnet"])
def test_stacked_folds_show_the_curves_of_folds_alone_also_when_they_join_late(name, make_recipe, make_run):
    recipe = make_recipe(name, lr=0.01)
    stacked, alone = make_run(recipe, stacked=True), make_run(recipe)
    assert (stacked.executor.name, alone.executor.name) == ("fused", "serial")
    rungs = (1, 1), (2, 2), (3, 3)
    np.testing.assert_allclose(
        curves_of(stacked, *rungs).values, curves_of(alone, *rungs).values, rtol=2e-3, equal_nan=True
    )


@pytest.mark.parametrize("network", [branching, noisy, unusual])
def test_what_cannot_be_stacked_is_trained_alone_with_the_reason(network, make_recipe, make_run):
    recipe = make_recipe(network, lr=0.01)
    stacked, alone = make_run(recipe, stacked=True), make_run(recipe)
    assert stacked.executor.name == "serial"
    assert stacked.executor.reason
    np.testing.assert_array_equal(curves_of(stacked, (2, 3)).values, curves_of(alone, (2, 3)).values)


def test_a_stacked_run_is_saved_and_restored_in_the_middle_of_the_ladder(make_recipe, make_run, tmp_path):
    recipe = make_recipe("lenet", optimizer="adam", lr=0.01)
    first, second, straight = (make_run(recipe, stacked=True) for _ in range(3))
    first.save(tmp_path / "trial", curves_of(first, (2, 3)))
    curves = second.restore(tmp_path / "trial")
    for results in second.advance(4, 3):
        curves.add(results)
    np.testing.assert_allclose(curves.values, curves_of(straight, (2, 3), (4, 3)).values, rtol=1e-5, equal_nan=True)


def test_folds_that_do_not_fit_into_memory_together_are_split(make_recipe, make_run, monkeypatch):
    recipe = make_recipe("lenet", lr=0.01)
    expected = curves_of(make_run(recipe, stacked=True), (3, 3)).values
    real = fused.Stack.step

    def step(stack, *args):
        output = real(stack, *args) if len(stack.folds) <= 2 else None
        if output is None:
            stack.network(torch.randn(8, 1, 8, 8))  # running statistics are touched before memory runs out
            raise torch.OutOfMemoryError("CUDA out of memory")
        return output

    monkeypatch.setattr(fused.Stack, "step", step)
    run = make_run(recipe, stacked=True)
    np.testing.assert_allclose(curves_of(run, (3, 3)).values, expected, rtol=1e-4, equal_nan=True)
    assert run.executor.largest == 2


def test_memory_that_runs_out_when_a_fold_has_taken_its_step_ends_the_trial(make_recipe, make_run, monkeypatch):
    """Nothing can be tried again: that fold would take the step twice."""
    run = make_run(make_recipe("lenet", lr=0.01), stacked=True)
    real = Fold.update

    def update(fold, step):
        if fold.number == 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        real(fold, step)

    monkeypatch.setattr(Fold, "update", update)
    with pytest.raises(Infeasible, match="out of memory"):
        curves_of(run, (1, 3))


def test_a_probe_for_which_memory_does_not_suffice_leaves_the_folds_to_be_trained_alone(
    make_recipe, make_run, monkeypatch
):
    def step(stack, *args):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(fused.Stack, "step", step)
    run = make_run(make_recipe("lenet", lr=0.01), stacked=True)
    assert (run.executor.name, run.executor.reason) == ("serial", "OutOfMemoryError: CUDA out of memory")
    assert curves_of(run, (1, 3)).fold_epochs == 3


def test_a_later_climb_keeps_to_what_the_first_one_has_found(make_recipe, make_run, monkeypatch):
    monkeypatch.setattr("automl.training.run.why_not_stacked", None)
    runs = [make_run(make_recipe("mlp"), stacked=True, decided=reason) for reason in ("", "stacked, it was slower")]
    assert [run.executor.name for run in runs] == ["fused", "serial"]


class TestTiming:
    """`auto`: stacked only where that is quicker, measured once for an architecture."""

    def test_an_architecture_is_timed_once_and_the_slower_way_is_named_with_its_figures(self, make_recipe, make_run):
        timing = Timing()
        first = make_run(make_recipe("mlp"), stacked=True, timing=timing)
        alone, stacked = timing.seconds["mlp"]
        assert (first.executor.name == "fused") == (stacked < alone)
        timing.seconds["mlp"] = (0.001, 0.004)
        slower = make_run(make_recipe("mlp"), stacked=True, timing=timing)
        assert slower.executor.name == "serial"
        assert slower.executor.reason == "stacked, a step of 3 folds took 4 ms, alone 1 ms"
        timing.seconds["mlp"] = (0.004, 0.001)
        assert make_run(make_recipe("mlp"), stacked=True, timing=timing).executor.name == "fused"

    def test_folds_that_do_not_fit_into_memory_together_are_left_to_be_split(self, make_recipe, make_run, monkeypatch):
        real = fused.Stack.step

        def step(stack, *args):
            if len(stack.folds) > 2:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return real(stack, *args)

        monkeypatch.setattr(fused.Stack, "step", step)
        timing = Timing()
        run = make_run(make_recipe("mlp"), stacked=True, timing=timing)
        assert curves_of(run, (1, 3)).fold_epochs == 3
        assert (run.executor.name, run.executor.largest, timing.seconds) == ("fused", 2, {})

    def test_the_timing_leaves_the_trial_and_torchs_generator_as_they_were(self, make_recipe, make_run):
        torch.manual_seed(5)
        state = torch.get_rng_state()
        timed = make_run(make_recipe("lenet"), stacked=True, timing=Timing())
        assert torch.equal(torch.get_rng_state(), state)
        timed.executor.reason = "compared with an untimed one"
        untimed = make_run(make_recipe("lenet"))
        assert np.array_equal(curves_of(timed, (2, 3)).values, curves_of(untimed, (2, 3)).values, equal_nan=True)
