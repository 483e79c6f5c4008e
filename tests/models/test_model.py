"""The final model: to the bit what was trained, and refused when it is not."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import optuna
import pytest
import torch
from sklearn import metrics

import automl
from automl.conclude.fitting import refit
from automl.conclude.selection import Finalist
from automl.data.resident import Resident
from automl.errors import BadInput, DataError, RunError
from automl.models import test_predictions as tested
from automl.models.model import load_model, save_model
from automl.racing.curves import Curves, FoldEpoch
from automl.run.prepare import prepare
from automl.scheduling.deadline import Budget
from automl.settings import make_settings
from automl.study.trial_record import read_trials, store_config


def scores_of(model, context):
    return tested.test_scores(tested.predict_test(model, context.dataset, context.splits.test))


def fitted(dataset, architecture, budget=None, **given):
    """A final model of the architecture, with its ingredients."""
    settings = make_settings(
        space="smoke", architectures=(architecture,), folds=2, epochs=2, device="cpu", precision="fp32", **given
    )
    context = prepare(settings, dataset)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    trial = study.ask()
    store_config(trial, context.space.suggest(trial))
    curves = Curves(2, 2)
    curves.add(FoldEpoch(fold, epoch, 1.0, 0.0, 1.0 / epoch, 0.0) for fold in range(2) for epoch in (1, 2))
    resident = Resident(context.dataset, torch.device("cpu"))
    (record,) = read_trials(study, context.objective)
    return refit(context, Finalist(record, curves), resident, budget or Budget.of(1)), context


@pytest.fixture(scope="module")
def saved(images, tmp_path_factory) -> tuple:
    """A lenet (convolutions, BatchNorm) fitted on the images, its ingredients, and its folder."""
    model, context = fitted(images, "lenet")
    return model, context, save_model(model, tmp_path_factory.mktemp("model"))


@pytest.fixture
def folder(saved, tmp_path: Path) -> Path:
    return Path(shutil.copytree(saved[2], tmp_path / "model"))


class TestSavingAndLoading:
    def test_a_loaded_model_predicts_the_same_to_the_bit(self, saved, images):
        model, _, folder = saved
        loaded = load_model(folder)
        np.testing.assert_array_equal(loaded.predict_proba(images.x), model.predict_proba(images.x))
        assert not loaded.module.training

    def test_a_regression_in_the_targets_units_comes_back_to_the_bit(self, numbers, tmp_path):
        model, _ = fitted(numbers, "mlp")
        loaded = load_model(save_model(model, tmp_path / "m"))
        predicted = loaded.predict(numbers.x)
        np.testing.assert_array_equal(predicted, model.predict(numbers.x))
        assert predicted.shape == (60, 2)
        assert abs(predicted[:, 0].mean() - numbers.y[:, 0].mean()) < 0.5 * numbers.y[:, 0].std()

    def test_the_model_that_a_search_left_is_found_in_its_folder_or_the_runs(self, finished_run, images):
        predicted = finished_run.model.predict(images.x)
        for place in (finished_run.path, finished_run.path / "model"):
            np.testing.assert_array_equal(automl.load_model(place).predict(images.x), predicted)
        assert set(predicted) <= {"low", "mid <b>", "high"}

    def test_the_recorded_test_scores_are_those_of_the_loaded_model(self, finished_run):
        with np.load(finished_run.record.settings.data) as file:
            x, y, classes = file["x"], file["y"], file["classes"]
        with np.load(finished_run.folder.splits) as file:
            test = file["fold"] == -1
        right = finished_run.model.predict(x[test]) == classes[y[test]]
        assert finished_run.test["accuracy"] == pytest.approx(right.mean())
        probabilities = finished_run.model.predict_proba(x[test]).astype(float)
        assert finished_run.test["log_loss"] == pytest.approx(
            metrics.log_loss(y[test], probabilities / probabilities.sum(1, keepdims=True), labels=range(3))
        )

    def test_the_files_hold_no_pickle(self, saved):
        assert {path.name for path in saved[2].iterdir()} == {"model.safetensors", "model.json"}
        assert json.loads((saved[2] / "model.json").read_text())["classes"] == ["0", "1", "2"]


class TestDamage:
    def test_any_flipped_byte_of_the_weights_is_refused(self, folder):
        path = folder / "model.safetensors"
        content = path.read_bytes()
        for place in [*range(0, len(content), len(content) // 40), len(content) - 1]:
            path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
            with pytest.raises(RunError, match="SHA-256 differs"):
                load_model(folder)
        path.write_bytes(content)
        load_model(folder)

    def test_cut_weights_are_refused(self, folder):
        path = folder / "model.safetensors"
        path.write_bytes(path.read_bytes()[:-1])
        with pytest.raises(RunError, match="SHA-256 differs"):
            load_model(folder)

    @pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b"[" * 50_000, b"{}", b'{"format": 99}'])
    def test_a_damaged_description_is_refused(self, content, folder):
        (folder / "model.json").write_bytes(content)
        with pytest.raises(RunError, match=r"model.json: (cannot be read|not a model of this version)"):
            load_model(folder)

    @pytest.mark.parametrize("name", ["model.json", "model.safetensors"])
    def test_a_missing_file_is_named(self, name, folder):
        (folder / name).unlink()
        with pytest.raises(RunError, match=f"no model is here \\({name} is missing\\)"):
            load_model(folder)

    @pytest.mark.parametrize(
        "changes",
        [
            {"num_outputs": 4}, {"input_shape": [3, 8, 8]}, {"input_shape": 7}, {"architecture_config": {"x": 1}},
            {"architecture_config": None}, {"architecture": "mlp"},
        ],
        ids=str,
    )  # fmt: skip
    def test_a_description_of_another_network_is_refused(self, changes, folder):
        about = json.loads((folder / "model.json").read_text())
        (folder / "model.json").write_text(json.dumps(about | changes))
        with pytest.raises(RunError, match=r"do not fit the architecture|model\.json: "):
            load_model(folder)

    def test_a_description_that_asks_for_more_memory_than_there_is_gets_none(self, folder):
        about = json.loads((folder / "model.json").read_text())
        changed = {"num_outputs": 10**12, "classes": [], "task": "multilabel"}
        (folder / "model.json").write_text(json.dumps(about | changed))
        with pytest.raises(RunError, match=r"'network.*' is missing, unknown or of another shape"):
            load_model(folder)

    def test_a_missing_plugin_is_named(self, folder):
        about = json.loads((folder / "model.json").read_text())
        (folder / "model.json").write_text(json.dumps(about | {"architecture": "lenett"}))
        with pytest.raises(BadInput, match="unknown architecture 'lenett'; did you mean 'lenet'"):
            load_model(folder)


class TestPredicting:
    def test_images_come_with_or_without_their_channel_as_array_list_or_tensor(self, saved, images):
        model = saved[0]
        expected = model.predict_proba(images.x)  # [n, c, h, w]
        plain = images.x[:, 0]
        for x in (plain, plain[..., None], torch.from_numpy(plain), plain.tolist(), plain.astype(np.float32)):
            np.testing.assert_array_equal(model.predict_proba(x), expected)

    def test_classes_are_named_and_probabilities_sum_to_one(self, saved, images):
        model = saved[0]
        probabilities = model.predict_proba(images.x)
        assert probabilities.shape == (61, 3)
        np.testing.assert_allclose(probabilities.sum(1), np.ones(61), rtol=1e-5)
        assert model.predict(images.x).tolist() == [model.classes[i] for i in probabilities.argmax(1)]

    def test_a_sample_is_predicted_alone_as_among_others(self, saved, images):
        alone = np.concatenate([saved[0].predict_proba(images.x[i : i + 1]) for i in range(5)])
        np.testing.assert_allclose(alone, saved[0].predict_proba(images.x)[:5], rtol=1e-4)

    def test_what_the_caller_gave_is_not_changed(self, saved, images):
        before = images.x.copy()
        saved[0].predict(images.x)
        np.testing.assert_array_equal(images.x, before)

    @pytest.mark.parametrize("shape", [(5, 9, 8), (5, 3, 8, 8), (8, 9), (0, 8, 8), (5, 64), ()])
    def test_other_shapes_are_refused_with_the_right_one(self, shape, saved):
        with pytest.raises(DataError, match=r"takes samples of shape \[n, 1, 8, 8\], not"):
            saved[0].predict(np.zeros(shape, dtype=np.uint8))

    @pytest.mark.parametrize("x", [[["a", "b"]], [[None]], [[1], [1, 2]]])
    def test_what_is_no_numbers_is_refused(self, x, saved):
        with pytest.raises(DataError, match="numbers"):
            saved[0].predict(x)

    def test_a_regression_has_no_class_probabilities(self, numbers):
        model, _ = fitted(numbers, "mlp")
        assert model.classes == []
        with pytest.raises(BadInput, match=r"regression model: it has no class probabilities; use predict\(\)"):
            model.predict_proba(numbers.x)


class TestFitting:
    def test_it_is_fitted_on_the_whole_training_part_for_the_scores_epoch(self, saved):
        model, context, _ = saved
        assert (model.description.epochs, model.description.cut_short) == (2, False)
        x = context.dataset.x[context.splits.training_part].astype(float)
        assert float(model.module.inputs.mean.squeeze()) == pytest.approx(x.mean(), rel=1e-6)
        assert float(model.module.inputs.std.squeeze()) == pytest.approx(x.std(), rel=1e-6)

    def test_the_same_run_fits_the_same_model_and_another_seed_another(self, images):
        one, again, other = (fitted(images, "mlp", seed=seed)[0].predict_proba(images.x) for seed in (1, 1, 2))
        np.testing.assert_array_equal(one, again)
        assert (one != other).any()

    def test_a_deadline_in_the_middle_leaves_a_model_that_says_so(self, images):
        ticks = iter(range(100))
        budget = Budget.of(1, timeout=2, clock=lambda: next(ticks) * 1.0)
        model, _ = fitted(images, "mlp", budget)
        assert model.description.cut_short
        assert np.isfinite(model.predict_proba(images.x)).all()

    def test_test_scores_are_scikit_learns(self, saved, numbers):
        model, context, _ = saved
        y = context.dataset.y[context.splits.test]
        predicted = model.predict_proba(context.dataset.x[context.splits.test]).argmax(1)
        assert scores_of(model, context)["accuracy"] == metrics.accuracy_score(y, predicted)
        model, context = fitted(numbers, "mlp")
        deviations = numbers.y.std(0)  # of two outputs in other units
        y = context.dataset.y[context.splits.test] / deviations
        predicted = model.predict(context.dataset.x[context.splits.test]) / deviations
        assert scores_of(model, context) == pytest.approx(
            {
                "rmse": metrics.root_mean_squared_error(y, predicted),
                "mae": metrics.mean_absolute_error(y, predicted),
                "r2": metrics.r2_score(y, predicted),
            }
        )
