"""Batches and epochs that fit the data."""

from __future__ import annotations

import pytest

from automl.spaces.batches import fit_batches, fit_epochs
from automl.spaces.domains import Domain
from automl.spaces.parameters import Choice, Int
from automl.spaces.space import Space


def space(batch_size: Domain, *first: dict) -> Space:
    return Space(
        architectures={"mlp": {}},
        training={"lr": 0.1, "batch_size": batch_size},
        optimizers={"sgd": {}},
        schedules={"cosine": {}},
        augmentations={"none": {}},
        first=first,
    )


@pytest.mark.parametrize(
    ("domain", "samples", "fitted"),
    [
        (Choice(32, 64, 128), 4_000, Choice(32, 64, 128)),
        (Choice(32, 64, 128), 400, Choice(32, 64)),
        (Choice(32, 64, 128), 196, 32),
        (Choice(64, 128), 196, 32),
        (Choice(64, 128), 30, 16),
        (Int(16, 256, log=True), 500, Int(16, 100, log=True)),
        (Int(64, 256), 100, Int(16, 20)),
        (128, 196, 128),  # pinned by whoever wrote the space
    ],
)
def test_an_epoch_has_five_steps_where_the_batch_size_is_free(domain: Domain, samples: int, fitted: Domain) -> None:
    assert fit_batches(space(domain), samples).training["batch_size"] == fitted


def test_the_first_configs_have_batches_that_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    fitted = fit_batches(space(Choice(32, 64), {"train.batch_size": 64, "train.lr": 0.1}, {"train.lr": 0.2}), 200)
    assert fitted.first == ({"train.batch_size": 32, "train.lr": 0.1}, {"train.lr": 0.2})


def test_a_training_of_few_samples_has_more_epochs() -> None:
    assert fit_epochs(space(Choice(16, 32)), 196, 20) == 20
    assert fit_epochs(space(32), 196, 20) == 34
    assert fit_epochs(space(Choice(64, 128)), 50_000, 20) == 20
