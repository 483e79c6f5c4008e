"""The leaderboard: the machine's view of a run."""

from __future__ import annotations

import json

import numpy as np
import optuna
import pytest
from optuna.trial import TrialState

from automl.racing.curves import Curves
from automl.racing.ladder import Rung
from automl.racing.objective import Objective
from automl.racing.race import Standing, State
from automl.results.leaderboard import summarise
from automl.run.curve_files import load_curves
from automl.run.folder import RunFolder
from automl.run.prepare import merge_space
from automl.run.run_record import RunRecord
from automl.settings import make_settings
from automl.study.trial_record import TrialRecord, rest_attributes, store_config, write_attributes

ROW = {
    "number", "state", "reason", "architecture", "config", "score", "score_std", "metrics", "epochs", "folds",
    "fold_epochs", "parameters", "seconds",
}  # fmt: skip
TOTALS = {"trials", "complete", "failed", "pruned", "fold_epochs", "fold_epochs_without_race", "seconds"}


@pytest.fixture(scope="module")
def space(host):
    return merge_space(make_settings(space="smoke"), host)


@pytest.fixture
def study():
    return optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))


@pytest.fixture
def record(space):
    return {
        "settings": {"folds": 2, "epochs": 3}, "space": space.to_json(), "objective": "log_loss", "metric": "accuracy",
        "seconds": 5.0, "data": {},
    }  # fmt: skip


def add(study, space, state=None, value=None, **attributes):
    trial = study.ask()
    store_config(trial, space.suggest(trial))
    write_attributes(trial, {"score": value, **attributes})
    if state:
        study.tell(trial, value, state=state)
    return trial.number


def summary_of(study, record, tmp_path):
    return summarise(RunFolder(tmp_path), study, RunRecord.from_mapping(record, "made"))


class TestARealRun:
    def test_it_has_everything_that_the_design_promises(self, finished_run):
        summary = finished_run.summary
        assert {"run", "objective", "direction", "best", "model", "test", "trials", "totals"} <= summary.keys()
        assert all(row.keys() >= ROW for row in summary["trials"])
        assert summary["totals"].keys() >= TOTALS
        assert json.loads(json.dumps(summary, allow_nan=False)) == summary
        assert (summary["objective"], summary["direction"]) == ("log_loss", "minimize")
        assert summary["test"].keys() == {"log_loss", "accuracy", "balanced_accuracy", "macro_f1", "auroc"}

    def test_rows_agree_with_the_curves_on_disk(self, finished_run):
        rows = finished_run.leaderboard()
        assert sorted(row["number"] for row in rows) == list(range(6))
        for row in rows:
            curves = load_curves(finished_run.folder, row["number"], Objective())
            assert isinstance(curves, Curves)
            assert row["fold_epochs"] == curves.fold_epochs
            assert row["score"] == pytest.approx(curves.score())
            assert row["folds"] == curves.folds
            assert row["parameters"] > 0
            assert row["seconds"] > 0

    def test_the_best_is_the_first_and_the_totals_add_up(self, finished_run):
        rows, totals = finished_run.leaderboard(), finished_run.summary["totals"]
        complete = [row["score"] for row in rows if row["state"] == "COMPLETE"]
        assert finished_run.best == rows[0]
        assert finished_run.summary["best"] == rows[0]["number"]
        assert rows[0]["score"] == min(complete)
        assert complete == sorted(complete)
        assert len(complete) == totals["complete"] >= 2
        assert totals["fold_epochs"] == sum(row["fold_epochs"] for row in rows) < totals["fold_epochs_without_race"]
        assert totals["fold_epochs_without_race"] == 6 * 2 * 3
        assert totals["complete"] + totals["failed"] + sum(totals["pruned"].values()) == totals["trials"] == 6


class TestRanking:
    def test_complete_trials_by_score_then_who_climbed_furthest_then_failures(self, study, space, record, tmp_path):
        failed = add(study, space, TrialState.FAIL, reason="boom")
        low = add(study, space, TrialState.PRUNED, score=0.1, epochs=1, folds=1, reason="outpaced")
        second = add(study, space, TrialState.COMPLETE, 0.6, epochs=3, folds=2)
        high = add(study, space, TrialState.PRUNED, score=0.9, epochs=2, folds=2, reason="outpaced")
        waiting = add(study, space, score=0.2, epochs=2, folds=1)
        first = add(study, space, TrialState.COMPLETE, 0.5, epochs=3, folds=2)
        rows = summary_of(study, record, tmp_path)["trials"]
        assert [row["number"] for row in rows] == [first, second, high, waiting, low, failed]

    def test_on_the_same_rung_the_score_counts_and_not_what_was_spent_on_the_way_to_the_next(
        self, study, space, record, tmp_path
    ):
        stopped = add(study, space, TrialState.PRUNED, score=0.9, epochs=2, folds=2, fold_epochs=5, reason="outpaced")
        better = add(study, space, TrialState.PRUNED, score=0.8, epochs=2, folds=2, fold_epochs=4, reason="outpaced")
        rows = summary_of(study, record, tmp_path)["trials"]
        assert [row["number"] for row in rows] == [better, stopped]

    def test_without_a_complete_trial_there_is_no_best(self, study, space, record, tmp_path):
        add(study, space, TrialState.PRUNED, score=0.1, reason="outpaced")
        summary = summary_of(study, record, tmp_path)
        assert (summary["best"], summary["model"], summary["test"]) == (None, None, {})

    def test_an_empty_study_has_an_empty_leaderboard(self, study, record, tmp_path):
        summary = summary_of(study, record, tmp_path)
        assert (summary["trials"], summary["best"]) == ([], None)
        assert summary["totals"]["fold_epochs_without_race"] == 0


def test_totals_count_reasons_and_what_could_not_run_costs_nothing_without_the_race(study, space, record, tmp_path):
    add(study, space, TrialState.COMPLETE, 0.5, fold_epochs=6)
    add(study, space, TrialState.PRUNED, reason="outpaced", fold_epochs=1)
    add(study, space, TrialState.PRUNED, reason="outpaced", fold_epochs=2)
    add(study, space, TrialState.PRUNED, reason="overfitting", fold_epochs=4)
    add(study, space, TrialState.PRUNED, reason="infeasible")
    add(study, space, TrialState.FAIL, reason="boom")
    add(study, space, fold_epochs=1)
    totals = summary_of(study, record, tmp_path)["totals"]
    assert totals["pruned"] == {"outpaced": 2, "overfitting": 1, "infeasible": 1}
    assert (totals["complete"], totals["failed"], totals["waiting"], totals["trials"]) == (1, 1, 1, 7)
    assert (totals["fold_epochs"], totals["fold_epochs_without_race"]) == (14, 5 * 6)
    assert totals["seconds"] == 5.0


class TestRows:
    def test_a_trial_that_still_races_is_shown_at_its_rung(self, study, space, record, tmp_path):
        accuracy = Objective.of("classification", "accuracy")
        trial = study.ask()
        space.suggest(trial)
        trial.report(0.9, 1)
        record |= {"ladder": ["1x1", "3x2"], "objective": "accuracy", "metric": "log_loss"}
        (row,) = summary_of(study, record, tmp_path)["trials"]
        assert (row["state"], row["reason"]) == ("RUNNING", "waiting")
        assert (row["score"], row["epochs"], row["folds"]) == (0.9, 1, 1)  # on its way to the first rung
        curves = Curves.of(np.full((5, 9, 4), 0.4), accuracy)
        standing = Standing({0: -0.4, 1: -0.4}, state=State.WAITING)
        write_attributes(trial, rest_attributes(curves, Rung(3, 2), {}, standing))  # a fold may be ahead of its rung
        (row,) = summary_of(study, record, tmp_path)["trials"]
        assert (row["score"], row["epochs"], row["folds"], row["metrics"]) == (0.4, 3, 2, {"log_loss": 0.4})

    @pytest.mark.parametrize("value", [float("nan"), float("inf")])
    def test_a_score_that_is_no_number_is_none(self, value, study, space):
        trial = study.ask()
        space.suggest(trial)
        trial.set_user_attr("score", value)
        study.tell(trial, state=TrialState.PRUNED)
        row = TrialRecord.of(study.trials[0], Objective()).to_row()
        assert row["score"] is None
        json.dumps(row, allow_nan=False)

    def test_the_config_is_whole_with_pinned_values_and_without_inactive_ones(self, study, space):
        add(study, space)
        config = TrialRecord.of(study.trials[0], Objective()).config
        assert config["train.batch_size"] == 64  # pinned by the smoke space; Optuna never saw it
        assert "train.batch_size" not in study.trials[0].params
        other = {"lenet": "mlp", "mlp": "lenet"}[config["architecture"]]
        assert not [name for name in config if name.startswith(f"{other}.")]

    def test_a_trial_that_broke_off_while_it_was_drawn_shows_what_is_known(self, study, space):
        trial = study.ask()
        trial.suggest_categorical("architecture", ["lenet", "mlp"])
        row = TrialRecord.of(study.trials[0], Objective()).to_row()
        assert row["config"] == {"architecture": row["architecture"]}
        study.ask()
        assert TrialRecord.of(study.trials[1], Objective()).architecture is None
