"""A recipe: weight decay on weights alone, and what else is built of a config."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from automl import Choice, Policy, augmentation
from automl.data.augmentation.augment import BatchAugmentation
from automl.errors import BadInput, TrialFailed
from automl.training.recipe import Recipe

SHAPE = (1, 8, 8)


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
        torch.manual_seed(0)  # a weight of 1e-5 would be within Adam's epsilon
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
