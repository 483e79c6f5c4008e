"""The data on the device, and a normalisation that knows the training part only."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from automl.data.resident import CHUNK, Resident, refuse_too_large
from automl.data.sources.arrays import from_arrays
from automl.errors import DataError

CPU = torch.device("cpu")


def resident_of(x, y=None, **changes):
    labels = np.arange(len(x)) % 2 if y is None else y
    return Resident(dataclasses.replace(from_arrays(x, labels), **changes), CPU)


def inputs_of(x, train):
    return resident_of(x).normalisation(train).inputs


@pytest.mark.parametrize("channels", [1, 3])
def test_images_are_normalised_by_the_training_parts_mean_and_deviation_per_channel(channels):
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (30, channels, 5, 7), dtype=np.uint8)
    x[20:] //= 4  # what is not in the training part is quite different
    resident, train = resident_of(x.transpose(0, 2, 3, 1)), np.arange(20)
    norm = resident.normalisation(train)
    np.testing.assert_allclose(norm.inputs.mean.ravel(), x[:20].mean((0, 2, 3)), rtol=1e-6)
    np.testing.assert_allclose(norm.inputs.std.ravel(), x[:20].std((0, 2, 3)), rtol=1e-6)
    raw, _ = resident.batch(torch.arange(20))
    normal = norm.inputs(raw)
    assert normal.dtype is torch.float32
    np.testing.assert_allclose(normal.mean((0, 2, 3)), np.zeros(channels), atol=1e-5)
    np.testing.assert_allclose(normal.std((0, 2, 3), correction=0), np.ones(channels), rtol=1e-5)


def test_tables_are_normalised_by_the_training_parts_mean_and_deviation_per_column():
    rng = np.random.default_rng(0)
    x = (rng.normal(0, 1, (50, 3)) * [1, 1000, 1e-3] + [0, 1e4, 5]).astype(np.float32)
    train = np.arange(0, 50, 2)
    inputs = inputs_of(x, train)
    np.testing.assert_allclose(inputs.mean[0], x[train].astype(float).mean(0), rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(inputs.std[0], x[train].astype(float).std(0), rtol=1e-4)


def test_images_larger_than_a_chunk_are_summed_whole():
    x = np.random.default_rng(0).integers(0, 256, (CHUNK + 7, 2, 3), dtype=np.uint8)
    inputs = inputs_of(x, np.arange(len(x)))
    np.testing.assert_allclose(inputs.mean.ravel(), x.mean(), rtol=1e-6)
    np.testing.assert_allclose(inputs.std.ravel(), x.std(), rtol=1e-6)


def test_inputs_of_a_table_are_kept_for_the_next_trial_and_the_oldest_go_first(monkeypatch):
    resident = resident_of(np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32))
    first = resident.normalisation(np.arange(30))
    assert resident.normalisation(np.arange(30)).rows is first.rows
    monkeypatch.setattr("automl.data.resident.PREPARED", 40 * 3 * 4)
    resident.normalisation(np.arange(20))
    assert resident.normalisation(np.arange(30)).rows is not first.rows


@pytest.mark.parametrize("constant", [0.0, 1.0, -3.7, 1e6, 123456.789, 1e-5])
def test_a_constant_column_becomes_zero_and_never_infinite(constant):
    x = np.column_stack([np.full(40, constant), np.arange(40.0)]).astype(np.float32)
    x[39, 0] = constant + 1  # constant in the training part only
    normal = resident_of(x).normalisation(np.arange(39)).rows
    np.testing.assert_allclose(normal[:39, 0], np.zeros(39), atol=1e-2 if constant > 1e5 else 1e-6)
    assert normal[39, 0] == pytest.approx(1, rel=0.1)


def test_a_black_channel_becomes_zero():
    x = np.random.default_rng(0).integers(0, 256, (20, 4, 4, 3), dtype=np.uint8)
    x[..., 1] = 0
    resident = resident_of(x)
    normal = resident.normalisation(np.arange(20)).inputs(resident.batch(torch.arange(20))[0])
    assert torch.equal(normal[:, 1], torch.zeros(20, 4, 4))


def test_targets_of_a_regression_are_normalised_by_output_and_labels_are_not():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(40, 2)).astype(np.float32), (rng.normal(size=(40, 2)) * [1e3, 1] + [1e5, 0]).astype("f4")
    norm = resident_of(x, y).normalisation(np.arange(30))
    np.testing.assert_allclose(norm.target.mean[0], y[:30].astype(float).mean(0), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(norm.target.std[0], y[:30].astype(float).std(0), rtol=1e-4)
    assert resident_of(x).normalisation(np.arange(30)).target is None


def test_a_batch_holds_the_samples_asked_for_channels_last():
    x = np.random.default_rng(0).integers(0, 256, (10, 4, 5, 3), dtype=np.uint8)
    resident = resident_of(x)
    index = torch.tensor([7, 0, 7])
    batch, y = resident.batch(index)
    assert batch.dtype is torch.uint8
    np.testing.assert_array_equal(batch, x[[7, 0, 7]].transpose(0, 3, 1, 2))
    assert batch.is_contiguous(memory_format=torch.channels_last)
    assert y.tolist() == [1, 0, 1]


def test_the_data_of_the_caller_are_not_changed_or_shared_when_read_only():
    x = np.random.default_rng(0).integers(0, 256, (10, 4, 4), dtype=np.uint8)
    x.flags.writeable = False
    resident = resident_of(x)
    assert len(resident) == 10
    assert not np.shares_memory(resident._x.numpy(), x)


def test_data_larger_than_a_gpus_free_memory_are_refused_with_both_sizes():
    dataset = from_arrays(np.zeros((4, 8), dtype=np.float32) + np.arange(4)[:, None], np.arange(4) % 2, name="much")
    gpu = torch.device("cuda", 0)
    refuse_too_large(dataset, gpu, free=2**30)
    refuse_too_large(dataset, CPU)
    with pytest.raises(DataError, match=r"much: the data take 0.0 GiB, and cuda:0 has 0.0 GiB free, .*--device cpu"):
        refuse_too_large(dataset, gpu, free=100)
