"""What a network says of itself is heeded, and a mistake in it is told."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from automl import architecture
from automl.data.resident import Resident
from automl.data.sources.arrays import from_arrays
from automl.errors import TrialFailed
from automl.models.model import Standardised
from automl.training.network import expected_normalisation, parameters_by_ratio, rebuild_config, seen_shape
from automl.training.on_meta import check_on_meta

calls: list[str] = []


class Telling(nn.Module):
    """A convolution and a head; the attributes are those of a pretrained network."""

    def __init__(self, outputs, **said):
        super().__init__()
        self.body, self.head = nn.Conv2d(1, 3, 3), nn.Linear(3, outputs)
        for name, value in said.items():
            setattr(self, name, value)

    def load_weights(self):
        calls.append(self.head.weight.device.type)
        with torch.no_grad():
            self.head.weight.fill_(0.25)

    def forward(self, x):
        return self.head(self.body(x).mean((2, 3)))


@architecture()
def telling(input_shape, num_outputs):
    """A network that brings its weights."""
    return Telling(num_outputs, lr_ratios={"body.": 0.1, "body.bias": 0.5}, pixel_mean=[100.0], pixel_std=[50.0])


@pytest.fixture(scope="module")
def own(images):
    return Resident(images, torch.device("cpu")).normalisation(np.arange(30))


def test_weights_are_loaded_once_for_each_fold_and_never_on_meta(make_recipe, make_run):
    calls.clear()
    run = make_run(make_recipe(telling))
    assert check_on_meta(make_recipe(telling), (1, 8, 8), 3, None).parameters == run.parameters
    assert calls == []
    next(run.advance(1, 2))
    assert calls == ["cpu", "cpu"]


def test_each_ratio_has_a_group_of_weights_and_one_of_biases(make_recipe):
    recipe = make_recipe(telling, lr=0.2, weight_decay=0.5, schedule="step")
    network = recipe.build_network((1, 8, 8), 3)
    network.head.bias.requires_grad_(False)
    optimizer = recipe.build_optimizer(network)
    body, head = network.body, network.head
    found = [(g["lr"], g["weight_decay"], [id(p) for p in g["params"]]) for g in optimizer.param_groups]
    assert found == [
        (pytest.approx(0.02), 0.5, [id(body.weight)]),
        (pytest.approx(0.1), 0.0, [id(body.bias)]),
        (0.2, 0.5, [id(head.weight)]),
    ]
    schedule = recipe.build_schedule(optimizer, 1)
    for _ in range(recipe.epochs):
        optimizer.step()
        schedule.step()
    rates = [group["lr"] for group in optimizer.param_groups]
    assert rates[0] < 0.02
    assert rates == pytest.approx([rates[2] / 10, rates[2] / 2, rates[2]])


def test_without_ratios_there_are_the_two_groups_of_always(make_recipe):
    recipe = make_recipe("lenet")
    network = recipe.build_network((1, 8, 8), 3)
    assert list(parameters_by_ratio(network)) == [1.0]
    assert [g["weight_decay"] for g in recipe.build_optimizer(network).param_groups] == [1e-3, 0.0]


def test_a_prefix_that_no_parameter_has_fails_the_trial(make_recipe):
    with pytest.raises(TrialFailed, match=r"lr_ratios names .bdy., but .* begins so; did you mean .body."):
        parameters_by_ratio(Telling(3, lr_ratios={"bdy": 0.1}))


def test_the_networks_own_pixel_statistics_take_the_place_of_the_training_parts(make_recipe, make_run):
    run = make_run(make_recipe(telling))
    next(run.advance(1, 1))
    normalisation = run.folds[0].normalisation
    assert (normalisation.inputs.mean.item(), normalisation.inputs.std.item()) == (100.0, 50.0)


def test_grey_images_are_repeated_to_as_many_channels_as_the_network_expects(own):
    x = torch.randint(0, 256, (2, 1, 8, 8), dtype=torch.uint8)
    mean, std = [10.0, 20.0, 30.0], [1.0, 2.0, 3.0]
    found = expected_normalisation(Telling(3, pixel_mean=mean, pixel_std=std), own).inputs
    for channel in range(3):
        torch.testing.assert_close(found(x)[:, channel], (x[:, 0].float() - mean[channel]) / std[channel])
    saved = Standardised(nn.Identity(), found, None, None)
    torch.testing.assert_close(saved(x), found(x))


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ({"pixel_mean": [1.0]}, "belong together"),
        ({"pixel_mean": [1.0, 2.0], "pixel_std": [1.0]}, "2 numbers and pixel_std 1"),
        ({"pixel_mean": [1.0, 2.0], "pixel_std": [1.0, 2.0]}, "images of 3 channels need as many"),
    ],
)
def test_pixel_statistics_that_do_not_fit_fail_the_trial(said, problem):
    coloured = from_arrays(np.zeros((6, 4, 4, 3), np.uint8), np.arange(6) % 2, name="black")
    normalisation = Resident(coloured, torch.device("cpu")).normalisation(np.arange(6))
    with pytest.raises(TrialFailed, match=problem):
        expected_normalisation(Telling(3, **said), normalisation)


def test_pixel_statistics_are_refused_for_a_table(numbers):
    normalisation = Resident(numbers, torch.device("cpu")).normalisation(np.arange(6))
    with pytest.raises(TrialFailed, match="the data are no images"):
        expected_normalisation(Telling(3, pixel_mean=[1.0], pixel_std=[1.0]), normalisation)


def test_a_network_may_change_the_config_that_it_is_built_again_with():
    assert rebuild_config(Telling(3), {"a": 1}) == {"a": 1}
    assert rebuild_config(Telling(3, rebuild_config={"a": 2, "b": 3}), {"a": 1}) == {"a": 2, "b": 3}


def test_a_network_that_resizes_its_images_is_evaluated_as_one_that_is_given_them_so_large():
    network = nn.Linear(2, 2)
    assert seen_shape(network, [3, 32, 32]) == (3, 32, 32)
    network.image_size = (128, 192)
    assert seen_shape(network, (3, 32, 48)) == (3, 128, 192)
