"""The fused executor teaches each fold what it would learn alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from automl.data.arrays import from_arrays
from automl.hooks.configs import random_config_list
from automl.training import fused, serial
from automl.training.techniques import Techniques

TOLERANCE = 1e-12  # in float64, over 12 steps and more


def folds_of(run: Any, count: int = 3) -> list[Any]:
    """The folds of a run before their first epoch, in float64, which keeps rounding out of the comparison."""
    folds = [run._build(number) for number in range(count)]
    for fold in folds:
        fold.network.double()
        fold.dtype = torch.float64
        if fold.average is not None:
            fold.average.double()
    return folds


def alone(run: Any, folds: list[Any], epochs: int) -> list[Any]:
    shown = []
    for _ in range(epochs):
        for fold in folds:
            shown.append(serial.train_epoch(fold, run.resident, run.loss, "accuracy", torch.float64, lambda: None))
            shown.append(serial.evaluate(fold, run.resident, run.loss, "accuracy", torch.float64))
            serial.step_plateau(fold, shown[-1][0])
    return shown


def together(run: Any, stack: fused.Stack, epochs: int) -> list[Any]:
    shown = []
    for _ in range(epochs):
        trained = fused.train_epoch(stack, run.resident, run.loss, "accuracy", torch.float64, lambda: None)
        for fold, train, validation in zip(
            stack.folds, trained, fused.evaluate(stack, run.resident, run.loss, "accuracy", torch.float64), strict=True
        ):
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


def compare(make_run: Any, recipe: Any, epochs: int = 2, **more: Any) -> float:
    one, other = make_run(recipe, **more), make_run(recipe, **more)
    ours, theirs = folds_of(one), folds_of(other)
    shown, expected = together(one, fused.Stack(ours), epochs), alone(other, theirs, epochs)
    np.testing.assert_allclose(np.array(shown), np.array(expected), rtol=1e-6)
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


def test_a_fold_with_one_more_batch_than_the_others_takes_it_alone(make_recipe: Any, make_run: Any) -> None:
    samples = [(np.arange(44), np.arange(44, 61)), (np.arange(40), np.arange(44, 61))]
    recipe = make_recipe("lenet", batch_size=8, lr=0.01, schedule="cosine", dropout=0.3)
    one, other = make_run(recipe, samples=samples), make_run(recipe, samples=samples)
    ours, theirs = folds_of(one, 2), folds_of(other, 2)
    assert [fold.steps for fold in ours] == [6, 5]
    stack, stacked = fused.Stack(ours), []
    step = stack.step
    stack.step = lambda *args: (stacked.append(args), step(*args))[1]
    together(one, stack, 4)
    alone(other, theirs, 4)
    # In the second epoch the folds are at different steps of BatchNorm's warm-up, and take all of them alone.
    assert len(stacked) == 3 * 5
    assert difference(ours, theirs) <= TOLERANCE


@pytest.mark.parametrize("name", ["linear", "mlp", "lenet", "nin", "googlenet", "resnet", "densenet"])
def test_every_architecture_learns_the_same_stacked_as_alone(
    name: str, host: Any, make_recipe: Any, make_run: Any
) -> None:
    config = config_of(host, name)
    if name == "resnet":
        config |= {"variant": "small", "depth": 1}
    # GoogLeNet's BatchNorm over maps of one pixel amplifies rounding where the steps are large.
    recipe = make_recipe(host.architecture(name), momentum=0.9, lr=1e-3 if name == "googlenet" else 0.01, **config)
    assert compare(make_run, recipe) <= TOLERANCE


@pytest.mark.parametrize("name", ["alexnet", "vgg"])
def test_the_architectures_that_need_larger_images_too(name: str, host: Any, make_recipe: Any, make_run: Any) -> None:
    rng = np.random.default_rng(0)
    larger = from_arrays(rng.integers(0, 256, (25, 1, 32, 32), dtype=np.uint8), np.arange(25) % 3, name="larger")
    config = dict(random_config_list(host.architecture(name).parameters, 1, seed=3)[0])
    config |= {"width": 0.0625, "dropout": 0.3, "kernel_size": 3} | ({"variant": "vgg11"} if name == "vgg" else {})
    config = {key: value for key, value in config.items() if key in host.architecture(name).parameters}
    recipe = make_recipe(host.architecture(name), momentum=0.9, lr=1e-3, **config)
    assert compare(make_run, recipe, epochs=4, dataset=larger) <= TOLERANCE


@pytest.mark.parametrize(
    "optimizer", ["sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adadelta", "adam", "adamw"]
)
def test_every_optimizer(optimizer: str, make_recipe: Any, make_run: Any) -> None:
    assert compare(make_run, make_recipe("lenet", optimizer=optimizer, lr=0.01)) <= TOLERANCE


@pytest.mark.parametrize(
    "schedule", ["constant", "step", "multi_step", "exponential", "cosine", "plateau", "one_cycle"]
)
def test_every_schedule(schedule: str, make_recipe: Any, make_run: Any) -> None:
    assert compare(make_run, make_recipe("lenet", schedule=schedule, lr=0.01), epochs=3) <= TOLERANCE


def test_every_technique(make_recipe: Any, make_run: Any) -> None:
    techniques = Techniques(
        warmup=0.3, l1=1e-3, label_smoothing=0.1, class_weights="balanced", clip_norm=1.0, clip_value=0.1, ema=0.9
    )
    assert compare(make_run, replace(make_recipe("lenet", lr=0.01), techniques=techniques)) <= TOLERANCE


def test_augmentation_of_the_whole_stack(host: Any, make_recipe: Any, make_run: Any) -> None:
    recipe = replace(make_recipe("lenet", lr=0.01), augmentation=host.augmentation("strong"))
    assert compare(make_run, recipe) < 1e-4  # images are float32, and resampled in another order


def test_a_regression_on_a_table(make_recipe: Any, make_run: Any, numbers: Any) -> None:
    recipe = make_recipe("mlp", lr=0.01)
    one, other = make_run(recipe, numbers), make_run(recipe, numbers)
    ours, theirs = folds_of(one), folds_of(other)
    stack = fused.Stack(ours)
    for _ in range(2):
        fused.train_epoch(stack, one.resident, one.loss, "r2", torch.float64, lambda: None)
        for fold in theirs:
            serial.train_epoch(fold, other.resident, other.loss, "r2", torch.float64, lambda: None)
    assert difference(ours, theirs) <= TOLERANCE


def test_folds_that_drop_out_or_join_midway(make_recipe: Any, make_run: Any) -> None:
    recipe = make_recipe("lenet", lr=0.01)
    one, other = make_run(recipe), make_run(recipe)
    ours, theirs = folds_of(one), folds_of(other)
    together(one, fused.Stack(ours[:2]), 1)
    together(one, fused.Stack(ours[2:]), 1)  # a fold of its own catches up
    together(one, fused.Stack(ours), 1)
    together(one, fused.Stack([ours[0], ours[2]]), 1)
    alone(other, theirs, 2)
    alone(other, [theirs[0], theirs[2]], 1)
    assert difference(ours, theirs) <= TOLERANCE
    assert [fold.epochs for fold in ours] == [3, 2, 3]


def test_a_stacked_fold_can_go_on_alone_and_be_saved(make_recipe: Any, make_run: Any) -> None:
    recipe = make_recipe("resnet", optimizer="adamw", lr=0.01)
    one, other = make_run(recipe), make_run(recipe)
    ours, theirs = folds_of(one), folds_of(other)
    together(one, fused.Stack(ours), 1)
    alone(one, ours[:1], 1)
    alone(other, theirs, 1)
    alone(other, theirs[:1], 1)
    assert difference(ours, theirs) <= TOLERANCE
