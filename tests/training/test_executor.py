"""The executor trains folds as one graph where that was asked for and can be, else one after the other."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from rerun import Rerun

from automl.racing.curves import Curves
from automl.training import fused, serial
from automl.training.executor import Executor


@pytest.fixture(autouse=True)
def short_epochs(monkeypatch):
    monkeypatch.setattr(fused, "WORTH", 1)


@pytest.fixture
def make_fused_run(make_run):
    """`make_fused_run(recipe)`: a trial whose steps are recorded, by a stand-in for CUDA's capture."""

    def make(recipe: Any, recorder: Any = Rerun) -> Any:
        run = make_run(recipe, fused=True)
        run.executor = Executor(run.resident, run.loss, run.objective.metric, run.precision, run.tick, True, recorder)
        return run

    return make


def curves_of(run: Any, *rungs: tuple[int, int]) -> Curves:
    curves = Curves(3, run.recipe.epochs)
    for epochs, folds in rungs:
        for results in run.advance(epochs, folds):
            curves.add(results)
    return curves


@pytest.mark.parametrize("name", ["mlp", "lenet", "resnet"])
def test_fused_folds_show_the_curves_of_folds_alone_also_when_they_join_late(
    name, make_recipe, make_run, make_fused_run
):
    recipe = make_recipe(name, lr=0.01)
    fused_run, alone = make_fused_run(recipe), make_run(recipe)
    rungs = (1, 1), (3, 2), (4, 3)
    found, expected = curves_of(fused_run, *rungs).values, curves_of(alone, *rungs).values
    np.testing.assert_allclose(found, expected, rtol=1e-4, equal_nan=True)
    assert (fused_run.executor.name, alone.executor.name) == ("fused", "serial")
    assert fused_run.executor.replays


def test_on_a_cpu_folds_that_shall_be_fused_are_trained_one_after_the_other(make_recipe, make_run):
    recipe = make_recipe("lenet", lr=0.01)
    asked, alone = make_run(recipe, fused=True), make_run(recipe)
    assert (asked.executor.name, asked.executor.reason) == ("serial", "a CPU has no CUDA graphs")
    np.testing.assert_array_equal(curves_of(asked, (2, 3)).values, curves_of(alone, (2, 3)).values)


def test_a_fused_run_is_saved_and_restored_in_the_middle_of_the_ladder(make_recipe, make_fused_run, tmp_path):
    recipe = make_recipe("lenet", optimizer="adam", lr=0.01)
    first, second, straight = (make_fused_run(recipe) for _ in range(3))
    first.save(tmp_path / "trial", curves_of(first, (3, 3)))
    curves = second.restore(tmp_path / "trial")
    for results in second.advance(4, 3):
        curves.add(results)
    np.testing.assert_allclose(curves.values, curves_of(straight, (3, 3), (4, 3)).values, rtol=1e-5, equal_nan=True)


def test_folds_that_do_not_fit_into_memory_together_are_split(make_recipe, make_run, make_fused_run):
    class Small(Rerun):
        def record(self, step: Any) -> Any:
            if len(self.seeds) > 2:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return super().record(step)

    recipe = make_recipe("lenet", lr=0.01)
    run = make_fused_run(recipe, Small)
    np.testing.assert_allclose(
        curves_of(run, (4, 3)).values, curves_of(make_run(recipe), (4, 3)).values, rtol=1e-4, equal_nan=True
    )
    assert (run.executor.name, run.executor.largest, run.executor.replays) == ("fused", 2, True)


def test_a_step_for_which_there_is_no_room_beside_the_graph_is_taken_without_it(
    make_recipe, make_run, make_fused_run, monkeypatch
):
    recipe = make_recipe("lenet", lr=0.01, batch_size=6)  # with a smaller batch at the end of an epoch
    run = make_fused_run(recipe)
    real = serial.find_gradients

    def find_gradients(fold: Any, *about: Any) -> torch.Tensor:
        if fold.epochs == 3 and run.executor.replays and len(about[-1]) < recipe.batch_size:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return real(fold, *about)

    expected = curves_of(make_run(recipe), (5, 3)).values
    monkeypatch.setattr(serial, "find_gradients", find_gradients)
    found = curves_of(run, (5, 3)).values
    np.testing.assert_allclose(found, expected, rtol=1e-4, equal_nan=True)
    assert run.executor.largest == 2


def test_what_cannot_be_recorded_is_not_tried_again_and_the_reason_is_kept(make_recipe, make_fused_run):
    tried = []

    class Refuses(Rerun):
        def record(self, step: Any) -> Any:
            tried.append(step)
            raise RuntimeError("no")

    run = make_fused_run(make_recipe("lenet", lr=0.01), Refuses)
    curves_of(run, (4, 3))
    assert (run.executor.name, run.executor.reason) == ("serial", "the step cannot be a CUDA graph: no")
    assert len(tried) == 1


def test_validation_that_does_not_fit_into_memory_takes_fewer_samples_at_a_time(make_recipe, make_run, monkeypatch):
    recipe = make_recipe("lenet", lr=0.01)
    expected = curves_of(make_run(recipe), (1, 1)).values
    run = make_run(recipe)
    batch = run.resident.batch

    def small(index: torch.Tensor, *more: Any) -> Any:
        if not torch.is_grad_enabled() and len(index) > 3:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return batch(index, *more)

    monkeypatch.setattr(run.resident, "batch", small)
    np.testing.assert_allclose(curves_of(run, (1, 1)).values, expected, rtol=1e-5, equal_nan=True)
