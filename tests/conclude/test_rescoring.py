"""The finalists on fresh folds: real training of small networks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import optuna
import pytest
import torch
from optuna.trial import TrialState

from automl.conclude import rescoring
from automl.conclude.rescoring import Rescoring
from automl.conclude.selection import find_finalists
from automl.data.resident import Resident
from automl.data.splits import deal_again
from automl.errors import Interrupted
from automl.racing.curves import Curves, FoldEpoch
from automl.run.curve_files import save_curves
from automl.run.folder import RunFolder
from automl.run.prepare import prepare
from automl.scheduling.deadline import Budget
from automl.settings import make_settings
from automl.study.trial_record import read_rescored, result_attributes, store_config, write_attributes
from automl.training.recipe import Recipe
from automl.training.run import TrialRun
from automl.training.seeds import derive_seed

FOLDS, EPOCHS = 3, 2


@pytest.fixture(scope="module")
def context(images):
    settings = make_settings(
        space="smoke", architectures=("mlp",), folds=FOLDS, epochs=EPOCHS, device="cpu", precision="fp32", seed=3
    )
    return prepare(settings, images)


@pytest.fixture
def study(context, tmp_path):
    """Three complete trials that lie close together: real configs, curves of our own."""
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    (tmp_path / "artifacts").mkdir()
    for number in range(3):
        trial = study.ask()
        store_config(trial, context.space.suggest(trial))
        curves = Curves(FOLDS, EPOCHS)
        losses = np.array([1.0, 0.8, 0.9]) + np.roll([0.3, -0.3, 0.01 * number], number)
        curves.add(FoldEpoch(f, e, 1, 0.5, losses[f] + (e == 1), 0.5) for e in (1, 2) for f in range(FOLDS))
        facts = {"parameters": 10, "executor": "serial"}
        write_attributes(trial, result_attributes(curves, TrialState.COMPLETE, facts))
        save_curves(RunFolder(tmp_path), number, curves)
        study.tell(trial, curves.score())
    return study


@pytest.fixture
def finalists(study, context, tmp_path):
    return find_finalists(study, RunFolder(tmp_path), context.objective, 3)


def rescore(context, study, finalists, budget=None, rates=None, reserve=0.0, **given):
    told = []
    rescored = read_rescored(study)  # as a later session would read them
    finalists = [replace(each, trial=replace(each.trial, rescored=rescored.get(each.number))) for each in finalists]
    resident = Resident(context.dataset, torch.device("cpu"))
    context = replace(context, settings=context.settings.model_copy(update=given))
    work = Rescoring(
        context, study, resident, (budget or Budget.of(1)).deadline.minus(reserve), rates or {}, told.append
    )
    return *work.run(finalists), [(event.trial, event.repeat, *event.folds) for event in told]


def numbers(finalists):
    return [finalist.number for finalist in finalists]


def test_a_fresh_score_is_that_of_a_training_on_fresh_folds_for_the_scores_epoch(context, study, finalists):
    racing, left_out, _ = rescore(context, study, finalists)
    assert left_out == ""
    found = racing[0]
    splits = deal_again(context.dataset, context.splits, seed=derive_seed(3, "repeat", 2))
    for fold in range(FOLDS):
        run = TrialRun(
            Recipe.from_config(found.trial.config, context.host, EPOCHS),
            Resident(context.dataset, torch.device("cpu")),
            [(splits.train(fold), splits.validation(fold))],
            seed=derive_seed(3, "rescored", found.number, 2, fold),
        )
        *_, ((last,)) = run.advance(found.epochs, 1)
        assert found.fresh[fold] == (last.validation_loss, last.validation_metric)
    assert len(found.scores()) == 2 * FOLDS


def test_the_study_remembers_each_fold_and_a_resumed_run_trains_none_again(context, study, finalists):
    count = 0

    def interrupted() -> bool:
        nonlocal count
        count += 1
        return count > 9

    with pytest.raises(Interrupted):
        rescore(context, study, finalists, Budget.of(1, interrupted=interrupted))
    known = sum(len(rescored.fresh) for rescored in read_rescored(study).values())
    assert 0 < known < 9
    racing, _, trained = rescore(context, study, finalists)
    undisturbed = optuna.create_study()
    expected, _, all_trained = rescore(context, undisturbed, finalists)
    assert [f.fresh for f in racing] == [f.fresh for f in expected]
    assert trained == all_trained[known:]
    assert rescore(context, study, finalists)[2] == []


def test_more_repeats_go_on_where_fewer_ended_and_one_is_the_searchs_own(context, study, finalists):
    racing, left_out, trained = rescore(context, study, finalists, repeats=1)
    assert (numbers(racing), left_out, trained) == (numbers(finalists), "", [])
    rescore(context, study, finalists[:1])
    racing, _, trained = rescore(context, study, finalists[:1], repeats=3)
    assert [(repeat, fold) for _, repeat, fold in trained] == [(3, 0), (3, 1), (3, 2)]
    assert len(racing[0].fresh) == 6
    known = read_rescored(study)[racing[0].number]
    assert (known.folds, known.repeats, known.fold_epochs) == (9, 3, 12)
    assert known.mean == pytest.approx(racing[0].scores()[:, 0].mean())


def test_nobody_is_dropped_before_a_fresh_repeat_and_then_who_lies_far_behind(context, study, finalists, monkeypatch):
    first, behind = finalists[:2]
    behind.curves.values[:, :, 2] = first.curves.values[:, :, 2] + np.array([[1.0], [1.1], [0.9]])

    def train(self, finalist, each):
        return [(1.0 + 0.01 * each.folds[0] + (finalist.number == behind.number), 0.5)]

    monkeypatch.setattr(Rescoring, "_train", train)
    racing, _, trained = rescore(context, study, [first, behind], repeats=3)
    assert sorted(trained[: 2 * FOLDS]) == sorted((f.number, 2, k) for f in (first, behind) for k in range(FOLDS))
    assert trained[2 * FOLDS :] == [(first.number, 3, fold) for fold in range(FOLDS)]
    assert [f.number for f in racing] == [first.number]


def test_stacked_folds_are_scored_a_repeat_at_a_time(context, study, finalists):
    *_, trained = rescore(context, study, finalists[:1], executor="fused")
    assert trained == [(finalists[0].number, 2, 0, 1, 2)]


class TestADeadline:
    def test_without_time_nothing_is_trained_and_it_is_said(self, context, study, finalists):
        budget = Budget.of(1, timeout=100)
        racing, left_out, trained = rescore(
            context, study, finalists, budget, dict.fromkeys(range(3), 10.0), reserve=90.0
        )
        assert trained == []
        assert numbers(racing) == numbers(finalists)
        assert left_out == "the deadline left no time to score the finalists again"

    def test_that_falls_in_its_midst_leaves_what_was_scored(self, context, study, finalists, monkeypatch):
        now = 0.0
        budget = Budget.of(1, timeout=10, clock=lambda: now)
        train = Rescoring._train

        def slow(self, finalist, each):
            nonlocal now
            now += 2
            return train(self, finalist, each)

        monkeypatch.setattr(Rescoring, "_train", slow)  # a machine that takes 2 s a fold
        racing, left_out, trained = rescore(context, study, finalists, budget)
        assert left_out == "the deadline left only time for 1 of the 3 fresh folds"
        assert len(trained) == 5
        assert min(len(f.fresh) for f in racing) == 1


def test_a_finalist_that_fails_on_fresh_folds_cannot_win(context, study, finalists, monkeypatch, caplog):
    train, first = Rescoring._train, finalists[0].number

    def fail(self, finalist, each):
        if finalist.number == first or failing:
            raise RuntimeError("no more luck")
        return train(self, finalist, each)

    failing = False
    monkeypatch.setattr(rescoring.Rescoring, "_train", fail)
    racing, words, _ = rescore(context, study, finalists)
    assert first not in [f.number for f in racing]
    assert f"trial {first}: RuntimeError: no more luck" in words
    failing = True
    (left,), words, _ = rescore(context, optuna.create_study(), finalists)
    assert left.number == first
    assert "every finalist failed" in words
    assert "no more luck" in words


def test_groups_that_cannot_be_dealt_again_leave_the_first_scores(context, study, finalists, monkeypatch):
    from automl.errors import DataError

    def fail(*_, **__):
        raise DataError("too uneven")

    monkeypatch.setattr(rescoring, "deal_again", fail)
    racing, left_out, _ = rescore(context, study, finalists)
    assert numbers(racing) == numbers(finalists)
    assert "too uneven" in left_out


def test_a_trial_that_stands_in_is_not_scored_again(context, study, finalists):
    pruned = replace(finalists[0], trial=replace(finalists[0].trial, state=TrialState.PRUNED))
    assert rescore(context, study, [pruned])[1:] == ("", [])


def test_a_search_says_what_its_finalists_came_to_on_fresh_folds(finished_run):
    summary = finished_run.summary
    winner = finished_run.trial(summary["winner"])
    again = winner["rescored"]
    assert again["repeats"] == 2
    assert again["folds"] == 4
    assert summary["test_details"]["gap"]["cross_validated"] == pytest.approx(again["mean"])
    assert summary["totals"]["fold_epochs_rescoring"] >= 2 * winner["best_epoch"]
    assert summary["test_details"]["touched"] == 1
    assert {row["rescored"] is None for row in summary["trials"] if row["state"] == "PRUNED"} == {True}
