"""Photos as a network is given them in training."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import nn

from automl.conclude.sample_photos import choose_samples, first_input, show_photos
from automl.data.resident import PixelInputs, Resident
from automl.data.sources.arrays import from_arrays
from automl.models.modules import Standardised

INPUTS = PixelInputs(torch.full((1, 1, 1, 1), 100.0), torch.full((1, 1, 1, 1), 50.0))


class Resizing(nn.Module):
    """Resizes to 4 x 4, makes one channel three, and then has a layer."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Conv2d(3, 2, 3)

    def forward(self, x):
        x = nn.functional.interpolate(x, (4, 4), mode="area").expand(-1, 3, -1, -1)
        return self.layer(x).flatten(1)


def shown(make_recipe, images, samples, network=None, frozen=False, seed=0, **policy):
    recipe = replace(make_recipe("lenet"), augmentation_parts=policy)
    module = Standardised(network or Resizing(), INPUTS)
    resident = Resident(images, torch.device("cpu"))
    return show_photos(module, recipe, resident, samples, frozen=frozen, seed=seed)


def test_they_are_what_the_first_layer_is_given_after_the_networks_own_resizing(images):
    pixels = torch.from_numpy(np.asarray(images.x[:5]))
    given = first_input(Resizing(), INPUTS, pixels)
    expected = nn.functional.interpolate(pixels.float(), (4, 4), mode="area").expand(-1, 3, -1, -1)
    torch.testing.assert_close(given, expected, atol=1e-3, rtol=0)


def test_a_network_that_makes_no_picture_of_them_shows_them_as_they_are(images):
    class Flat(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(64, 2)

        def forward(self, x):
            return self.layer(x.flatten(1))

    pixels = torch.from_numpy(np.asarray(images.x[:5]))
    torch.testing.assert_close(first_input(Flat(), INPUTS, pixels), pixels.float())


def test_the_same_seed_augments_alike_and_another_one_otherwise(make_recipe, images):
    samples = np.arange(12)
    first, again, other = (
        shown(make_recipe, images, samples, seed=seed, brightness=0.5, shift=0.2) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first.pixels, again.pixels)
    assert (first.pixels != other.pixels).any()
    assert first.changes == ("shift", "brightness")


def test_what_draws_for_the_report_leaves_the_random_numbers_of_others_alone(make_recipe, images):
    network = Resizing()  # its weights are random too
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    shown(make_recipe, images, np.arange(6), network, brightness=0.5)
    torch.testing.assert_close(torch.rand(3), expected)


def test_a_frozen_part_is_shown_photos_that_are_mirrored_at_most(make_recipe, images):
    network = nn.Sequential(nn.Conv2d(1, 1, 1))
    found = shown(make_recipe, images, np.arange(20), network, True, horizontal_flip=0.5, brightness=0.5)
    assert found.changes == ("horizontal flip",)
    whole = np.asarray(images.x[:20])
    plain = (found.pixels == whole).all(axis=(1, 2, 3))
    mirrored = (found.pixels == whole[..., ::-1]).all(axis=(1, 2, 3))
    assert (plain | mirrored).all()
    assert plain.any()
    assert mirrored.any()


def test_each_of_the_commonest_classes_has_some_and_only_of_the_training_part():
    y = np.repeat(np.arange(30), np.arange(30, 60))
    data = from_arrays(np.zeros((len(y), 8, 8), dtype=np.uint8) + np.arange(len(y))[:, None, None] % 251, y, name="x")
    training = np.flatnonzero(np.arange(len(y)) % 2)
    samples = choose_samples(data, training, seed=0)
    commonest = np.argsort(-np.bincount(y[training]), kind="stable")[:10]
    assert sorted(set(y[samples])) == sorted(commonest)
    assert (np.bincount(y[samples])[np.sort(commonest)] == 2).all()
    assert set(samples) <= set(training)
    np.testing.assert_array_equal(samples, choose_samples(data, training, seed=0))
