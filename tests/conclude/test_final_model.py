"""What is saved when the time is up: the best that is known."""

from __future__ import annotations

import itertools
import shutil
from dataclasses import replace

import numpy as np
import optuna
import pytest
from optuna.samplers import RandomSampler
from optuna.trial import TrialState

from automl.api import fit, open_run
from automl.conclude.conclude import _is_fitted
from automl.conclude.final_model import FinalFit
from automl.conclude.fitting import Fit, refit
from automl.conclude.selection import Finalist, Winner, as_finalist
from automl.models.description import ModelDescription
from automl.models.model import load_model
from automl.racing.curves import Curves
from automl.racing.race import Race
from automl.run.folder import RunFolder
from automl.run.prepare import prepare
from automl.run.record import settings_of
from automl.scheduling.deadline import Budget
from automl.scheduling.time_estimates import MARGIN, TimeEstimates
from automl.study.storage.opening import load_study, open_storage


@pytest.fixture(scope="module")
def copied(finished_run, tmp_path_factory):
    """The finished run, of 2 folds and 3 epochs, in a folder of its own."""
    return shutil.copytree(finished_run.path, tmp_path_factory.mktemp("copied") / "run")


@pytest.fixture(scope="module")
def context(copied, images):
    return prepare(settings_of(open_run(copied).record, {}), images)


@pytest.fixture(scope="module")
def winner(copied, context) -> Finalist:
    """The best complete trial; its folds' networks have 3 epochs."""
    study = load_study(open_storage(None, RunFolder(copied).journal), open_run(copied).record.study, RandomSampler())
    return as_finalist(study, RunFolder(copied), context.objective, open_run(copied).best["number"])


def with_losses(finalist: Finalist, *losses: float, state: TrialState = TrialState.COMPLETE) -> Finalist:
    """The finalist as if its folds had had these validation losses, epoch by epoch."""
    curves = Curves(2, 12)
    curves.values[:, : len(losses)] = np.array(losses)[None, :, None]
    return Finalist(replace(finalist.trial, state=state), curves)


def final_fit(context, copied, ticks=None, kind="refit", estimates=None) -> FinalFit:
    """With a deadline that comes after so many looks at the clock."""
    clock = itertools.count()
    budget = Budget.of(1, timeout=ticks, clock=lambda: next(clock) if ticks else 0.0)
    return FinalFit(context, context.resident(), budget, RunFolder(copied), kind, estimates)


def test_a_cut_refit_gives_way_to_the_folds_networks_that_were_trained_longer(context, copied, winner, images):
    finalist = with_losses(winner, 1.0, 0.7, 0.5)
    found = final_fit(context, copied, ticks=2).fit_one(finalist)
    about = found.model.description
    assert (about.final, about.members, about.epochs, about.cut_short) == ("ensemble", 2, 3, True)
    folds = "the model is the networks of its 2 folds, averaged, after 3 epochs"
    assert found.words == f"the deadline left 1 of 3 epochs to the final fit: {folds}"
    expected = load_model(fit(copied, trial=winner.number, final="ensemble")).predict_proba(images.x)
    np.testing.assert_allclose(found.model.predict_proba(images.x), expected, rtol=1e-6)


def test_a_cut_refit_stays_where_it_is_known_to_be_better_than_they_are(context, copied, winner):
    finalist = with_losses(winner, 0.5, 0.4, 0.9)  # theirs is the third epoch
    found = final_fit(context, copied, ticks=2).fit_one(finalist)
    assert (found.model.description.final, found.model.description.cut_short) == ("refit", True)
    assert found.words == "the deadline cut the final fit short at epoch 1 of 3"


def test_where_there_are_no_networks_of_its_folds_the_cut_refit_is_all_there_is(context, copied, winner, tmp_path):
    empty = shutil.copytree(copied, tmp_path / "run")
    shutil.rmtree(empty / "checkpoints")
    found = final_fit(context, empty, ticks=2).fit_one(with_losses(winner, 1.0, 0.7, 0.5))
    assert (found.model.description.final, found.model.description.cut_short) == ("refit", True)


def test_a_fit_that_ends_in_time_is_what_was_asked_for(context, copied, winner, finished_run, images):
    found = final_fit(context, copied).fit_one(winner)
    assert found.words == ""
    assert not found.model.description.cut_short
    np.testing.assert_array_equal(found.model.predict_proba(images.x), finished_run.model.predict_proba(images.x))


def test_the_next_finalist_is_fitted_where_the_first_cannot_be(context, copied, winner, tmp_path):
    empty = shutil.copytree(copied, tmp_path / "run")
    shutil.rmtree(empty / "checkpoints")
    trial = optuna.trial.create_trial(value=0.1)
    trial.number = 99  # without any parameter
    broken = Finalist(trial, winner.curves)
    found = final_fit(context, empty).fit([broken, winner])
    assert found.finalist is winner
    assert found.words.startswith("trial 99 could not be fitted: ")


def test_a_resumed_search_fits_again_what_there_was_no_time_for(copied, winner):
    final, folder = open_run(copied).record.final, RunFolder(copied)
    chosen = Winner(winner, 2, "")
    assert final.trial == winner.number
    assert _is_fitted(final, chosen, "refit", folder)
    short = final.model_copy(update={"words": "the deadline left 1 of 3 epochs to the final fit"})
    assert not _is_fitted(short, chosen, "refit", folder)


class TestStandIn:
    def test_its_schedule_is_laid_out_for_the_epochs_that_it_gets(self, context, copied, winner, images):
        stand_in = with_losses(winner, 1.0, state=TrialState.PRUNED)
        found = final_fit(context, copied).fit_one(stand_in)
        shorter = replace(context, settings=context.settings.model_copy(update={"epochs": 2}))
        expected = refit(shorter, stand_in, context.resident(), Budget.of(1), Fit(2, 2))
        assert found.model.description.epochs == 2
        np.testing.assert_array_equal(found.model.predict_proba(images.x), expected.predict_proba(images.x))

    @pytest.mark.parametrize(("seconds", "epochs"), [(0.1, 1), (2.5, 2), (4.5, 4), (6.5, 6), (11.5, 8), (60, 8)])
    def test_it_gets_as_many_epochs_as_there_is_time_for_up_to_twice_those_that_it_was_scored_with(
        self, context, copied, winner, seconds, epochs
    ):
        stand_in = with_losses(winner, 1.0, 0.7, 0.6, 0.5, state=TrialState.PRUNED)
        assert self.planned(context, copied, stand_in, seconds) == (epochs, epochs)

    def test_nor_more_than_the_search_has(self, context, copied, winner):
        stand_in = with_losses(winner, *np.linspace(1, 0.1, 10), state=TrialState.PRUNED)
        assert self.planned(context, copied, stand_in, 60) == (12, 12)

    @pytest.mark.parametrize("state", [TrialState.PRUNED, TrialState.COMPLETE])
    def test_nor_does_one_that_overfitting_has_stopped_end_with_a_high_learning_rate(
        self, context, copied, winner, state
    ):
        stopped = with_losses(winner, 0.9, 0.5, 0.3, 0.5, 0.7, 0.9, state=state)
        assert stopped.epochs == 3
        assert self.planned(context, copied, stopped, 60) == (6, 6)

    def test_with_a_constant_rate_it_is_not_refitted_for_longer(self, context, copied, winner):
        constant = {**winner.trial.config, "train.schedule": "constant"}
        stopped = with_losses(
            replace(winner, trial=replace(winner.trial, config=constant)), 0.9, 0.5, 0.3, 0.5, 0.7, 0.9
        )
        assert self.planned(context, copied, stopped, 60) == (3, 12)

    def test_one_that_was_scored_at_the_end_keeps_its_schedule(self, context, copied, winner):
        complete = with_losses(winner, *np.linspace(1, 0.1, 12))
        assert self.planned(context, copied, complete, 60) == (12, 12)

    def test_where_there_is_no_time_for_all_of_it_its_schedule_is_shorter(self, context, copied, winner):
        complete = with_losses(winner, *np.linspace(1, 0.1, 12))
        assert self.planned(context, copied, complete, 6.5) == (6, 6)

    def test_that_is_said(self, context, copied, winner):
        estimates = TimeEstimates(Race(context.ladder))
        estimates.rates = {winner.number: 0.5 / MARGIN}
        shorter = final_fit(context, copied, ticks=2, estimates=estimates)
        made = shorter.schedule(with_losses(winner, 0.9, 0.5, 0.4))
        assert (made.epochs, made.wanted) == (1, 3)
        slow = final_fit(context, copied, estimates=estimates)
        slow.schedule = lambda finalist: Fit(2, 2, wanted=3)
        found = slow.fit_one(with_losses(winner, 0.9, 0.5, 0.7))
        assert found.words == "the deadline left 2 of 3 epochs to the final fit"
        assert found.model.description.final == "refit"

    def test_a_fit_of_a_moment_is_not_shortened(self, context, copied, winner):
        estimates = TimeEstimates(Race(context.ladder))
        estimates.rates = {winner.number: 1e-3}
        made = final_fit(context, copied, ticks=1, estimates=estimates).schedule(with_losses(winner, 0.9, 0.5, 0.4))
        assert made.epochs == 3

    def test_a_short_fit_that_has_come_to_its_end_is_better_than_folds_that_have_not(self, context, copied, winner):
        stand_in = with_losses(winner, 0.9, 0.7, 0.5, state=TrialState.PRUNED)
        estimates = TimeEstimates(Race(context.ladder))
        estimates.rates = {winner.number: 0.01}
        longer = replace(context, settings=context.settings.model_copy(update={"epochs": 12}))

        def fitted(epochs: int) -> ModelDescription:
            made = final_fit(longer, copied, estimates=estimates)
            made.schedule = lambda finalist: Fit(epochs, epochs, 6)
            return made.fit_one(stand_in).model.description

        assert (fitted(2).final, fitted(2).epochs) == ("refit", 2)
        assert (fitted(1).final, fitted(1).epochs) == ("ensemble", 3)

    def planned(self, context, copied, finalist, seconds):
        """The schedule where so many seconds are left, an epoch on all of the training part takes one, 12 are all."""
        estimates = TimeEstimates(Race(context.ladder))
        estimates.rates = {finalist.number: 0.5 / MARGIN}  # of a fold; the whole is twice as much
        longer = replace(context, settings=context.settings.model_copy(update={"epochs": 12}))
        made = final_fit(longer, copied, estimates=estimates)
        made.budget = Budget.of(1, timeout=seconds, clock=lambda: 0.0)
        return made.schedule(finalist)[:2]
