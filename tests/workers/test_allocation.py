"""How many processes search side by side, and which device is whose."""

from __future__ import annotations

from dataclasses import replace

import joblib
import numpy as np
import pytest
import torch

from automl.data.sources.arrays import from_arrays
from automl.errors import SettingsError
from automl.run.prepare import prepare
from automl.settings import make_settings
from automl.workers.allocation import MAX_WORKERS, count_workers, device_of, threads_of

ROWS = np.random.default_rng(0).normal(size=(5000, 200)).astype(np.float32)


@pytest.fixture(scope="module")
def large():
    return from_arrays(ROWS, np.arange(5000) % 2)


@pytest.fixture(scope="module")
def small():
    return from_arrays(ROWS[:200], np.arange(200) % 2)


def context(dataset, **given):
    return prepare(make_settings(**({} if "devices" in given else {"device": "cpu"}), **given), dataset)


def gpus(context, number):
    """As `context`, on a machine with so many GPUs."""
    devices = tuple(torch.device("cuda", index) for index in range(number))
    return replace(context, device=devices[0], devices=devices)


def test_auto_is_a_worker_for_each_thread_where_the_data_are_large(large):
    assert count_workers(context(large, threads=3), None) == 3
    assert count_workers(context(large), None) == min(joblib.cpu_count(), MAX_WORKERS)
    assert count_workers(context(large, threads=64), None) == MAX_WORKERS


def test_auto_is_no_more_workers_than_trials(large):
    assert count_workers(context(large, threads=4, trials=2), None) == 2


def test_auto_is_one_where_the_data_are_small_and_a_search_shall_be_the_same_each_time(small):
    assert count_workers(context(small, threads=4), None) == 1


def test_auto_is_one_on_a_gpu_which_stacked_folds_fill(large):
    assert count_workers(gpus(context(large, threads=4), 1), None) == 1


def test_auto_is_one_for_each_of_several_devices_and_no_more_than_trials(small):
    assert count_workers(context(small, devices="cpu,cpu,cpu"), None) == 3
    assert count_workers(context(small, devices="cpu,cpu,cpu", trials=2), None) == 2
    assert count_workers(gpus(context(small, devices="auto"), 8), None) == 8


def test_workers_and_who_replaces_them_have_the_devices_in_turn(small):
    two = gpus(context(small, devices="auto", workers=5), 2)
    assert [str(device_of(place, two)) for place in range(5)] == ["cuda:0", "cuda:1", "cuda:0", "cuda:1", "cuda:0"]


def test_a_device_that_was_named_does_not_stay_idle_unseen(small):
    with pytest.raises(
        SettingsError, match=r"--workers 2: each of the 3 devices of --devices takes a worker of its own"
    ):
        count_workers(context(small, devices="cpu,cpu,cpu", workers=2), None)


def test_of_the_devices_of_auto_some_may_stay_idle(small):
    assert count_workers(gpus(context(small, devices="auto", workers=2), 8), None) == 2


def test_the_threads_are_shared_out(small):
    assert threads_of(context(small, threads=8), 3) == 2
    assert threads_of(context(small, threads=2), 3) == 1


def test_a_number_is_taken_as_it_is_up_to_that_of_the_trials(small):
    assert count_workers(context(small, workers=5), None) == 5
    assert count_workers(context(small, workers=500, trials=3), None) == 3  # more would have nothing to do


def test_sqlite_has_one_writer_only(large):
    assert count_workers(context(large, threads=4), "sqlite:///study.db") == 1
    with pytest.raises(SettingsError, match="--workers 2: SQLite takes one writer"):
        count_workers(context(large, workers=2), "sqlite:///study.db")
    with pytest.raises(SettingsError, match="--devices cpu,cpu: SQLite takes one writer"):
        count_workers(context(large, devices="cpu,cpu"), "sqlite:///study.db")
    assert count_workers(gpus(context(large, devices="auto"), 2), "sqlite:///study.db") == 1
    assert count_workers(context(large, threads=4), "postgresql+psycopg://me@here/db") == 4


@pytest.mark.parametrize("wrong", ["many", "0", "-1", "1.5", 0, True])
def test_another_number_of_workers_is_refused_with_the_law(wrong):
    with pytest.raises(SettingsError, match=f"--workers {wrong}: must be auto or a whole number from 1"):
        make_settings(workers=wrong)


def test_the_command_line_gives_the_number_as_text():
    assert make_settings(workers="3").workers == 3
    assert make_settings(workers="auto").workers == "auto"
