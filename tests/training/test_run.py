"""One trial's training: advanceable by (epochs, folds), restored to the bit, and what can go wrong in it."""

from __future__ import annotations

import gc
import weakref
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from torch import nn

from automl import architecture
from automl.errors import Infeasible, NonFinite, RunError
from automl.racing.curves import Curves, FoldEpoch
from automl.racing.objective import Objective
from automl.training.run import TrialRun, read_curves


def advanced(run: TrialRun, *rungs: tuple[int, int], curves: Curves | None = None) -> Curves:
    curves = curves or Curves(3, run.recipe.epochs)
    for epochs, folds in rungs:
        for results in run.advance(epochs, folds):
            curves.add(results)
    return curves


def weights(run: TrialRun) -> list[torch.Tensor]:
    return [value.contiguous() for fold in run.folds for value in fold.network.state_dict().values()]


def assert_same(a: TrialRun, b: TrialRun) -> None:
    assert len(weights(a)) == len(weights(b)) > 0
    assert all(torch.equal(x, y) for x, y in zip(weights(a), weights(b), strict=True))


def shown(results: list[FoldEpoch]) -> list[tuple[int, int]]:
    return [(result.fold, result.epoch) for result in results]


class TestAdvancing:
    def test_folds_advance_together_epoch_by_epoch(self, make_recipe, make_run):
        steps = [shown(results) for results in make_run(make_recipe()).advance(2, 3)]
        assert steps == [[(0, 1), (1, 1), (2, 1)], [(0, 2), (1, 2), (2, 2)]]

    def test_folds_that_join_late_catch_up_before_all_go_on(self, make_recipe, make_run):
        run = make_run(make_recipe())
        advanced(run, (2, 1))
        steps = [shown(results) for results in run.advance(3, 3)]
        assert steps == [[(1, 1), (2, 1)], [(1, 2), (2, 2)], [(0, 3), (1, 3), (2, 3)]]

    def test_a_rung_that_is_reached_already_trains_nothing(self, make_recipe, make_run):
        run = make_run(make_recipe())
        advanced(run, (3, 2))
        assert list(run.advance(2, 2)) == []

    def test_a_run_left_at_a_yield_goes_on_where_it_was(self, make_recipe, make_run):
        left, straight = make_run(make_recipe()), make_run(make_recipe())
        curves = Curves(3, 6)
        curves.add(next(left.advance(4, 2)))
        advanced(left, (4, 2), curves=curves)
        np.testing.assert_array_equal(curves.values, advanced(straight, (4, 2)).values)
        assert_same(left, straight)

    def test_it_learns_what_can_be_learnt(self, make_recipe, make_run):
        curves = advanced(make_run(make_recipe("lenet", width=2, dropout=0.0, lr=0.01)), (6, 3))
        assert curves.score() < 0.8 * np.log(3)  # log(3): guessing

    def test_a_regression_learns_all_of_its_outputs_whatever_their_units(self, make_recipe, make_run, numbers):
        recipe = make_recipe("linear", lr=0.05, epochs=20, batch_size=16)
        curves = advanced(make_run(recipe, numbers), (20, 1))
        assert curves.values[0, 19, 3] > 0.7  # the mean R2 over both outputs


class TestRestoring:
    @pytest.mark.parametrize(
        ("optimizer", "schedule"),
        [
            *((optimizer, "cosine") for optimizer in ("sgd", "nesterov", "adagrad", "rmsprop", "adadelta", "adam")),
            *(("momentum", schedule) for schedule in ("constant", "step", "multi_step", "exponential", "plateau")),
            ("adamw", "one_cycle"), ("adamw", "plateau"), ("adamw", "cosine"),
        ],
    )  # fmt: skip
    def test_a_restored_run_continues_to_the_bit_in_the_middle_of_the_ladder(
        self, optimizer, schedule, make_recipe, make_run, tmp_path
    ):
        # lenet has convolutions (channels-last weights), BatchNorm and dropout; the rungs leave fold 2 out at first.
        recipe = make_recipe("lenet", optimizer=optimizer, schedule=schedule, lr=0.02, epochs=4, batch_size=16)
        straight = make_run(recipe)
        whole = advanced(straight, (1, 1), (2, 2), (4, 3))

        stopped = make_run(recipe)
        curves = advanced(stopped, (1, 1), (2, 2))
        stopped.save(tmp_path / "trial.safetensors", curves)
        restored = make_run(recipe)
        curves = restored.restore(tmp_path / "trial.safetensors")
        assert_same(stopped, restored)
        advanced(restored, (4, 3), curves=curves)

        np.testing.assert_array_equal(curves.values, whole.values)
        assert np.isfinite(whole.values).all()
        assert_same(restored, straight)

    def test_a_plateau_schedule_has_lowered_the_rate_and_remembers_it(self, make_recipe, make_run, tmp_path):
        recipe = make_recipe("linear", schedule="plateau", lr=20.0, epochs=12)  # far too large: nothing improves
        run = make_run(recipe)
        curves = advanced(run, (8, 1))
        run.save(tmp_path / "trial.safetensors", curves)
        other = make_run(recipe)
        other.restore(tmp_path / "trial.safetensors")
        rate = run.folds[0].optimizer.param_groups[0]["lr"]
        assert other.folds[0].optimizer.param_groups[0]["lr"] == rate < 20.0

    def test_curves_can_be_read_without_the_networks(self, make_recipe, make_run, tmp_path):
        run = make_run(make_recipe())
        curves = advanced(run, (2, 2))
        run.save(tmp_path / "trial.safetensors", curves)
        np.testing.assert_array_equal(read_curves(tmp_path / "trial.safetensors", Objective()).values, curves.values)

    def test_a_checkpoint_of_another_trial_is_refused(self, make_recipe, make_run, tmp_path):
        run = make_run(make_recipe(), seed=1)
        run.save(tmp_path / "trial.safetensors", advanced(run, (1, 1)))
        with pytest.raises(RunError, match="belongs to another trial"):
            make_run(make_recipe(), seed=2).restore(tmp_path / "trial.safetensors")

    def test_a_checkpoint_of_another_network_is_refused(self, make_recipe, make_run, tmp_path):
        run = make_run(make_recipe("mlp", width=8))
        run.save(tmp_path / "trial.safetensors", advanced(run, (1, 1)))
        with pytest.raises(RunError, match="does not fit its trial"):
            make_run(make_recipe("mlp", width=9)).restore(tmp_path / "trial.safetensors")

    def test_a_checkpoint_with_more_folds_than_the_run_has_is_refused(self, make_recipe, make_run, tmp_path):
        run = make_run(make_recipe())
        run.save(tmp_path / "trial.safetensors", advanced(run, (1, 3)))
        with pytest.raises(RunError, match="does not fit its trial"):
            make_run(make_recipe(), samples=run.samples[:2]).restore(tmp_path / "trial.safetensors")


class TestSeeds:
    def test_the_same_seed_gives_the_same_curves_and_another_seed_others(self, make_recipe, make_run):
        one, again, other = (advanced(make_run(make_recipe(), seed=seed), (2, 2)).values for seed in (1, 1, 2))
        np.testing.assert_array_equal(one, again)
        losses = [0, 2]  # of few samples, so that metrics coincide by chance
        assert not np.isclose(one[:2, :2][..., losses], other[:2, :2][..., losses]).any()

    def test_a_folds_results_do_not_depend_on_what_was_trained_before(self, make_recipe, make_run):
        all_at_once = advanced(make_run(make_recipe()), (3, 3))
        one_by_one = advanced(make_run(make_recipe()), (3, 1), (3, 2), (3, 3))
        np.testing.assert_array_equal(all_at_once.values, one_by_one.values)

    def test_training_neither_reads_nor_changes_the_global_random_state(self, make_recipe, make_run):
        torch.manual_seed(1)
        before = torch.get_rng_state()
        first = advanced(make_run(make_recipe()), (1, 1))
        assert torch.equal(torch.get_rng_state(), before)
        torch.manual_seed(2)
        np.testing.assert_array_equal(advanced(make_run(make_recipe()), (1, 1)).values, first.values)

    def test_folds_start_from_different_weights(self, make_recipe, make_run):
        run = make_run(make_recipe(lr=0.0))
        advanced(run, (1, 2))
        first, second = (next(fold.network.parameters()) for fold in run.folds)
        assert not torch.isclose(first, second).all()


class Sick(nn.Module):
    """A linear network that is healthy in its first `healthy` training batches."""

    def __init__(self, features: int, outputs: int, healthy: int, value: float):
        super().__init__()
        self.linear, self.healthy, self.value, self.seen = nn.Linear(features, outputs), healthy, value, 0

    def forward(self, x):
        if x.device.type != "meta" and self.training:
            self.seen += 1
        return self.linear(x.flatten(1)) * (self.value if self.seen > self.healthy else 1.0)


@architecture()
def turns_nan(input_shape, num_outputs):
    """Gives NaN from its second epoch on."""
    return Sick(input_shape[-1] * input_shape[-2], num_outputs, healthy=4, value=float("nan"))


@architecture()
def turns_infinite(input_shape, num_outputs):
    """Gives infinities from the start."""
    return Sick(input_shape[-1] * input_shape[-2], num_outputs, healthy=0, value=float("inf"))


class Hungry(nn.Module):
    """Runs out of memory in its third batch."""

    built: ClassVar[list[weakref.ref[nn.Module]]] = []

    def __init__(self, features: int, outputs: int):
        super().__init__()
        self.linear, self.seen = nn.Linear(features, outputs), 0
        Hungry.built.append(weakref.ref(self))

    def forward(self, x):
        self.seen += 1
        if self.seen == 3:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.\nmore")
        return self.linear(x.flatten(1))


@architecture()
def hungry(input_shape, num_outputs):
    """Runs out of memory."""
    return Hungry(input_shape[-1] * input_shape[-2], num_outputs)


class Vast(nn.Module):
    """Fits into `meta`, but asks for 400 TB when it sees real samples."""

    def __init__(self, features: int, outputs: int):
        super().__init__()
        self.linear = nn.Linear(features, outputs)

    def forward(self, x):
        return self.linear(x.flatten(1)) + torch.empty(10**14, device=x.device)[0]


@architecture()
def vast(input_shape, num_outputs):
    """Asks for more memory than any machine has."""
    return Vast(input_shape[-1] * input_shape[-2], num_outputs)


class TestFaults:
    def test_a_loss_that_becomes_nan_names_fold_and_epoch(self, make_recipe, make_run):
        samples = [(np.arange(32), np.arange(32, 50))] * 3  # 4 batches of 8 in an epoch: the first epoch is healthy
        run = make_run(make_recipe(turns_nan, batch_size=8, lr=0.01), samples=samples)
        with pytest.raises(NonFinite, match=r"non-finite at fold 1, epoch 2 \(train loss nan\)") as caught:
            advanced(run, (3, 3))
        assert (caught.value.fold, caught.value.epoch) == (1, 2)

    def test_infinite_outputs_are_non_finite(self, make_recipe, make_run):
        with pytest.raises(NonFinite, match="fold 1, epoch 1"):
            advanced(make_run(make_recipe(turns_infinite)), (1, 1))

    def test_a_learning_rate_that_explodes_is_non_finite_in_a_regression(self, make_recipe, make_run, numbers):
        with pytest.raises(NonFinite, match=r"non-finite at fold 1, epoch [12]"):
            advanced(make_run(make_recipe("linear", lr=1e30), numbers), (2, 1))

    @pytest.mark.parametrize("architecture_name", ["mlp", "lenet", "resnet"])
    def test_a_last_batch_of_one_sample_does_not_crash_batch_norm(self, architecture_name, make_recipe, make_run):
        samples = [(np.arange(17), np.arange(17, 30))]  # 8 + 8 + 1
        run = make_run(make_recipe(architecture_name, batch_size=8), samples=samples)
        curves = advanced(run, (1, 1))
        assert curves.fold_epochs == 1
        assert [len(batch) for batch in run.folds[0].batches()] == [8, 9]

    @pytest.mark.parametrize(("samples", "batch_size"), [(17, 8), (16, 8), (18, 8), (3, 8), (9, 8), (5, 1)])
    def test_schedules_are_laid_out_for_the_batches_that_there_are(self, samples, batch_size, make_recipe, make_run):
        recipe = make_recipe("linear", schedule="cosine", batch_size=batch_size, epochs=2, lr=0.1)
        run = make_run(recipe, samples=[(np.arange(samples), np.arange(20, 30))])
        advanced(run, (2, 1))
        assert run.folds[0].optimizer.param_groups[0]["lr"] == pytest.approx(0.0, abs=1e-12)  # the cosine's end

    def test_running_out_of_memory_is_infeasible_and_gives_the_folds_back(self, make_recipe, make_run):
        Hungry.built.clear()
        run = make_run(make_recipe(hungry))
        with pytest.raises(Infeasible, match=r"^out of memory: CUDA out of memory. Tried to allocate 20.00 GiB.$"):
            advanced(run, (1, 3))
        assert run.folds == []
        gc.collect()
        assert len(Hungry.built) == 4  # on meta, and one for each fold
        assert [reference() for reference in Hungry.built] == [None] * 4

    def test_memory_that_the_cpu_does_not_have_is_infeasible(self, make_recipe, make_run):
        with pytest.raises(Infeasible, match=r"out of memory: .*allocate"):
            advanced(make_run(make_recipe(vast)), (1, 1))

    def test_a_tick_that_raises_stops_within_a_batch(self, make_recipe, make_run):
        class Enough(Exception):
            pass

        ticks = []

        def tick() -> None:
            ticks.append(1)
            if len(ticks) == 3:
                raise Enough

        with pytest.raises(Enough):
            advanced(make_run(make_recipe(), tick=tick), (5, 3))
        assert len(ticks) == 3


def test_it_tells_parameters_seconds_and_memory(make_recipe, make_run):
    run = make_run(make_recipe("linear"))
    assert run.seconds == 0.0
    advanced(run, (1, 1))
    assert run.parameters == 64 * 3 + 3
    assert run.seconds > 0
    assert run.peak_memory > 2**20


def test_a_checkpoint_survives_a_failed_write(make_recipe, make_run, tmp_path: Path, monkeypatch):
    run = make_run(make_recipe())
    curves = advanced(run, (1, 1))
    run.save(tmp_path / "trial.safetensors", curves)
    advanced(run, (2, 1), curves=curves)
    monkeypatch.setattr("os.fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(OSError, match="No space left"):
        run.save(tmp_path / "trial.safetensors", curves)
    assert read_curves(tmp_path / "trial.safetensors", Objective()).fold_epochs == 1
    assert [path.name for path in tmp_path.iterdir()] == ["trial.safetensors"]


def test_released_folds_give_their_memory_back_at_once(make_recipe, make_run):
    run = make_run(make_recipe("lenet", optimizer="adam", schedule="cosine"))
    for _ in run.advance(1, 2):
        pass
    networks = [weakref.ref(fold.network) for fold in run.folds]
    weights = [weakref.ref(next(fold.network.parameters())) for fold in run.folds]
    gc.collect()
    gc.disable()
    try:
        run.release()
        assert [ref() for ref in (*networks, *weights)] == [None] * 4
    finally:
        gc.enable()
