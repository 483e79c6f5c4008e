"""What a search says of its finalists and of its model."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

PLUGIN = Path(__file__).with_name("plugins_that_misbehave.py")
QUICK = ("--workers", 1, "--threads", 1, "--sampler", "random")


@pytest.mark.parametrize("prefer", ["score", "small"])
def test_exploded_fold_of_a_finalist_never_wins(automl, tmp_path, prefer):
    rng = np.random.default_rng(0)
    y = np.arange(90) % 3
    x = rng.integers(0, 160, (90, 8, 8))
    for label in range(3):
        x[y == label, label : label + 3] += 60
    x[0] = 255  # in one validation fold of each repeat, unless it is in the test set
    np.savez(tmp_path / "bars.npz", x=x.astype(np.uint8), y=y)
    answer = automl(
        "search", tmp_path / "bars.npz", "--plugin", PLUGIN, "--set", "architecture=[explodes_on_a_fold, linear]",
        "--set", "train.batch_size=16", "--trials", 4, "--finalists", 4, "--folds", 2, "--epochs", 1, "--ladder", "1x2",
        "--prefer", prefer, "--seed", 1, "--out", tmp_path / "run", "--json", *QUICK,
    )  # fmt: skip
    assert answer.code == 0
    summary = json.loads(answer.out)
    rows = {row["number"]: row for row in summary["trials"]}
    exploded = [row for row in rows.values() if row["architecture"] == "explodes_on_a_fold"]
    assert exploded
    assert all(row["rescored"]["mean"] > 100 for row in exploded)
    assert rows[summary["winner"]]["architecture"] == "linear"


def test_all_right_in_the_test_leaves_no_interval_without_a_width(automl, tmp_path):
    rng = np.random.default_rng(0)
    y = np.arange(100) % 2
    np.savez(tmp_path / "blobs.npz", x=(rng.normal(size=(100, 3)) + 20 * y[:, None]).astype(np.float32), y=y)
    answer = automl(
        "search", tmp_path / "blobs.npz", "--set", "architecture=linear", "--set", "train.lr=0.1", "--set",
        "train.optimizer=adamw", "--trials", 1, "--folds", 2, "--epochs", 12, "--repeats", 1,
        "--out", tmp_path / "run", "--json", *QUICK,
    )  # fmt: skip
    summary = json.loads(answer.out)
    assert summary["test"]["accuracy"] == summary["test"]["auroc"] == 1
    intervals = summary["test_details"]["intervals"]
    assert intervals.keys() == summary["test"].keys()
    assert all(low < high for low, high in intervals.values())
    assert all(low <= summary["test"][name] <= high for name, (low, high) in intervals.items())


@pytest.mark.parametrize("metric", ["log_loss", "accuracy"])
def test_coin_labels_make_a_model_that_is_called_no_better_than_guessing_first(automl, tmp_path, metric):
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "coin.npz", x=rng.normal(size=(120, 6)).astype(np.float32), y=rng.integers(0, 2, 120))
    answer = automl(
        "search", tmp_path / "coin.npz", "--set", "architecture=mlp", "--trials", 1, "--folds", 2, "--epochs", 4,
        "--repeats", 1, "--metric", metric, "--out", tmp_path / "run", *QUICK,
    )  # fmt: skip
    assert answer.code == 0
    closing = automl("leaderboard", tmp_path / "run", "--top", 1).out
    assert "agree" not in answer.out + closing
    assert closing.index(
        "no better than guessing: " if metric == "log_loss" else "no better than guessing"
    ) < closing.index("best ")
    assert "x less than without the race" not in closing  # one complete trial
    summary = json.loads(automl("leaderboard", tmp_path / "run", "--json").out)
    assert summary["guessing"]["better"] is False
    report = (tmp_path / "run" / "report.html").read_text()
    assert report.index("No better than guessing") < report.index("cross-validated")
