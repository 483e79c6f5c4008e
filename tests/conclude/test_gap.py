"""The gap between cross-validation and the test."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from automl.conclude.gap import gap
from automl.models.intervals import interval
from automl.racing.objective import Objective
from automl.training.metrics import measure

LOSS = Objective()
SCORES = [0.10, 0.12, 0.11, 0.09, 0.13]


def test_it_is_judged_by_the_interval_of_the_difference_of_two_estimates():
    found = gap(LOSS, SCORES, 5, 0.14, (0.12, 0.17), 0.25)
    spread = stats.t.ppf(0.975, 4) * np.std(SCORES, ddof=1) * np.sqrt(1 / 5 + 1 / 4)
    assert found["difference"] == pytest.approx(0.03)
    assert found["interval"] == pytest.approx([0.03 - np.hypot(0.02, spread), 0.03 + np.hypot(0.03, spread)])
    assert found["within"]
    assert "they agree" in found["words"]


def test_fold_scores_that_are_alike_by_chance_are_no_surer_than_their_samples():
    found = gap(LOSS, [0.11] * 5, 5, 0.12, (0.10, 0.14), 4.0)  # a test set four times as large
    assert found["interval"] == pytest.approx([0.01 - np.hypot(0.02, 0.04), 0.01 + np.hypot(0.02, 0.04)])


@pytest.mark.parametrize(
    ("name", "scores", "test", "ends", "word"),
    [
        ("log_loss", SCORES, 0.30, (0.25, 0.36), "worse"),
        ("log_loss", SCORES, 0.01, (0.005, 0.02), "better"),
        ("accuracy", [0.99, 0.98, 0.99, 0.99, 0.98], 0.90, (0.88, 0.92), "worse"),
    ],
)
def test_beyond_chance_the_words_say_which_way(name, scores, test, ends, word):
    found = gap(Objective.of("classification", name), scores, 5, test, ends, 1.0)
    assert found["within"] is False
    assert f"{word} than chance" in found["words"]


def test_of_a_coin_it_is_not_said_that_the_two_agree_and_one_fold_is_called_so():
    coin = gap(LOSS, [0.69, 0.70], 2, 0.69, (0.68, 0.70), 1.0, learnt=False)["words"]
    single = gap(LOSS, [0.5], 5, 0.52, (0.4, 0.7), 1.0)["words"]
    assert "agree" not in coin + single
    assert single.startswith("a single fold said log_loss 0.5")


def test_without_an_interval_nothing_is_judged():
    found = gap(LOSS, SCORES, 5, 0.12, None, 1.0)
    assert (found["within"], found["interval"]) == (None, None)
    assert "chance" not in found["words"]


def test_groups_that_differ_are_no_false_alarm():
    """Nothing is wrong, and each group has its own level: 48 groups in 5 folds, 12 in the test (the samples alone would
    give an alarm in 45 % of the runs).
    """
    rng = np.random.default_rng(0)
    alarms = 0
    for _ in range(100):
        groups, test_groups = np.repeat(np.arange(48), 30), np.repeat(np.arange(12), 30)
        data = []
        for of in (groups, test_groups):
            y = rng.integers(0, 2, len(of))
            score = (2 * y - 1) + rng.normal(0, 1, len(of)) + rng.normal(0, 1, of.max() + 1)[of] * (2 * y - 1)
            data.append((y, np.stack([np.zeros(len(of)), 2 * score], axis=1)))
        (y, logits), (truth, outputs) = data
        folds = [measure("log_loss", y[groups % 5 == k], logits[groups % 5 == k]) for k in range(5)]
        ends = interval("log_loss", truth, outputs, test_groups)
        test = measure("log_loss", truth, outputs)
        alarms += gap(LOSS, folds, 5, test, ends, 12 / 48)["within"] is False
    assert alarms <= 8


def test_a_better_test_is_put_down_to_more_samples_only_where_the_model_has_seen_them():
    def words(averaged: bool) -> str:
        words: str = gap(LOSS, SCORES, 5, 0.01, (0.005, 0.02), 0.25, averaged=averaged)["words"]
        return words

    assert words(False).endswith("; the final model is trained on more samples than those of the folds")
    assert words(True).endswith("; the final model averages those of the folds")
