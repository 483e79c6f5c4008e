"""The features before a network's last linear layer, and what is near by them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.neighbors import NearestNeighbors
from torch import nn

from automl.conclude.penultimate import NoLinearLayer, Penultimate, cosine, nearest
from automl.data.resident import PixelInputs, Resident
from automl.errors import Interrupted
from automl.models.modules import Ensemble, Standardised
from automl.scheduling.deadline import Deadline


def standardised(network: nn.Module) -> Standardised:
    return Standardised(network, PixelInputs(torch.full((1, 1, 1, 1), 100.0), torch.full((1, 1, 1, 1), 50.0))).eval()


def convolutional() -> nn.Sequential:
    torch.manual_seed(0)
    parts = [nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten()]
    return nn.Sequential(*parts, nn.Linear(16, 7), nn.ReLU(), nn.Dropout(0.5), nn.Linear(7, 3)).eval()


@pytest.fixture
def resident(images) -> Resident:
    return Resident(images, torch.device("cpu"))


def test_neighbours_are_those_of_scikit_learn_by_the_cosine():
    rng = np.random.default_rng(0)
    queries, others = rng.normal(size=(9, 20)), rng.normal(size=(50, 20))
    distances, expected = NearestNeighbors(n_neighbors=3, metric="cosine").fit(others).kneighbors(queries)
    places, cosines = nearest(queries, others, 3)
    np.testing.assert_array_equal(places, expected)
    np.testing.assert_allclose(cosines, 1 - distances, atol=1e-5)
    np.testing.assert_allclose(cosine(queries[:4], others[expected[:4, 0]]), 1 - distances[:4, 0], atol=1e-5)


def test_features_are_the_inputs_of_the_last_linear_layer_without_dropout(images, resident):
    network = convolutional()
    samples = np.array([5, 0, 60])
    found = Penultimate(standardised(network), resident).of(samples, Deadline())
    with torch.no_grad():
        expected = network[:-1]((torch.from_numpy(np.asarray(images.x[samples])).float() - 100) / 50)
    np.testing.assert_allclose(found, expected.numpy(), atol=1e-5)


def test_those_of_an_ensemble_are_its_first_networks(resident):
    networks = [standardised(convolutional()), standardised(convolutional())]
    nn.init.zeros_(networks[1].network[5].weight)
    samples = np.arange(10)
    both = Penultimate(Ensemble(networks), resident).of(samples, Deadline())
    alone = Penultimate(networks[0], resident).of(samples, Deadline())
    np.testing.assert_array_equal(both, alone)


def test_the_models_own_network_keeps_no_hook_and_no_change(resident):
    network = convolutional()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    Penultimate(standardised(network), resident).of(np.arange(3), Deadline())
    assert all(not layer._forward_pre_hooks for layer in network.modules())
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_a_network_without_a_linear_layer_has_none(resident):
    network = nn.Sequential(nn.Conv2d(1, 3, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    with pytest.raises(NoLinearLayer):
        Penultimate(standardised(network), resident).of(np.arange(3), Deadline())


def test_when_the_time_is_over_there_are_features_of_the_first_samples_only(resident):
    penultimate = Penultimate(standardised(convolutional()), resident)
    penultimate.size = 8
    ticks = iter(np.arange(100.0))
    found = penultimate.of(np.arange(61), Deadline(3.5, clock=lambda: float(next(ticks))))
    assert 0 < len(found) < 61
    assert len(found) % 8 == 0
    with pytest.raises(Interrupted):
        penultimate.of(np.arange(61), Deadline(interrupted=lambda: True))
