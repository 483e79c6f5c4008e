"""How many processes search side by side."""

from __future__ import annotations

from dataclasses import replace

import joblib
import numpy as np
import pytest
import torch

from automl.data.arrays import from_arrays
from automl.errors import SettingsError
from automl.settings import make_settings
from automl.study.prepare import prepare
from automl.study.workers import MAX_WORKERS, count_workers

ROWS = np.random.default_rng(0).normal(size=(5000, 200)).astype(np.float32)


@pytest.fixture(scope="module")
def large():
    return from_arrays(ROWS, np.arange(5000) % 2)


@pytest.fixture(scope="module")
def small():
    return from_arrays(ROWS[:200], np.arange(200) % 2)


def prepared(dataset, **given):
    return prepare(make_settings(device="cpu", **given), dataset)


def test_auto_is_a_worker_for_each_thread_where_the_data_are_large(large):
    assert count_workers(prepared(large, threads=3), None) == 3
    assert count_workers(prepared(large), None) == min(joblib.cpu_count(), MAX_WORKERS)
    assert count_workers(prepared(large, threads=64), None) == MAX_WORKERS


def test_auto_is_no_more_workers_than_trials(large):
    assert count_workers(prepared(large, threads=4, trials=2), None) == 2


def test_auto_is_one_where_the_data_are_small_and_a_search_shall_be_the_same_each_time(small):
    assert count_workers(prepared(small, threads=4), None) == 1


def test_auto_is_one_on_a_gpu_which_stacked_folds_fill(large):
    on_gpu = replace(prepared(large, threads=4), device=torch.device("cuda"))
    assert count_workers(on_gpu, None) == 1


def test_a_number_is_taken_as_it_is(small):
    assert count_workers(prepared(small, workers=5), None) == 5


def test_sqlite_has_one_writer_only(large):
    assert count_workers(prepared(large, threads=4), "sqlite:///study.db") == 1
    with pytest.raises(SettingsError, match="--workers 2: SQLite takes one writer"):
        count_workers(prepared(large, workers=2), "sqlite:///study.db")
    assert count_workers(prepared(large, threads=4), "postgresql+psycopg://me@here/db") == 4


@pytest.mark.parametrize("wrong", ["many", "0", "-1", "1.5", 0, True])
def test_another_number_of_workers_is_refused_with_the_law(wrong):
    with pytest.raises(SettingsError, match=f"--workers {wrong}: must be auto or a whole number from 1"):
        make_settings(workers=wrong)


def test_the_command_line_gives_the_number_as_text():
    assert make_settings(workers="3").workers == 3
    assert make_settings(workers="auto").workers == "auto"
