"""A textbook experiment through the real search: 20 noisy points of a line and a network far too large for them."""

from __future__ import annotations

import numpy as np
import pytest

import automl

SPACE = """
architectures:
  mlp: {{depth: 2, width: 200, activation: relu, batch_norm: false, dropout: {dropout}}}
training:
  optimizer: {{adam: {{beta1: 0.9}}}}
  schedule: constant
  lr: 1e-2
  weight_decay: 0
  batch_size: 16
"""


@pytest.fixture
def trial(tmp_path):
    """The one trial of a search on 20 points of y = x + 0.3 noise on [-1, 1], with the given dropout."""
    x = np.linspace(-1, 1, 20)
    y = x + 0.3 * np.random.default_rng(1).standard_normal(20)
    np.savez(tmp_path / "line.npz", x=x[:, None].astype(np.float32), y=y.astype(np.float32))

    def search(dropout: float):
        space = tmp_path / f"dropout-{dropout}.yaml"
        space.write_text(SPACE.format(dropout=dropout))
        run = automl.search(
            str(tmp_path / "line.npz"), task="regression", space=str(space), out=tmp_path / f"run-{dropout}", trials=1,
            epochs=300, ladder="300x5", threads=1,
        )  # fmt: skip
        return run.leaderboard()[0]

    return search


@pytest.mark.slow
def test_a_network_that_memorises_twenty_points_is_pruned_as_overfitting_and_with_dropout_not_or_much_later(trial):
    memorising, regularised = trial(0.0), trial(0.5)
    assert (memorising["state"], memorising["reason"]) == ("PRUNED", "overfitting")
    assert "train loss fell" in memorising["detail"]
    assert "validation loss rose" in memorising["detail"]
    assert regularised["reason"] != "overfitting" or regularised["epochs"] >= 2 * memorising["epochs"]
