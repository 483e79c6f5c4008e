"""The batches of a fold's epochs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from automl.training.fold import batch_sizes


@pytest.mark.parametrize(
    ("samples", "batch_size", "sizes"),
    [
        pytest.param(64, 32, [32, 32], id="nothing remains"),
        pytest.param(80, 32, [32, 32, 16], id="half a batch remains"),
        pytest.param(5000, 128, [128] * 39, id="a short remainder is left out"),
        pytest.param(70, 32, [32, 32, 6], id="but not where it is more than a twentieth of the samples"),
        pytest.param(33, 16, [16, 16], id="a single sample is left out"),
        pytest.param(17, 8, [8, 9], id="of few samples a single one joins the batch before"),
        pytest.param(5, 2, [2, 3], id="half a batch is a single sample"),
        pytest.param(3, 8, [3], id="there are fewer than a batch"),
        pytest.param(1, 8, [1], id="there is one"),
        pytest.param(3, 1, [1, 1, 1], id="batches of one were asked for"),
    ],
)
def test_an_epoch_has_full_batches_and_a_last_one_of_what_remains(
    samples: int, batch_size: int, sizes: list[int]
) -> None:
    assert batch_sizes(samples, batch_size) == sizes


def test_folds_of_a_trial_go_through_equally_many_samples_unless_too_many_would_be_left_out(
    make_recipe: Any, make_run: Any
) -> None:
    samples = [(np.arange(own), np.arange(50, 61)) for own in (40, 42, 43)]
    run = make_run(make_recipe("linear", batch_size=16), samples=samples)
    sizes = [[len(batch) for batch in run._build(number).batches()] for number in range(3)]
    assert sizes == [[16, 16, 8], [16, 16, 8], [16, 16, 11]]


def test_each_epoch_has_another_order_and_leaves_out_other_samples(make_recipe: Any, make_run: Any) -> None:
    run = make_run(make_recipe("linear", batch_size=8), samples=[(np.arange(42), np.arange(42, 61))])
    fold = run._build(0)
    epochs = []
    for fold.epochs in range(3):
        epochs.append(torch.cat(fold.batches()).tolist())
        assert epochs[-1] == torch.cat(fold.batches()).tolist()
    left_out = [set(range(42)) - set(epoch) for epoch in epochs]
    assert [len(epoch) for epoch in epochs] == [40, 40, 40]
    assert [len(samples) for samples in left_out] == [2, 2, 2]
    assert len(set.union(*left_out)) > 2
