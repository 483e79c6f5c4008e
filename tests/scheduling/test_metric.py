"""`--metric`: another score than the loss is optimised, shown and kept."""

from __future__ import annotations

import pytest

import automl
from automl.errors import BadInput


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return automl.search(
        "digits", out=tmp_path_factory.mktemp("metric") / "run", space="smoke", trials=5, folds=2, epochs=3,
        finalists=2, metric="balanced_accuracy", device="cpu", workers=1,
    )  # fmt: skip


def test_the_best_trial_is_the_one_with_the_highest_metric(run):
    assert (run.summary["objective"], run.summary["direction"]) == ("balanced_accuracy", "maximize")
    complete = [row["score"] for row in run.leaderboard() if row["state"] == "COMPLETE"]
    assert len(complete) >= 2
    assert complete == sorted(complete, reverse=True)
    assert run.best["score"] == complete[0] > 0.5
    assert all(set(row["metrics"]) == {"log_loss"} for row in run.leaderboard() if row["state"] == "COMPLETE")


def test_the_storage_knows_the_direction_and_the_values_as_they_are(run):
    import optuna

    from automl.study.storage.opening import load_study, open_storage

    study = load_study(open_storage(None, run.folder.journal), run.record.study, optuna.samplers.RandomSampler())
    assert study.direction == optuna.study.StudyDirection.MAXIMIZE
    assert study.best_value == run.best["score"]
    assert all(0 <= value <= 1 for trial in study.trials for value in trial.intermediate_values.values())


def test_the_model_is_that_of_the_best_trial_and_the_test_has_every_metric(run):
    assert run.record.final.trial == run.leaderboard()[0]["number"]
    assert set(run.test) == {"log_loss", "accuracy", "balanced_accuracy", "macro_f1", "auroc"}
    assert "Higher is better" in run.folder.report.read_text()


def test_it_goes_on_with_the_same_metric(run):
    further = automl.resume(run.path, trials=6)
    assert further.summary["direction"] == "maximize"
    assert len(further.leaderboard()) == 6


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"metric": "acuracy"}, "--metric acuracy: .* did you mean 'accuracy'"),
        ({"metric": "rmse"}, "--metric rmse: a classification has"),
    ],
)
def test_a_metric_of_another_task_is_refused_before_anything_is_written(given, said, tmp_path):
    with pytest.raises(BadInput, match=said):
        automl.search("digits", out=tmp_path / "run", space="smoke", **given)
    assert not (tmp_path / "run").exists()


def test_class_weights_and_label_smoothing_are_for_classifications(tmp_path):
    (tmp_path / "t.csv").write_text("a,y\n" + "".join(f"{i},{i * 1.5}\n" for i in range(40)))
    for name, value in (("label_smoothing", "0.1"), ("class_weights", "balanced")):
        with pytest.raises(BadInput, match=f"training.{name}: only a classification has classes"):
            automl.search(str(tmp_path / "t.csv"), target="y", overrides=(f"train.{name}={value}",), out=tmp_path / "r")
