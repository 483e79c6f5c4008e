"""One score everywhere: in the storage, the leaderboard, the record and the report, as the curves on disk say."""

from __future__ import annotations

import json

import numpy as np
import optuna
import pytest
from typer.testing import CliRunner

import automl
from automl.cli import app
from automl.study.storage.opening import load_study, open_storage

SPACE = """
architectures:
  mlp: {depth: 2, width: 128, activation: relu, batch_norm: false, dropout: 0.0}
training: {optimizer: adam, schedule: constant, lr: 1e-2, weight_decay: 0, batch_size: 16}
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """One trial that memorises 30 noisy points in 60 epochs, which nothing stops."""
    folder = tmp_path_factory.mktemp("one-score")
    rng = np.random.default_rng(0)
    x = np.linspace(-1, 1, 30)
    y = x + 0.5 * rng.standard_normal(30)
    np.savez(folder / "line.npz", x=x[:, None].astype(np.float32), y=y.astype(np.float32))
    (folder / "space.yaml").write_text(SPACE)
    return automl.search(
        str(folder / "line.npz"), task="regression", space=str(folder / "space.yaml"), out=folder / "run", trials=1,
        epochs=60, folds=3, ladder="60x3", patience=1000, repeats=1, workers=1,
    )  # fmt: skip


def epoch_by_hand(curve: list[float]) -> int:
    """The last epoch, or the best average of three where the last one is above it by 5 % and twice the noise."""
    averages = [sum(curve[i - 1 : i + 2]) / 3 for i in range(1, len(curve) - 1)]
    bends = sorted(abs(curve[i - 1] - 2 * curve[i] + curve[i + 1]) for i in range(1, len(curve) - 1))
    noise = 1.4826 * (bends[(len(bends) - 1) // 2] + bends[len(bends) // 2]) / 2 / 6**0.5
    lowest = min(averages)
    risen = averages[-1] - lowest
    return averages.index(lowest) + 1 if risen > max(0.05 * lowest, 2 * noise) else len(curve) - 1


def test_it_is_that_of_each_fold_at_the_epoch_that_the_others_choose(run):
    with np.load(run.folder.curves(0)) as file:
        curves = file["curves"]
    loss = curves[:, :, 2]
    others = [loss[[f for f in range(3) if f != fold]].mean(axis=0).tolist() for fold in range(3)]
    epochs = [epoch_by_hand(curve) for curve in others]
    scores = [loss[fold, epoch] for fold, epoch in enumerate(epochs)]
    beside = [curves[fold, epoch, 3] for fold, epoch in enumerate(epochs)]

    (row,) = run.leaderboard()
    assert row["state"] == "COMPLETE"
    assert row["best_epoch"] == epoch_by_hand(loss.mean(axis=0).tolist()) + 1 < 50  # it does memorise
    assert row["score"] == pytest.approx(np.mean(scores), rel=1e-12)
    assert row["score_std"] == pytest.approx(np.std(scores, ddof=1), rel=1e-12)
    assert row["metrics"]["r2"] == pytest.approx(np.mean(beside), rel=1e-12)
    assert row["score"] > loss.mean(axis=0).min()  # which the best epoch on the same folds would have claimed


def test_storage_show_report_and_the_final_model_say_the_same(run):
    (row,) = run.leaderboard()
    study = load_study(open_storage(None, run.folder.journal), run.record.study, optuna.samplers.RandomSampler())
    assert study.trials[0].value == row["score"] == study.trials[0].user_attrs["score"]
    shown = json.loads(CliRunner().invoke(app, ["show", str(run.path), "0", "--json"]).stdout)
    assert (shown["score"], shown["best_epoch"]) == (row["score"], row["best_epoch"])
    assert f"{row['score']:.4g}" in run.folder.report.read_text()
    assert run.record.final.epochs >= row["best_epoch"]
    assert shown["diagnosis"] != "overfitting"  # by the patience of this search: nothing would stop it
