"""What a search stands on, and that a resumed one stands on the same."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from automl.data.sources.arrays import from_arrays
from automl.errors import BadInput, RunError, SettingsError, SpaceError
from automl.run.prepare import default_space, merge_space, prepare
from automl.run.record import check_unchanged, make_record, settings_of
from automl.run.run_record import RunRecord
from automl.settings import make_settings


def settings(**given):
    return make_settings(**{"space": "smoke", "folds": 2, "epochs": 3, "device": "cpu", "precision": "fp32", **given})


@pytest.fixture
def record(images):
    """The record of a run, as it comes back from its file."""
    return RunRecord.from_yaml(make_record(prepare(settings(), images), "mine", None).to_yaml(), "run.yaml")


class TestPreparing:
    def test_all_ingredients_are_there(self, images):
        context = prepare(settings(), images)
        assert context.dataset is images
        assert [str(rung) for rung in context.ladder] == ["1x1", "2x2", "3x2"]
        assert sorted(context.space.architectures) == ["lenet", "mlp"]
        assert (context.splits.folds, len(context.resident())) == (2, 61)
        assert (context.device, context.precision) == (torch.device("cpu"), torch.float32)
        assert (context.objective.name, context.objective.beside) == ("log_loss", "accuracy")

    def test_a_regression_has_its_own_objective(self, numbers):
        context = prepare(settings(architectures=("mlp",)), numbers)
        assert (context.objective.name, context.objective.beside) == ("rmse", "r2")

    @pytest.mark.parametrize(
        ("given", "kind", "message"),
        [
            ({"space": "smoek"}, BadInput, "did you mean 'smoke'"),
            ({"architectures": ("lenett",)}, BadInput, "did you mean 'lenet'"),
            ({"overrides": ("train.lr=fast",)}, SpaceError, "lr"),
            ({"ladder": "1x1,9x9"}, SettingsError, "--folds say 3x2"),
            ({"device": "gpu"}, SettingsError, "--device gpu"),
            ({"plugins": ("/nowhere.py",)}, BadInput, "nowhere.py"),
            ({"folds": 99}, BadInput, "too few for 99 folds"),
        ],
    )
    def test_what_is_wrong_stops_before_anything_is_started(self, given, kind, message, images):
        with pytest.raises(kind, match=message):
            prepare(settings(**given), images)

    def test_the_record_survives_its_file(self, images, record):
        assert record == make_record(prepare(settings(), images), "mine", None).but(id=record.id)
        assert record.data.classes == ("0", "1", "2")

    def test_the_record_shows_the_redacted_storage_and_never_the_given_one(self, images):
        context = prepare(settings(storage="postgresql://me:s3cret@host/db"), images)
        made = make_record(context, "mine", "postgresql://me:***@host/db")
        assert "s3cret" not in made.to_yaml()


class TestUnchanged:
    def test_the_same_data_and_space_are_taken(self, images, record):
        check_unchanged(prepare(settings(trials=99), images), record)

    def test_one_other_pixel_is_refused(self, images, record):
        x = images.x.copy()
        x[7, 0, 3, 3] ^= 1
        with pytest.raises(RunError, match="the same number of samples, but other values"):
            check_unchanged(prepare(settings(), from_arrays(x, images.y, name="bars")), record)

    def test_one_other_label_is_refused(self, images, record):
        y = images.y.copy()
        y[7] = (y[7] + 1) % 3
        with pytest.raises(RunError, match="have changed since this run was begun"):
            check_unchanged(prepare(settings(), from_arrays(images.x, y, name="bars")), record)

    def test_a_sample_less_is_refused_with_both_numbers(self, images, record):
        with pytest.raises(RunError, match="61 samples then, 60 now"):
            check_unchanged(prepare(settings(), from_arrays(images.x[:60], images.y[:60], name="bars")), record)

    def test_another_space_is_refused_line_by_line(self, images, record):
        changed = prepare(settings(overrides=("train.lr=0.01", "mlp.depth={int: [1, 3]}")), images)
        with pytest.raises(RunError, match=r"search space has changed") as caught:
            check_unchanged(changed, record)
        lines = str(caught.value).splitlines()[1:]
        assert [line.strip() for line in lines] == ["mlp.depth: 1..2 -> 1..3", "train.lr: 0.001..0.1 log -> 0.01"]

    def test_an_architecture_less_is_refused(self, images, record):
        with pytest.raises(RunError, match=r"architecture: lenet\|mlp -> mlp"):
            check_unchanged(prepare(settings(architectures=("mlp",)), images), record)

    @pytest.mark.parametrize("space", [{}, {"architectures": 3}])
    def test_a_damaged_space_in_the_record_is_a_run_error(self, space, images, record):
        damaged = record.but(space=space, space_fingerprint="0")
        with pytest.raises(RunError, match=r"run.yaml: space: is damaged"):
            check_unchanged(prepare(settings(), images), damaged)


def test_the_built_in_space_follows_the_data_and_the_device(host, images):
    cpu, gpu = torch.device("cpu"), torch.device("cuda")
    photos = from_arrays(
        np.zeros((4000, 16, 16), dtype=np.uint8) + (np.arange(4000) % 9)[:, None, None], np.arange(4000) % 2
    )
    large = from_arrays(
        np.zeros((4, 96, 70), dtype=np.uint8) + np.arange(4, dtype=np.uint8)[:, None, None], np.arange(4) % 2
    )
    assert default_space(large, cpu) == default_space(large, gpu) == "photos"
    table = from_arrays(np.random.default_rng(0).normal(size=(9, 2)), np.arange(9) % 2)
    assert [default_space(data, gpu) for data in (images, photos, table)] == ["images", "images-gpu", "tabular"]
    assert default_space(photos, cpu) == "images"
    assert {"resnet9", "resnet"} <= merge_space(make_settings(), host, "images-gpu").architectures.keys()


def test_splits_follow_the_seed(images):
    one, again, other = (prepare(settings(seed=seed), images).splits.fold for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, again)
    assert (one != other).any()


def test_a_resumed_run_has_its_devices_and_others_when_they_are_given(images):
    record = make_record(
        prepare(make_settings(space="smoke", folds=2, epochs=3, devices="cpu, cpu"), images), "mine", None
    )
    assert settings_of(record, {"device": None}).devices == ("cpu", "cpu")
    one = settings_of(record, {"device": "cpu", "devices": None})
    assert (one.device, one.devices) == ("cpu", ())
    record = record.but(settings=record.settings.model_copy(update={"device": "cpu", "devices": ()}))
    again = settings_of(record, {"devices": "cpu,cpu,cpu"})
    assert (again.device, again.devices) == ("auto", ("cpu", "cpu", "cpu"))


def test_a_resumed_run_keeps_its_ladder_and_precision_whatever_would_be_chosen_today(images):
    record = make_record(prepare(settings(), images), "mine", None).but(ladder=("1x2", "3x2"))
    assert [str(rung) for rung in prepare(settings_of(record, {}), images).ladder] == ["1x2", "3x2"]
    record = record.but(precision="bfloat16")  # what `auto` is elsewhere
    assert prepare(settings_of(record, {}), images).precision == torch.bfloat16
