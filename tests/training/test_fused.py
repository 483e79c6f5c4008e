"""The fused executor teaches each fold what it would learn alone.

On a CPU a stand-in takes the place of CUDA's capture; tests/gpu has the real one.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from rerun import Rerun
from torch import nn

from automl import architecture
from automl.hooks.configs import random_config_list
from automl.training import fused, serial
from automl.training.techniques import Techniques

TOLERANCE = 1e-12  # in float64, over 12 steps and more


@pytest.fixture(autouse=True)
def short_epochs(monkeypatch):
    """Steps are recorded as soon as they can be, for epochs here have few."""
    monkeypatch.setattr(fused, "WORTH", 1)


def folds_of(run: Any, count: int = 3) -> list[Any]:
    """The folds of a run before their first epoch, in float64, which keeps rounding out of the comparison."""
    folds = [run._build(number) for number in range(count)]
    for fold in folds:
        fold.network.double()
        fold.dtype = torch.float64
        if fold.average is not None:
            fold.average.module.double()
    return folds


def alone(run: Any, folds: list[Any], epochs: int) -> list[Any]:
    shown = []
    for _ in range(epochs):
        for fold in folds:
            shown.append(serial.train_epoch(fold, run.resident, run.loss, torch.float64, "accuracy", lambda: None))
            shown.append(serial.evaluate(fold, run.resident, run.loss, torch.float64, "accuracy"))
            serial.step_plateau(fold, shown[-1][0])
    return shown


def group_of(run: Any, folds: list[Any], make_recorder: Any = Rerun) -> fused.FoldGroup:
    return fused.FoldGroup(folds, run.resident, run.loss, torch.float64, make_recorder)


def together(run: Any, group: fused.FoldGroup, epochs: int) -> list[Any]:
    shown = []
    for _ in range(epochs):
        trained = group.train_epoch("accuracy", lambda: None)
        for fold, train in zip(group.folds, trained, strict=True):
            validation = serial.evaluate(fold, run.resident, run.loss, torch.float64, "accuracy")
            shown += [train, validation]
            serial.step_plateau(fold, validation[0])
    return shown


def difference(ours: list[Any], theirs: list[Any]) -> float:
    """The worst difference between any two parameters or buffers of the folds."""
    worst = 0.0
    for a, b in zip(ours, theirs, strict=True):
        for (name, x), y in zip(a.network.state_dict().items(), b.network.state_dict().values(), strict=True):
            assert x.shape == y.shape, name
            worst = max(worst, float((x.double() - y.double()).abs().max()))
    return worst


def compare(make_run: Any, recipe: Any, epochs: int = 4, **more: Any) -> float:
    one, other = make_run(recipe, **more), make_run(recipe, **more)
    ours, theirs = folds_of(one), folds_of(other)
    group = group_of(one, ours)
    shown, expected = together(one, group, epochs), alone(other, theirs, epochs)
    np.testing.assert_allclose(np.array(shown), np.array(expected), rtol=1e-6)
    assert group.graph is not None, group.reason
    return difference(ours, theirs)


def config_of(host: Any, name: str) -> dict[str, Any]:
    """A random config of a built-in, with dropout."""
    config = dict(random_config_list(host.architecture(name).parameters, 1, seed=3)[0])
    small = {
        "dropout": 0.3,
        "width": {"googlenet": 0.0625, "lenet": 1}.get(name, 8),
        "depth": 2 if name == "nin" else 1,
    }
    return config | {key: value for key, value in small.items() if key in config}


@pytest.mark.parametrize("name", ["mlp", "lenet", "resnet"])
def test_folds_of_a_graph_learn_what_they_learn_alone(name: str, host: Any, make_recipe: Any, make_run: Any) -> None:
    config = config_of(host, name)
    if name == "resnet":
        config |= {"variant": "small", "depth": 1}
    assert compare(make_run, make_recipe(host.architecture(name), momentum=0.9, lr=0.01, **config)) <= TOLERANCE


@pytest.mark.parametrize(
    "optimizer", ["sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adadelta", "adam", "adamw", "muon"]
)
def test_every_optimizer(optimizer: str, make_recipe: Any, make_run: Any) -> None:
    assert compare(make_run, make_recipe("lenet", optimizer=optimizer, lr=0.01)) <= TOLERANCE


@pytest.mark.parametrize(
    "schedule", ["constant", "step", "multi_step", "exponential", "cosine", "plateau", "one_cycle"]
)
def test_every_schedule(schedule: str, make_recipe: Any, make_run: Any) -> None:
    assert compare(make_run, make_recipe("lenet", schedule=schedule, lr=0.01)) <= TOLERANCE


def test_every_technique(make_recipe: Any, make_run: Any) -> None:
    techniques = Techniques(
        warmup=0.7, l1=1e-3, label_smoothing=0.1, class_weights="balanced", clip_norm=1.0, clip_value=0.1, ema=0.9
    )
    assert compare(make_run, replace(make_recipe("lenet", lr=0.01), techniques=techniques)) <= TOLERANCE


def test_every_augmentation_draws_what_it_draws_alone(host: Any, make_recipe: Any, make_run: Any) -> None:
    recipe = replace(make_recipe("lenet", lr=0.01), augmentation=host.augmentation("strong"))
    assert compare(make_run, recipe) <= TOLERANCE


def test_a_regression_on_a_table(make_recipe: Any, make_run: Any, numbers: Any) -> None:
    recipe = make_recipe("mlp", lr=0.01)
    one, other = make_run(recipe, numbers), make_run(recipe, numbers)
    ours, theirs = folds_of(one), folds_of(other)
    group = group_of(one, ours)
    for _ in range(3):
        group.train_epoch("r2", lambda: None)
        for fold in theirs:
            serial.train_epoch(fold, other.resident, other.loss, torch.float64, "r2", lambda: None)
    assert group.graph is not None
    assert difference(ours, theirs) <= TOLERANCE


def test_a_fold_with_one_more_batch_than_the_others_takes_it_alone(make_recipe: Any, make_run: Any) -> None:
    samples = [(np.arange(44), np.arange(44, 61)), (np.arange(40), np.arange(44, 61))]
    recipe = make_recipe("lenet", batch_size=8, lr=0.01, schedule="cosine", dropout=0.3)
    one, other = make_run(recipe, samples=samples), make_run(recipe, samples=samples)
    ours, theirs = folds_of(one, 2), folds_of(other, 2)
    assert [fold.steps for fold in ours] == [6, 5]
    together(one, group_of(one, ours), 4)
    alone(other, theirs, 4)
    assert difference(ours, theirs) <= TOLERANCE


def test_folds_that_drop_out_or_join_midway(make_recipe: Any, make_run: Any) -> None:
    recipe = make_recipe("lenet", lr=0.01)
    one, other = make_run(recipe), make_run(recipe)
    ours, theirs = folds_of(one), folds_of(other)
    together(one, group_of(one, ours[:2]), 3)
    together(one, group_of(one, ours[2:]), 3)  # a fold of its own catches up
    together(one, group_of(one, ours), 1)
    together(one, group_of(one, [ours[0], ours[2]]), 1)
    alone(other, theirs, 4)
    alone(other, [theirs[0], theirs[2]], 1)
    assert difference(ours, theirs) <= TOLERANCE
    assert [fold.epochs for fold in ours] == [5, 4, 5]


class Forgets(Rerun):
    """Replays the samples that were recorded, whatever the step's are."""

    def record(self, step: Any) -> Any:
        again = super().record(step)
        return lambda seeds: again([seed + 1 for seed in seeds])


class Refuses(Rerun):
    """Cannot record."""

    def record(self, step: Any) -> Any:
        raise RuntimeError("operation not permitted when stream is capturing\nand more")


class Hungry(Rerun):
    """Has memory for two folds."""

    def record(self, step: Any) -> Any:
        if len(self.seeds) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return super().record(step)


@pytest.mark.parametrize(
    ("recorder", "reason"),
    [
        (Forgets, "the step cannot be a CUDA graph: replayed, its gradients differ by"),
        (Refuses, "the step cannot be a CUDA graph: operation not permitted when stream is capturing"),
        (Hungry, "the activations of 3 folds do not fit into memory together"),
    ],
)
def test_a_step_that_cannot_be_replayed_is_taken_as_before_and_nothing_is_lost(
    recorder: Any, reason: str, make_recipe: Any, make_run: Any
) -> None:
    recipe = make_recipe("lenet", lr=0.01, dropout=0.5)
    one, other = make_run(recipe), make_run(recipe)
    ours, theirs = folds_of(one), folds_of(other)
    group = group_of(one, ours, recorder)
    together(one, group, 4)
    alone(other, theirs, 4)
    assert group.graph is None
    assert group.reason.startswith(reason)
    assert "\n" not in group.reason
    assert difference(ours, theirs) == 0


def test_a_schedule_that_changes_more_than_the_learning_rate_ends_the_replays(make_recipe: Any, make_run: Any) -> None:
    run = make_run(make_recipe("lenet", lr=0.01, momentum=0.9))
    folds = folds_of(run)
    for each in folds:

        def change(fold: Any = each) -> None:
            type(fold.schedule).step(fold.schedule)
            if fold.schedule.last_epoch == 3 * fold.steps + 2:
                fold.optimizer.param_groups[0]["momentum"] = 0.5

        each.schedule.step = change
    group = group_of(run, folds)
    together(run, group, 3)
    replays = []
    again = group.graph._replay
    group.graph._replay = lambda seeds: (replays.append(seeds), again(seeds))
    together(run, group, 1)
    assert group.reason == "the schedule changes more than the learning rate"
    assert len(replays) == 2
    assert {fold.schedule.last_epoch for fold in folds} == {4 * folds[0].steps}


@architecture()
def unusual(input_shape: Any, num_outputs: int) -> nn.Module:
    """A BatchNorm with a cumulative average."""
    return nn.Sequential(nn.Flatten(), nn.BatchNorm1d(64, momentum=None), nn.Linear(64, num_outputs))


def test_a_network_that_no_stacked_model_could_hold_learns_too(make_recipe: Any, make_run: Any) -> None:
    assert compare(make_run, make_recipe(unusual, lr=0.01)) <= TOLERANCE
