"""What the storage remembers: enough to go on with the race in another process."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import optuna
import pytest
from optuna.trial import TrialState

from automl.racing.curves import Curves, FoldEpoch
from automl.racing.ladder import parse_ladder
from automl.racing.objective import Objective
from automl.racing.race import Race
from automl.run.curve_files import load_curves, save_curves
from automl.run.folder import RunFolder
from automl.run.run_record import DataFacts, RunRecord
from automl.settings import Settings
from automl.study.standings import count_attempt, count_repeated, forget_attempt, recall_race, standing_attribute
from automl.study.trial_record import TrialRecord, result_attributes, summary_attributes, write_attributes

LADDER = parse_ladder("1x1,2x1,3x1,5x2,9x5", 9, 5)


def raced(study: optuna.Study, scores: list[float]) -> Race:
    """A race of new trials that all wait at rung 0."""
    race = Race(LADDER)
    for score in scores:
        trial = study.ask()
        race.start(trial.number)
        race.record(trial.number, 0, score)
        write_attributes(trial, standing_attribute(race.standings[trial.number]))
    return race


def recalled(study: optuna.Study) -> tuple[Race, list[tuple[int, int]]]:
    race = Race(LADDER)
    return race, recall_race(race, study.get_trials())


def curves_of(*folds: list[float], epochs: int = 4) -> Curves:
    """Curves with these validation losses; the train loss is 0.1 below, the metric 1 minus the loss."""
    curves = Curves(len(folds), epochs)
    for fold, losses in enumerate(folds):
        curves.add(FoldEpoch(fold, e, v - 0.1, 0.0, v, 1 - v) for e, v in enumerate(losses, start=1))
    return curves


class TestRecalling:
    @pytest.mark.parametrize("storage", ["memory", "sqlite"])
    def test_waiting_trials_stand_where_they_stood_and_promotions_go_on_the_same(self, storage, tmp_path):
        study = optuna.create_study(storage=f"sqlite:///{tmp_path}/s.db" if storage == "sqlite" else None)
        race = raced(study, [5.0, 1.0, 3.0, 2.0, 4.0, 6.0])
        trial, rung = race.promote()
        race.record(trial, rung, 0.123456789012345678)
        write_attributes(optuna.Trial(study, study.trials[trial]._trial_id), standing_attribute(race.standings[trial]))
        again, broken_off = recalled(study)
        assert again.standings == race.standings
        assert broken_off == []
        assert again.promote() == race.promote() == (3, 1)

    def test_a_trial_that_had_not_reached_its_first_rung_was_broken_off_there(self):
        study = optuna.create_study()
        raced(study, [1.0, 2.0])
        study.ask()
        race, broken_off = recalled(study)
        assert broken_off == [(2, 0)]
        assert race.waiting == [0, 1]

    def test_a_trial_killed_on_its_way_up_waits_again_and_is_promoted_anew(self):
        study = optuna.create_study()
        race = raced(study, [1.0, 2.0, 3.0])
        assert race.promote() == (0, 1)  # killed here: nothing more was remembered
        again, broken_off = recalled(study)
        assert broken_off == []
        assert again.promote() == (0, 1)

    def test_a_trial_that_was_judged_but_not_told_is_judged_at_the_same_rung_again(self):
        study = optuna.create_study()
        race = raced(study, [1.0, 2.0, 3.0])
        trial, rung = race.promote()
        race.leave(trial, rung=rung, score=0.5)
        judged = standing_attribute(race.standings[trial], judged=True)
        write_attributes(optuna.Trial(study, study.trials[trial]._trial_id), judged)
        assert recalled(study)[1] == [(trial, rung)] == [(0, 1)]

    def test_ended_trials_do_not_wait_but_their_scores_count(self):
        study = optuna.create_study()
        raced(study, [1.0, 2.0, 3.0, 4.0])
        study.tell(0, 1.0)
        study.tell(1, state=TrialState.PRUNED)
        study.tell(2, state=TrialState.FAIL)
        race, broken_off = recalled(study)
        assert (race.waiting, race.complete, broken_off) == ([3], 1, [])
        assert [race.standings[trial].scores for trial in range(4)] == [{0: 1.0}, {0: 2.0}, {0: 3.0}, {0: 4.0}]

    def test_enqueued_trials_have_no_place_yet(self):
        study = optuna.create_study()
        study.enqueue_trial({"x": 1})
        race, broken_off = recalled(study)
        assert (race.standings, broken_off) == ({}, [])


@pytest.mark.parametrize("storage", ["memory", "sqlite"])
def test_attempts_at_a_climb_count_until_the_trial_gets_further_or_ends_one_in_good_order(storage, tmp_path):
    trial = optuna.create_study(storage=f"sqlite:///{tmp_path}/s.db" if storage == "sqlite" else None).ask()
    assert [count_attempt(trial, 0) for _ in range(3)] == [1, 2, 3]
    trial.report(1.0, 1)
    assert [count_attempt(trial, 0) for _ in range(2)] == [1, 2]
    forget_attempt(trial)
    assert [count_attempt(trial, 0) for _ in range(2)] == [1, 2]
    assert count_attempt(trial, 1) == 1


class TestDescribing:
    def test_nothing_trained(self):
        assert summary_attributes(Curves(2, 3)) == {}

    def test_everything_is_told_at_the_epochs_of_the_score(self):
        facts = summary_attributes(curves_of([0.9, 0.4, 0.5], [0.9, 0.6, 0.7]))
        assert facts["best_epoch"] == 3
        assert facts["score"] == pytest.approx(0.6)
        assert facts["score_std"] == pytest.approx(np.std([0.5, 0.7], ddof=1))
        assert facts["accuracy"] == pytest.approx(0.4)
        assert facts["generalisation_gap"] == pytest.approx(0.1)
        assert (facts["epochs"], facts["folds"], facts["fold_epochs"]) == (3, 2, 6)

    def test_one_fold_has_no_spread(self):
        assert summary_attributes(curves_of([0.9, 0.4]))["score_std"] is None

    def test_a_shorter_late_fold_limits_the_score_to_what_both_have(self):
        facts = summary_attributes(curves_of([0.9, 0.7, 0.1], [0.9, 0.5]))
        assert (facts["best_epoch"], facts["epochs"], facts["fold_epochs"]) == (2, 3, 5)
        assert facts["score"] == pytest.approx(0.6)

    def test_the_facts_are_plain_so_that_every_storage_takes_them(self):
        import json

        assert json.loads(json.dumps(summary_attributes(curves_of([0.5]))))["folds"] == 1


class TestResults:
    def test_attributes_and_curves_are_written(self, tmp_path):
        folder = RunFolder(tmp_path / "run")
        folder.create(RunRecord(settings=Settings(), space={}, data=DataFacts()))
        study = optuna.create_study()
        trial = study.ask()
        curves = curves_of([0.9, 0.4])
        write_attributes(trial, result_attributes(curves, TrialState.PRUNED, {"reason": "outpaced", "fold_epochs": 7}))
        save_curves(folder, trial.number, curves)
        attributes = study.trials[0].user_attrs
        assert (attributes["reason"], attributes["fold_epochs"], attributes["best_epoch"]) == ("outpaced", 7, 2)
        np.testing.assert_array_equal(load_curves(folder, 0, Objective()).values, curves.values)

    @pytest.mark.parametrize("content", [None, b"", b"noise" * 99, b"PK\x03\x04"])
    def test_curves_that_are_missing_or_damaged_are_none(self, content, tmp_path: Path):
        folder = RunFolder(tmp_path)
        folder.artifacts.mkdir()
        if content is not None:
            folder.curves(3).write_bytes(content)
        assert load_curves(folder, 3, Objective()) is None

    def test_pickled_curves_are_not_loaded(self, tmp_path: Path):
        folder = RunFolder(tmp_path)
        folder.artifacts.mkdir()
        np.savez(folder.curves(3), curves=np.array([{"a": 1}], dtype=object))
        assert load_curves(folder, 3, Objective()) is None


def test_epochs_that_are_trained_again_after_a_stop_count_once():
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler())
    trial = study.ask()
    curves = Curves(2, 9)

    def begin(folds=2):
        count_repeated(trial, curves, folds)
        return TrialRecord.of(study.trials[trial.number], Objective()).repeated

    assert begin() == 0  # a new trial
    curves.add(FoldEpoch(fold, 1, 1.0, 0.5, 1.0, 0.5) for fold in range(2))
    for epoch in (1, 2, 3):
        trial.report(1.0, epoch)
    assert begin() == 4  # epochs 2 and 3, on two folds: the checkpoint has the first one
    assert begin() == 4  # died again before it came any further
    trial.report(1.0, 4)
    assert begin() == 6
