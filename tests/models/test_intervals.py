"""The intervals of the test's scores."""

from __future__ import annotations

import time

import numpy as np
import pytest
from scipy import stats

from automl.models.intervals import interval
from automl.racing.objective import METRICS
from automl.training.metrics import measure

CLASSIFICATION, REGRESSION = METRICS["classification"], METRICS["regression"]


def classified(rng: np.random.Generator, samples: int, classes: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Classes 2 apart in units of the noise, and the logarithms of their true probabilities."""
    y = rng.integers(0, classes, samples)
    x = 2 * np.eye(classes)[y] + rng.normal(0, 1, (samples, classes))
    return y, 2 * x


def regressed(rng: np.random.Generator, samples: int) -> tuple[np.ndarray, np.ndarray]:
    y = rng.normal(100, 5, (samples, 1))
    return y, y + rng.normal(0, 2, y.shape)


def labelled(rng: np.random.Generator, samples: int) -> tuple[np.ndarray, np.ndarray]:
    """Three labels that go together, the rarest in a fifth of the samples, and nearly their true logits."""
    common = rng.normal(0, 0.5, (samples, 1))
    logits = common + rng.normal(0, 2, (samples, 3)) - [0, 1, 2]
    return (rng.random((samples, 3)) < 1 / (1 + np.exp(-logits))).astype(np.int64), logits


@pytest.mark.parametrize("name", METRICS["multilabel"])
def test_that_of_labels_holds_the_truth_in_about_95_of_100_test_sets(name):
    rng = np.random.default_rng(0)
    truth = measure(name, *labelled(rng, 100_000))
    ends = [interval(name, *labelled(rng, 60)) for _ in range(120)]
    covered = np.mean([each is not None and each[0] <= truth <= each[1] for each in ends])
    assert 0.89 <= covered <= 1
    assert np.mean([high - low for low, high in filter(None, ends)]) < 0.5


def test_that_of_labels_has_a_width_where_all_are_right_and_is_wider_for_groups():
    rng = np.random.default_rng(0)
    y, logits = labelled(rng, 20)
    for name in METRICS["multilabel"]:
        low, high = interval(name, y, (2 * y - 1) * 8.0 + 0.1 * rng.normal(size=y.shape))
        assert low < high
        copies = [np.repeat(each, 10, axis=0) for each in (y, logits)]
        wide, narrow = interval(name, *copies, np.repeat(np.arange(20), 10)), interval(name, *copies)
        assert wide[1] - wide[0] > 1.5 * (narrow[1] - narrow[0])


@pytest.mark.parametrize("name", [*CLASSIFICATION, *REGRESSION])
def test_it_holds_the_truth_in_about_95_of_100_test_sets(name):
    """40 samples; the whole table is made by benchmarks/coverage.py."""
    rng = np.random.default_rng(0)
    draw = classified if name in CLASSIFICATION else regressed
    truth = measure(name, *draw(rng, 200_000))
    ends = [interval(name, *draw(rng, 40)) for _ in range(120)]
    covered = np.mean([each is not None and each[0] <= truth <= each[1] for each in ends])
    assert 0.89 <= covered <= 0.995  # 0.95, as far as 120 test sets tell


def test_the_accuracys_is_wilsons():
    y = np.zeros(100, dtype=np.int64)
    logits = np.tile([[1.0, 0.0]], (100, 1))
    logits[:5] = [0.0, 1.0]
    found = stats.binomtest(95, 100).proportion_ci(0.95, method="wilson")
    assert interval("accuracy", y, logits) == pytest.approx((found.low, found.high), abs=1e-6)


def test_that_of_a_mean_over_many_samples_is_the_normal_one_and_always_the_same():
    y, logits = classified(np.random.default_rng(0), 3000)
    losses = -np.log(np.exp(logits)[np.arange(3000), y] / np.exp(logits).sum(1))
    low, high = interval("log_loss", y, logits)
    error = 1.96 * losses.std(ddof=1) / np.sqrt(3000)
    assert (low, high) == pytest.approx((losses.mean() - error, losses.mean() + error), abs=0.15 * error)
    assert interval("log_loss", y, logits) == (low, high)


@pytest.mark.parametrize("classes", [2, 5])
def test_all_right_none_has_no_width(classes):
    y = np.arange(40) % classes
    for scale in (3.0, 40.0, 1e4):  # sure, and so sure that its probability rounds to 1
        logits = scale * np.eye(classes)[y] + 0.1 * np.random.default_rng(0).normal(size=(40, classes))
        for name in CLASSIFICATION:
            low, high = interval(name, y, logits)
            assert low < high
            assert low <= measure(name, y, logits) <= high
            assert low < 0.98 or name == "log_loss"


def test_a_rare_class_is_in_every_resample():
    y = np.array([1] + [0] * 11)
    logits = np.stack([np.zeros(12), np.linspace(-2, 2, 12)[::-1]], axis=1)
    low, high = interval("balanced_accuracy", y, logits)
    assert low < measure("balanced_accuracy", y, logits) < high < 1  # the six mistakes on the common class stay
    assert interval("auroc", y, logits) is not None


def test_samples_of_one_group_say_less_than_as_many_independent_ones():
    rng = np.random.default_rng(0)
    for names, (y, outputs) in ((CLASSIFICATION, classified(rng, 20)), (REGRESSION, regressed(rng, 20))):
        copies, groups = (np.repeat(each, 10, axis=0) for each in (y, outputs)), np.repeat(np.arange(20), 10)
        copies = tuple(copies)
        for name in names:
            (low, high), (narrow_low, narrow_high) = interval(name, *copies, groups), interval(name, *copies)
            assert high - low > 1.5 * (narrow_high - narrow_low)


def test_groups_that_are_all_right_count_as_one_sample_each():
    y, groups = np.arange(360) % 2, np.repeat(np.arange(12), 30)
    low, high = interval("accuracy", y, 5.0 * np.eye(2)[y], groups)
    t = stats.t.ppf(0.975, 11)
    assert (low, high) == pytest.approx((12 / (12 + t**2), 1.0))  # Wilson's of 12 of 12, with Student's quantile


def test_that_of_very_many_outputs_needs_no_more_memory_than_they_do():
    rng = np.random.default_rng(0)
    y = rng.normal(size=(500, 300))
    for name in REGRESSION:
        low, high = interval(name, y, y + rng.normal(0, 0.3, y.shape))
        assert low < high


def test_that_of_an_auroc_of_a_hundred_classes_takes_under_two_seconds():
    rng = np.random.default_rng(0)
    y = np.arange(10_000) % 100
    logits = rng.normal(0, 1, (10_000, 100)) + np.eye(100)[y]
    started = time.process_time()
    assert interval("auroc", y, logits) is not None
    assert time.process_time() - started < 10  # a fraction of a second on a quiet machine


def test_where_nothing_can_be_said_there_is_none():
    rng = np.random.default_rng(0)
    assert interval("log_loss", *classified(rng, 1)) is None
    one_class = np.zeros(20, dtype=np.int64)
    assert interval("auroc", one_class, np.zeros((20, 2))) is None
    assert interval("r2", np.ones((20, 1)), np.ones((20, 1))) is None
    assert interval("rmse", np.ones((20, 1)), np.full((20, 1), 1.5)) is None  # 0.5 each time: no width
    assert interval("accuracy", *classified(rng, 20), np.zeros(20)) is None  # one group
