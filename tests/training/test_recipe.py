"""A recipe: the check on `meta` before anything is allocated, and weight decay on weights alone."""

from __future__ import annotations

import resource
from dataclasses import replace

import pytest
import torch
from torch import nn

from automl import Choice, Int, Policy, architecture, augmentation
from automl.data.augment import BatchAugmentation
from automl.errors import BadInput, Infeasible, TrialFailed
from automl.training.recipe import Recipe, check_on_meta

SHAPE = (1, 8, 8)


@architecture(kernel_size=Int(1, 99))
def one_kernel(input_shape, num_outputs, *, kernel_size):
    """A single convolution without padding."""
    return nn.Sequential(
        nn.Conv2d(input_shape[0], 4, kernel_size), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, num_outputs)
    )


@architecture()
def giant(input_shape, num_outputs):
    """10**12 parameters: 4 TB."""
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 10**6), nn.Linear(10**6, 10**6), nn.Linear(10**6, num_outputs))


@architecture(what=Choice("too wide", "image", "tuple", "string"))
def wrong_output(input_shape, num_outputs, *, what):
    """Does not return [batch, outputs]."""
    if what == "string":
        return "no module"

    class Wrong(nn.Module):
        def forward(self, x):
            return {"too wide": x.flatten(1), "image": x, "tuple": (x, x)}[what]

    return Wrong()


class Peeking(nn.Module):
    """Looks at a value in `forward`, which `meta` does not have."""

    def __init__(self, num_outputs):
        super().__init__()
        self.linear = nn.Linear(64, num_outputs)

    def forward(self, x):
        x = x.flatten(1)
        return self.linear(x) if x.mean().item() > -1e9 else self.linear(-x)


@architecture()
def peeking(input_shape, num_outputs):
    """A network whose way depends on the values."""
    return Peeking(num_outputs)


def test_a_network_that_fits_is_counted_without_being_allocated(make_recipe):
    assert check_on_meta(make_recipe("linear"), SHAPE, 3, None) == 64 * 3 + 3


def test_a_kernel_wider_than_the_image_is_infeasible(make_recipe):
    assert check_on_meta(make_recipe(one_kernel, kernel_size=8), SHAPE, 3, None) > 0
    with pytest.raises(Infeasible, match=r"does not fit the input \(1, 8, 8\): .*[Kk]ernel size"):
        check_on_meta(make_recipe(one_kernel, kernel_size=9), SHAPE, 3, None)


def test_what_a_plugin_itself_calls_infeasible_stays_infeasible(make_recipe):
    with pytest.raises(Infeasible, match="lenet needs images"):
        check_on_meta(make_recipe("lenet"), (64,), 3, None)


def test_the_largest_number_of_parameters_is_kept_to_the_last_one(make_recipe):
    assert check_on_meta(make_recipe("linear"), SHAPE, 3, 195) == 195
    with pytest.raises(Infeasible, match="195 parameters are more than --max-params 194"):
        check_on_meta(make_recipe("linear"), SHAPE, 3, 194)


def test_a_million_million_parameters_are_infeasible_before_a_byte_is_allocated(make_recipe, make_run):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(Infeasible, match=r"1,000,0\d\d,\d{3},\d{3} parameters are more than --max-params 1,000,000"):
        make_run(make_recipe(giant), max_params=1_000_000)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # KiB


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("too wide", r"to \[2, 64\]"),
        ("image", r"to \[2, 1, 8, 8\]"),
        ("tuple", r"to \[\]"),
        ("string", "str, not an nn"),
    ],
)
def test_a_wrong_output_fails_the_trial_and_names_the_plugins_file_and_line(what, said, make_recipe):
    line = wrong_output.build.__code__.co_firstlineno
    with pytest.raises(TrialFailed, match=said) as caught:
        check_on_meta(make_recipe(wrong_output, what=what), SHAPE, 3, None)
    assert f"'wrong_output' ({__file__}:{line})" in caught.value.reason


def test_a_network_that_looks_at_values_is_not_called_infeasible(make_recipe):
    assert check_on_meta(make_recipe(peeking), SHAPE, 3, None) == 195


class TestWeightDecay:
    def test_only_weights_are_decayed_neither_biases_nor_norms(self, make_recipe):
        recipe = make_recipe("lenet", weight_decay=0.25)
        network = recipe.build_network(SHAPE, 3)
        groups = recipe.build_optimizer(network).param_groups
        decay = {id(p): group["weight_decay"] for group in groups for p in group["params"]}
        for module in network.modules():
            for name, parameter in module.named_parameters(recurse=False):
                is_weight = name == "weight" and isinstance(module, nn.Conv2d | nn.Linear)
                assert decay[id(parameter)] == (0.25 if is_weight else 0.0), (module, name)
        assert len(decay) == len(list(network.parameters()))

    def test_a_step_of_sgd_is_the_closed_form(self, make_recipe):
        recipe = make_recipe("mlp", lr=0.1, weight_decay=0.5, momentum=0.0, dropout=0.0)
        network = recipe.build_network(SHAPE, 3)
        optimizer = recipe.build_optimizer(network)
        before = [parameter.detach().clone() for parameter in network.parameters()]
        network(torch.randn(4, *SHAPE, generator=torch.Generator().manual_seed(0))).square().mean().backward()
        optimizer.step()
        for old, parameter in zip(before, network.parameters(), strict=True):
            decay = 0.5 if parameter.ndim > 1 else 0.0
            torch.testing.assert_close(parameter.detach(), old - 0.1 * (parameter.grad + decay * old))
            assert not torch.equal(parameter.detach(), old)

    @pytest.mark.parametrize(("optimizer", "factor"), [("adamw", 1 - 0.1 * 0.5), ("adam", None)])
    def test_adamw_decouples_decay_from_the_gradient_and_adam_does_not(self, optimizer, factor, make_recipe):
        recipe = make_recipe("linear", optimizer=optimizer, lr=0.1, weight_decay=0.5)
        network = recipe.build_network(SHAPE, 3)
        weight = network[2].weight
        before = weight.detach().clone()
        weight.grad = torch.zeros_like(weight)
        recipe.build_optimizer(network).step()
        # With no gradient AdamW only shrinks; Adam sees the decay as its gradient and takes a full step of `lr`.
        expected = before * factor if factor else before - 0.1 * before.sign()
        torch.testing.assert_close(weight.detach(), expected, atol=1e-4, rtol=1e-4)


@augmentation(made=Choice("policy", "function", "neither"))
def any_kind(*, made):
    """Makes what it is asked for."""
    return {"policy": Policy(shift=0.2), "function": torch.Tensor.bitwise_not, "neither": 3}[made]


class TestAugmentation:
    def make(self, recipe, made, **parts):
        return replace(
            recipe, augmentation=any_kind, augmentation_config={"made": made}, augmentation_parts=parts
        ).build_augmentation()

    def test_without_a_declaration_the_parts_alone_are_the_policy(self, make_recipe):
        assert make_recipe().build_augmentation() == BatchAugmentation()
        recipe = replace(make_recipe(), augmentation_parts={"noise": 0.1})
        assert recipe.build_augmentation() == BatchAugmentation(Policy(noise=0.1))

    def test_a_plugin_may_make_a_policy_with_its_own_parameters(self, make_recipe):
        assert self.make(make_recipe(), "policy", cutout=0.3).policy == Policy(shift=0.2, cutout=0.3)

    def test_a_plugin_may_make_a_function_that_the_parts_come_after(self, make_recipe):
        images, y = torch.randint(0, 256, (4, 3, 6, 6), dtype=torch.uint8), torch.arange(4)
        changed, _ = self.make(make_recipe(), "function", vertical_flip=1.0)(images, y, 4)
        assert torch.equal(changed, (255 - images).flip(2))

    def test_a_plugin_that_makes_neither_is_named(self, make_recipe):
        with pytest.raises(TrialFailed, match=r"plugin 'any_kind' \(.*test_recipe.py:\d+\): build\(\) returned int"):
            self.make(make_recipe(), "neither")


class TestFromConfig:
    CONFIG = {  # noqa: RUF012
        "architecture": "linear",
        "linear.dropout": 0.1,
        "train.optimizer": "sgd",
        "train.schedule": "step",
        "train.lr": 0.01,
        "train.weight_decay": 0.0,
        "train.batch_size": 32,
        "train.augmentation": "light",
        "train.sgd.momentum": 0.9,
        "train.sgd.nesterov": True,
        "train.step.drops": 2,
        "train.step.gamma": 0.1,
    }

    def test_each_builder_gets_its_own_arguments(self, host):
        recipe = Recipe.from_config(self.CONFIG, host, epochs=7)
        assert recipe.architecture_config == {"dropout": 0.1}
        assert recipe.optimizer_config == {"momentum": 0.9, "nesterov": True}
        assert recipe.schedule_config == {"drops": 2, "gamma": 0.1}
        assert (recipe.lr, recipe.batch_size, recipe.epochs) == (0.01, 32, 7)
        assert recipe.build_augmentation() == BatchAugmentation(Policy(horizontal_flip=0.5, shift=0.07))

    def test_parts_of_an_augmentation_replace_those_of_the_policy(self, host):
        config = {**self.CONFIG, "train.horizontal_flip": 0.0, "train.rotation": 20, "train.mixup": 0.3}
        augmentation = Recipe.from_config(config, host, epochs=7).build_augmentation()
        assert augmentation == BatchAugmentation(Policy(shift=0.07, rotation=20, mixup=0.3))

    def test_a_missing_plugin_is_named(self, host):
        with pytest.raises(BadInput, match="unknown architecture 'lineal'; did you mean 'linear'"):
            Recipe.from_config({**self.CONFIG, "architecture": "lineal"}, host, epochs=7)
