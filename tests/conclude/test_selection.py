"""Who wins, and why."""

from __future__ import annotations

import numpy as np
import optuna
import pytest
from optuna.trial import TrialState
from scipy import stats

from automl.conclude.selection import Finalist, as_finalist, choose, far_behind, find_finalists
from automl.errors import NoTrialSucceeded, RunError
from automl.racing.curves import VALIDATION_LOSS, Curves, FoldEpoch
from automl.racing.objective import Objective
from automl.run.curve_files import save_curves
from automl.run.folder import RunFolder
from automl.study.trial_record import TrialRecord, result_attributes, write_attributes

LOSS = Objective()


def curves_of(own, objective=LOSS) -> Curves:
    """One epoch, in which the folds have these losses; the metric is 1 - loss."""
    curves = Curves(len(own), 1, objective)
    curves.add(FoldEpoch(fold, 1, 0.0, 0.0, loss, 1 - loss) for fold, loss in enumerate(own))
    return curves


def finalist(number, own, fresh=(), parameters=100, objective=LOSS) -> Finalist:
    trial = TrialRecord(number, TrialState.COMPLETE, objective, parameters=parameters)
    pairs = [(loss, 1 - loss) if objective is LOSS else (1 - loss, loss) for loss in fresh]
    return Finalist(trial, curves_of(own, objective), tuple(pairs))


def test_all_folds_decide_and_not_the_searchs_own_alone():
    lucky = finalist(0, [0.10, 0.12, 0.11], [0.30, 0.32, 0.31])
    steady = finalist(1, [0.15, 0.16, 0.17], [0.15, 0.16, 0.17])
    assert choose([finalist(0, [0.10, 0.12, 0.11]), finalist(1, [0.15, 0.16, 0.17])], LOSS, 3).finalist.number == 0
    winner = choose([lucky, steady], LOSS, 3)
    assert winner.finalist is steady
    assert winner.folds == 6
    assert winner.scores == pytest.approx([0.15, 0.16, 0.17] * 2)


def test_where_greater_is_better_the_greater_mean_wins():
    accuracy = Objective.of("classification", "accuracy")
    worse, better = (finalist(n, own, own, objective=accuracy) for n, own in ((0, [0.3, 0.31]), (1, [0.1, 0.12])))
    assert choose([worse, better], accuracy, 2).finalist is better


def test_the_best_mean_wins_and_only_who_asks_for_it_gets_the_smaller_network():
    best = finalist(0, [0.10, 0.20, 0.15, 0.11], parameters=1000)
    tied = finalist(1, [0.12, 0.19, 0.16, 0.10], parameters=10)
    larger = finalist(2, [0.12, 0.19, 0.16, 0.10], parameters=2000)
    assert choose([best, larger, tied], LOSS, 4).finalist is best
    winner = choose([best, larger, tied], LOSS, 4, prefer="small")
    assert winner.finalist is tied
    assert "smaller" in winner.words
    assert "trial 0" in winner.words
    assert choose([best, larger], LOSS, 4, prefer="small").finalist is best


def test_a_small_difference_that_every_fold_shows_is_no_tie():
    # The folds differ by far more than the finalists do.
    best = finalist(0, [0.10, 0.50, 0.90], parameters=1000)
    behind = finalist(1, [0.11, 0.51, 0.912], parameters=10)
    assert choose([best, behind], LOSS, 3, prefer="small").finalist is best


@pytest.mark.parametrize("prefer", ["score", "small"])
@pytest.mark.parametrize("folds", [2, 5])
def test_a_finalist_with_an_exploded_fold_never_wins(prefer, folds):
    rng = np.random.default_rng(0)
    steady = finalist(0, 0.06 + 0.01 * rng.random(folds), 0.06 + 0.01 * rng.random(folds), parameters=10**6)
    exploded = finalist(1, 0.05 + 0.01 * rng.random(folds), [0.05] * (folds - 1) + [1000.0], parameters=10)
    assert choose([exploded, steady], LOSS, folds, prefer=prefer).finalist is steady


class TestFarBehind:
    def test_it_is_students_interval_with_the_variance_of_nadeau_and_bengio(self):
        difference = np.array([0.01, 0.03, 0.02, 0.04, 0.02])
        error = np.sqrt(difference.var(ddof=1) * (1 / 5 + 1 / 4))
        bound = stats.t.ppf(0.975, 4) * error
        leader = finalist(0, np.full(5, 0.5))
        for shift, far in ((bound * 1.01, True), (bound * 0.99, False)):
            other = finalist(1, 0.5 + difference - difference.mean() + shift)
            assert far_behind([leader, other], LOSS, 5, 5) == [False, far]

    @pytest.mark.parametrize(("folds", "count"), [(2, 3), (5, 5)])
    def test_one_that_is_as_good_is_rarely_dropped(self, folds, count):
        rng = np.random.default_rng(0)
        dropped = []
        for _ in range(150):
            each = [finalist(n, rng.normal(1, 0.1, folds), rng.normal(1, 0.1, folds)) for n in range(count)]
            dropped.append(np.mean(far_behind(each, LOSS, 2 * folds, folds)))
        assert np.mean(dropped) < 0.05


def test_only_folds_that_all_were_scored_on_are_compared():
    winner = choose([finalist(0, [0.1, 0.2], [0.1, 9.0]), finalist(1, [0.3, 0.5], [0.3])], LOSS, 2)
    assert winner.folds == 3
    assert winner.finalist.number == 0


class TestFinalists:
    @pytest.fixture
    def study(self, tmp_path):
        """Trials 0, 1, 2 complete with 0.3, 0.1, 0.2; 3 pruned on one fold; 4 failed."""
        study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
        (tmp_path / "artifacts").mkdir()
        for own in ([0.3, 0.3], [0.1, 0.1], [0.2, 0.2], [0.01]):
            trial = study.ask()
            state = TrialState.COMPLETE if len(own) == 2 else TrialState.PRUNED
            write_attributes(trial, result_attributes(curves_of(own), state, {}))
            save_curves(RunFolder(tmp_path), trial.number, curves_of(own))
            study.tell(trial, own[0] if state == TrialState.COMPLETE else None, state=state)
        study.tell(study.ask(), state=TrialState.FAIL)
        return study

    def test_they_are_the_best_complete_trials(self, study, tmp_path):
        found = find_finalists(study, RunFolder(tmp_path), LOSS, 2)
        assert [finalist.number for finalist in found] == [1, 2]
        assert not any(finalist.stand_in for finalist in found)

    def test_without_a_complete_trial_the_best_pruned_one_stands_in(self, study, tmp_path):
        for number in range(3):
            RunFolder(tmp_path).curves(number).unlink()
        (found,) = find_finalists(study, RunFolder(tmp_path), LOSS, 2)
        assert found.number == 3
        assert found.stand_in
        RunFolder(tmp_path).curves(3).unlink()
        with pytest.raises(NoTrialSucceeded, match="out of 5"):
            find_finalists(study, RunFolder(tmp_path), LOSS, 2)

    def test_of_a_stand_in_the_folds_that_were_trained_longest_count(self, study, tmp_path):
        for number in range(3):
            RunFolder(tmp_path).curves(number).unlink()
        values = curves_of([0.5, 0.5, 0.5]).values.repeat(4, axis=1)
        values[:2, :, VALIDATION_LOSS] = [0.5, 0.4, 0.3, 0.35]
        values[2, 1:] = np.nan  # the deadline passed in its second epoch
        np.savez(RunFolder(tmp_path).curves(3), curves=values)
        (found,) = find_finalists(study, RunFolder(tmp_path), LOSS, 2)
        assert (found.epochs, found.curves.folds) == (4, 2)
        assert as_finalist(study, RunFolder(tmp_path), LOSS, 3).epochs == 4

    def test_any_trained_trial_can_be_asked_for(self, study, tmp_path):
        assert as_finalist(study, RunFolder(tmp_path), LOSS, 0).epochs == 1
        for number, law in ((4, "no score"), (5, "0 to 4")):
            with pytest.raises(RunError, match=law):
                as_finalist(study, RunFolder(tmp_path), LOSS, number)
