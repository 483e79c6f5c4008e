import numpy as np
import pytest

from automl.data.sources.arrays import from_arrays
from automl.run.prepare import merge_space
from automl.run.table_sizes import for_table, suit_batches
from automl.settings import make_settings
from automl.spaces.parameters import Choice


def table(rows):
    return from_arrays(np.random.default_rng(0).normal(size=(rows, 2)), np.arange(rows, dtype=float), task="regression")


@pytest.mark.parametrize(("rows", "epochs"), [(60, 100), (5_000, 42), (50_000, 8), (400_000, 4)])
def test_the_larger_a_table_the_fewer_epochs(rows, epochs):
    assert for_table(make_settings(timeout=180), table(rows)).epochs == epochs


def test_more_time_is_for_more_epochs():
    assert for_table(make_settings(timeout="1h"), table(50_000)).epochs == 34


@pytest.mark.parametrize("given", [{"epochs": 20}, {"ladder": "1x1,20x5"}])
def test_epochs_that_are_asked_for_stay(given):
    assert for_table(make_settings(**given), table(5_000)).epochs == 20


def test_images_have_the_default():
    images = from_arrays(np.random.default_rng(0).integers(0, 256, (20, 8, 8), dtype=np.uint8), np.arange(20) % 2)
    assert for_table(make_settings(), images).epochs == 20


def batches(host, rows, **given):
    settings, data = make_settings(timeout=180, **given), table(rows)
    space = merge_space(settings, host, "tabular")
    return suit_batches(space, for_table(settings, data), data).training["batch_size"]


@pytest.mark.parametrize(("rows", "kept"), [(60, 16), (5_000, Choice(64, 128)), (400_000, Choice(256, 512, 1024))])
def test_batches_give_a_training_neither_too_few_steps_nor_too_many(host, rows, kept):
    assert batches(host, rows) == kept


def test_batches_that_are_asked_for_stay(host):
    assert batches(host, 400_000, overrides=("train.batch_size=16",)) == 16
