"""The final model: refit, or an ensemble of the folds."""

from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from optuna.samplers import RandomSampler

import automl
from automl.api import fit, open_run
from automl.conclude.fitting import refit
from automl.conclude.selection import as_finalist
from automl.errors import BadInput, RunError, SettingsError
from automl.models.export import export
from automl.models.model import load_model
from automl.models.modules import Ensemble, Standardised
from automl.racing.curves import Curves, FoldEpoch
from automl.run.folder import RunFolder
from automl.run.prepare import prepare
from automl.run.record import settings_of
from automl.scheduling.deadline import Budget
from automl.study.storage.opening import load_study, open_storage


@pytest.fixture(scope="module")
def copied(finished_run, tmp_path_factory):
    """The finished run in a folder of its own."""
    return shutil.copytree(finished_run.path, tmp_path_factory.mktemp("copied") / "run")


@pytest.fixture(scope="module")
def ensemble(copied):
    return fit(copied, final="ensemble")


@pytest.mark.parametrize(("loss", "more"), [(9.0, 0), (0.0, 2)])
def test_a_refit_worse_on_what_it_saw_than_the_folds_on_what_they_had_not_seen_goes_on(loss, more, copied, images):
    context = prepare(settings_of(open_run(copied).record, {}), images)
    assert context.settings.epochs == 3
    curves = Curves(2, 3)
    curves.add(FoldEpoch(fold, 1, loss, 0.5, loss, 0.5) for fold in range(2))
    storage = open_storage(None, RunFolder(copied).journal)
    study = load_study(storage, open_run(copied).record.study, RandomSampler())
    finalist = as_finalist(study, RunFolder(copied), context.objective, open_run(copied).best["number"])
    model = refit(context, replace(finalist, curves=curves), context.resident(), Budget.of(trials=0))
    assert model.description.epochs == 1 + more


def test_the_ensembles_probabilities_are_the_mean_of_its_folds(ensemble, images):
    model = load_model(ensemble)
    x = torch.from_numpy(images.x)
    assert isinstance(model.module, Ensemble)
    each = [member(x).softmax(1) for member in model.module.members]
    assert len(each) == model.description.members == 2
    assert not torch.equal(each[0], each[1])
    np.testing.assert_allclose(model.predict_proba(images.x), torch.stack(each).mean(0).detach(), atol=1e-6)
    assert model.description.parameters == sum(p.numel() for p in model.module.parameters())


def test_every_member_has_the_normalisation_of_its_own_fold(ensemble, copied, images):
    members = load_model(ensemble).module.members
    fold = np.load(copied / "splits.npz")["fold"]
    for number, member in enumerate(members):
        known = images.x[(fold != -1) & (fold != number)]
        assert float(member.inputs.mean) == pytest.approx(known.mean(), rel=1e-5)
        assert float(member.inputs.std) == pytest.approx(known.std(), rel=1e-5)


def test_folds_trained_again_are_those_of_the_trials_checkpoint(ensemble, copied, images, tmp_path):
    trial = load_model(ensemble).description.trial
    again = shutil.copytree(copied, tmp_path / "run")
    checkpoint = again / "checkpoints" / f"trial-{trial:05d}.safetensors"
    checkpoint.unlink()
    expected = load_model(ensemble).predict_proba(images.x)
    np.testing.assert_array_equal(load_model(fit(again, final="ensemble")).predict_proba(images.x), expected)
    checkpoint.write_bytes(b"torn")
    np.testing.assert_array_equal(load_model(fit(again, final="ensemble")).predict_proba(images.x), expected)


def test_the_runs_own_model_can_be_made_again_and_stays_as_it_is(copied, finished_run, images, tmp_path):
    before = (copied / "model" / "model.json").read_bytes(), (copied / "run.yaml").read_bytes()
    folder = fit(copied, final="refit", out=tmp_path / "m")
    np.testing.assert_array_equal(
        load_model(folder).predict_proba(images.x), finished_run.model.predict_proba(images.x)
    )
    assert isinstance(load_model(folder).module, Standardised)
    assert ((copied / "model" / "model.json").read_bytes(), (copied / "run.yaml").read_bytes()) == before


def test_what_cannot_be_fitted_is_refused(copied, finished_run):
    with pytest.raises(SettingsError, match="refit or ensemble"):
        fit(copied, final="both")
    with pytest.raises(RunError, match="no trial 99"):
        fit(copied, trial=99)
    with pytest.raises(BadInput, match="tested"):
        fit(copied, out=copied / "model")


def test_an_ensemble_can_be_exported(ensemble, images, tmp_path):
    model = load_model(ensemble)
    for name in ("torch-export", "state-dict"):
        assert export(model, name, tmp_path / name) < 1e-4


def test_a_regressions_ensemble_averages_predictions(numbers, tmp_path):
    np.savez(tmp_path / "d.npz", x=numbers.x, y=numbers.y)
    run = automl.search(
        str(tmp_path / "d.npz"), out=tmp_path / "run", space="smoke", architectures=("mlp",), trials=2, folds=2,
        epochs=2, finalists=1, repeats=1, final="ensemble", device="cpu",
    )  # fmt: skip
    module = run.model.module
    x = torch.from_numpy(numbers.x)
    expected = (module.members[0](x) + module.members[1](x)).detach() / 2
    np.testing.assert_allclose(run.model.predict(numbers.x), expected, rtol=1e-5)
    assert run.record.final.kind == "ensemble"
    assert set(run.test) == {"rmse", "r2", "mae"}
    assert run.best["rescored"] is None
