"""The network of airbench against its paper: a whitened first layer, convolutions that begin as the identity."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from automl.data.resident import Resident
from automl.training.run import TrialRun


def images(count: int, side: int = 12) -> torch.Tensor:
    """Blurred noise, whose neighbouring pixels are alike."""
    noise = torch.randn(count, 3, side + 4, side + 4, generator=torch.Generator().manual_seed(0))
    return nn.functional.avg_pool2d(noise, 5, 1)


def test_the_patches_of_the_images_that_it_was_fitted_to_are_uncorrelated_with_variance_one(host):
    network, x = host.architecture("airbench").build((3, 12, 12), 10, width=16, dropout=0.0), 20 * images(200)
    network.fit_input(x)
    with torch.no_grad():
        z = network.whitening(x).transpose(0, 1).flatten(1)
    half = len(z) // 2
    assert torch.equal(z[half:], -z[:half])
    torch.testing.assert_close(z[:half] @ z[:half].T / z.shape[1], torch.eye(half), atol=2e-2, rtol=0)


def test_a_group_hands_its_input_through_before_it_is_trained(host):
    group = host.architecture("airbench").build((3, 32, 32), 10, width=32, dropout=0.0).groups[1]
    x = images(4, 20)[:, :1].repeat(1, 24, 1, 1)
    torch.testing.assert_close(group[0](x)[:, :24], x)


def test_its_filters_are_those_of_each_folds_training_part(host, make_recipe, images):
    resident, samples = Resident(images, torch.device("cpu")), [(np.arange(0, 40), np.arange(40, 60))] * 2
    samples[1] = (np.arange(20, 60), np.arange(20))
    run = TrialRun(make_recipe(host.architecture("airbench"), width=16, dropout=0.0), resident, samples, seed=0)
    list(run.advance(1, 2))
    first, second = (fold.network.whitening.weight for fold in run.folds)
    assert not torch.allclose(first, second)
    expected = host.architecture("airbench").build((1, 8, 8), 2, width=16, dropout=0.0)
    x, _ = resident.batch(torch.arange(40))
    expected.fit_input(run.folds[0].normalisation.inputs(x))
    torch.testing.assert_close(first, expected.whitening.weight)
