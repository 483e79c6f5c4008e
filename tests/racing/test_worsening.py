"""Whether a curve has clearly worsened, and which epoch of it counts."""

import numpy as np
import pytest

from automl.racing.worsening import NOISE, averages, best_average, epoch_that_counts, noise, worsened_for

TURNING = np.array([1.0, 0.5, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9])


def test_a_curve_that_falls_or_stays_counts_at_its_last_epoch():
    assert epoch_that_counts(np.linspace(1, 0.1, 10)) == 10
    assert epoch_that_counts(np.full(10, 0.3)) == 10
    assert epoch_that_counts(np.array([0.3, 0.9])) == 2
    assert epoch_that_counts(np.empty(0)) == 0


def test_a_curve_that_has_turned_counts_around_its_lowest_average():
    assert averages(TURNING).round(6).tolist() == [0.633333, 0.466667, 0.5, 0.6, 0.7, 0.8]
    assert best_average(TURNING) == epoch_that_counts(TURNING) == 3
    assert worsened_for(TURNING) == 4  # those that end at epochs 5 to 8


def test_a_rise_within_the_tolerance_is_none():
    risen = np.array([1.0, 0.5, 0.5, 0.5, 0.5, 0.505, 0.51, 0.515, 0.52, 0.52, 0.52])
    assert worsened_for(risen) == 0
    assert worsened_for(risen, tolerance=0.02) > 0


def test_one_bad_epoch_at_the_end_is_noise():
    flat = np.array([1.0, 0.5, 0.52, 0.49, 0.51, 0.5, 0.52, 0.49, 0.65])
    assert worsened_for(flat) == 0
    assert epoch_that_counts(flat) == flat.size


@pytest.mark.parametrize("slope", [0.0, -0.2, 0.5])
def test_the_noise_is_that_of_the_epochs_whatever_the_trend(slope):
    epochs = np.arange(2000)
    curve = slope * epochs + 0.1 * np.random.default_rng(0).standard_normal(2000)
    assert noise(curve) == pytest.approx(0.1, rel=0.1)
    assert noise(slope * epochs.astype(float)) == pytest.approx(0, abs=1e-9)


def test_the_steep_start_of_a_training_is_no_noise():
    curve = np.concatenate([[50.0, 9.0, 2.0], 1 + 0.01 * np.random.default_rng(0).standard_normal(40)])
    assert noise(curve) == pytest.approx(0.01, rel=0.5)


def test_a_rise_must_be_above_the_noise():
    zigzag = np.tile([0.9, 1.1], 6)
    rise = np.concatenate([zigzag, zigzag + 0.2])
    assert 0.05 < 0.2 < noise(rise) * NOISE
    assert worsened_for(rise) == 0
    assert worsened_for(np.concatenate([zigzag * 0 + 1, zigzag * 0 + 1.2])) > 0
