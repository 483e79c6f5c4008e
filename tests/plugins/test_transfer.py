"""Transfer learning, without a network: the weights are made and saved here."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import nn
from torchvision import models

import automl
from automl import BadInput, Infeasible
from automl.cli import main
from automl.data.conversion import Pixels
from automl.data.dataset import Dataset
from automl.data.resident import PixelInputs
from automl.models.description import ModelDescription
from automl.models.model import Model, Standardised, save_model
from automl.run.prepare import prepare
from automl.settings import make_settings
from automl.training.on_meta import check_on_meta

SMALL = "shufflenet_v2_x1_0"
CONFIG = {"backbone": SMALL, "size": 32, "tuning": "all", "backbone_lr_ratio": 0.1, "dropout": 0.0}
QUICK = {"folds": 2, "epochs": 1, "trials": 1, "finalists": 1, "device": "cpu", "precision": "fp32", "threads": 1}
SETS = ("transfer.size=32", "transfer.tuning=head", "train.batch_size=32", "train.optimizer=sgd")


@pytest.fixture(scope="module")
def trained() -> nn.Module:
    """In the place of a trained backbone: random weights, and statistics that are not those of a new BatchNorm."""
    torch.manual_seed(7)
    network: nn.Module = models.get_model(SMALL, weights=None, num_classes=4)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.uniform_(-0.1, 0.1)
            module.running_var.uniform_(0.9, 1.1)
    return network


@pytest.fixture(scope="module")
def file(trained: nn.Module, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "trained.pth"
    torch.save(trained.state_dict(), path)
    return path


@pytest.fixture(scope="module")
def npz(images: Dataset, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("data") / "bars.npz"
    np.savez(path, x=images.x[:, 0], y=images.y)
    return str(path)


@pytest.fixture(scope="module")
def earlier(npz: str, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A run whose model is a LeNet on grey images of 8x8."""
    folder = tmp_path_factory.mktemp("earlier") / "run"
    return automl.search(npz, out=folder, space="smoke", architectures=("lenet",), **QUICK)


@pytest.fixture
def transfer(host: Any) -> Any:
    return host.architecture("transfer")


def bodies(network: Any, end: str = "") -> dict[str, torch.Tensor]:
    return {k: v.clone() for k, v in network.state_dict().items() if not (end and k.startswith(f"{end}."))}


def command(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["automl", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


class TestWeights:
    @pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
    def test_those_of_a_file_are_in_the_network_before_it_is_trained(self, suffix, trained, transfer, tmp_path):
        path = tmp_path / f"w{suffix}"
        save = torch.save if suffix == ".pth" else safetensors.torch.save_file
        save(trained.state_dict(), path)
        network = transfer.build((3, 16, 16), 5, **CONFIG, weights=str(path))
        first = bodies(network.backbone)
        network.load_weights()
        expected = bodies(trained, end="fc")
        assert network.backbone.state_dict().keys() == expected.keys()
        for key, value in network.backbone.state_dict().items():
            assert torch.equal(value, expected[key])
        assert not torch.equal(first["conv1.0.weight"], expected["conv1.0.weight"])
        assert network.head[1].weight.shape == (5, 1024)

    def test_the_features_are_those_of_torchvisions_network(self, trained, file, transfer):
        network = transfer.build((3, 32, 32), 5, **CONFIG, weights=str(file)).eval()
        network.load_weights()
        x = torch.randn(2, 3, 32, 32)
        trained.eval()
        with torch.no_grad():
            features = network.backbone(x)
            torch.testing.assert_close(trained.fc(features), trained(x))
            torch.testing.assert_close(network(x), network.head(features))

    def test_those_of_a_saved_model_and_its_preprocessing_are_taken_over(self, earlier, transfer):
        network = transfer.build((1, 8, 8), 5, backbone="saved", weights=str(earlier.path), tuning="all", dropout=0.0)
        network.load_weights()
        saved = automl.load_model(earlier.path).module
        kept = network.backbone.state_dict()
        assert len(kept) == 4
        assert all(torch.equal(saved.network.state_dict()[key], value) for key, value in kept.items())
        assert not any(isinstance(module, nn.Linear) for module in network.backbone.modules())
        convolutions = [m for m in saved.network.modules() if isinstance(m, nn.Conv2d)]
        assert len([m for m in network.backbone.modules() if isinstance(m, nn.Conv2d)]) == len(convolutions)
        assert network.pixel_mean == saved.inputs.mean.flatten().tolist()
        assert network.pixel_std == saved.inputs.std.flatten().tolist()
        assert not hasattr(network, "lr_ratios")

    def test_coloured_photos_of_any_size_suit_a_saved_model_of_small_grey_images(self, earlier, transfer):
        network = transfer.build(
            (3, 40, 30), 5, backbone="saved", weights=str(earlier.path), tuning="head", dropout=0.0
        )
        assert (network.channels, network.image_size) == (1, (8, 8))
        assert network(torch.randn(2, 3, 40, 30)).shape == (2, 5)

    def test_a_saved_transfer_is_a_backbone_again_and_all_of_it_can_be_trained(self, transfer, tmp_path):
        inner = {**CONFIG, "tuning": "head", "weights": "random"}
        about = ModelDescription(
            architecture="transfer", architecture_config=inner, input_shape=[3, 8, 8], num_outputs=4, kind="image",
            classes=list("abcd"), task="classification", conversion=Pixels(),
        )  # fmt: skip
        unit = torch.ones(1, 3, 1, 1)
        network = automl.build_network(about.model_dump())
        model = Model(Standardised(network, PixelInputs(0 * unit, unit), None, None), about)
        save_model(model, tmp_path)
        network = transfer.build((3, 8, 8), 2, backbone="saved", weights=str(tmp_path), tuning="all", dropout=0.0)
        network.load_weights()
        network(torch.randn(4, 3, 8, 8)).square().sum().backward()
        assert network.backbone.head[1] is not None
        assert all(p.grad is not None for p in network.parameters())
        assert all(m.training for m in network.modules())

    @pytest.mark.parametrize("written", ["text", "list", "other"])
    def test_a_file_that_does_not_fit_is_told_on_meta(self, written, make_recipe, transfer, tmp_path):
        path = tmp_path / "w.pth"
        if written == "text":
            path.write_text("no weights")
        else:
            torch.save([1] if written == "list" else models.resnet18().state_dict(), path)
        said = {"text": "no weights can be read", "list": "no state dict", "other": "not the weights of shufflenet"}
        with pytest.raises(BadInput, match=rf"w\.pth: .*{said[written]}"):
            check_on_meta(make_recipe(transfer, **CONFIG, weights=str(path)), (3, 16, 16), 3, None)

    def test_a_word_that_torchvision_does_not_know_is_told_with_those_that_it_knows(self, make_recipe, transfer):
        with pytest.raises(BadInput, match=r"DEFALT: no such file, and no weights of .*DEFAULT, IMAGENET1K_V1"):
            check_on_meta(make_recipe(transfer, **CONFIG, weights="DEFALT"), (3, 16, 16), 3, None)

    def test_weights_that_cannot_be_downloaded_leave_a_remedy(self, transfer, tmp_path, monkeypatch):
        monkeypatch.setenv("TORCH_HOME", str(tmp_path))
        monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")  # nobody listens there
        network = transfer.build((3, 16, 16), 3, **CONFIG, weights="DEFAULT")
        with pytest.raises(BadInput, match=r"cannot be downloaded .*: fetch the file elsewhere .* --weights FILE"):
            network.load_weights()

    def test_a_saved_backbone_without_a_folder_is_infeasible(self, transfer):
        with pytest.raises(Infeasible, match="needs the folder of a run"):
            transfer.build((1, 8, 8), 3, backbone="saved", weights="DEFAULT", tuning="all", dropout=0.0)


class TestTuning:
    @pytest.mark.parametrize("tuning", ["all", "last", "head"])
    def test_what_is_frozen_keeps_its_weights_and_its_statistics(self, tuning, file, make_recipe, make_run, transfer):
        recipe = make_recipe(transfer, **{**CONFIG, "tuning": tuning}, weights=str(file), lr=0.1, batch_size=61)
        run = make_run(recipe)
        fold = run._build(0)
        run.folds.append(fold)
        before = bodies(run.networks()[0][0])
        next(run.advance(1, 1))
        after = run.networks()[0][0].state_dict()  # of a frozen backbone only the head is trained
        changed = {k for k, v in after.items() if not torch.equal(v, before[k])}
        first, last, head = "backbone.conv1.0.weight", "backbone.conv5.0.weight", "head.1.weight"
        assert [key in changed for key in (first, last, head)] == {
            "all": [True, True, True],
            "last": [False, True, True],
            "head": [False, False, True],
        }[tuning]
        statistics = {k for k in changed if "running" in k or "num_batches" in k}
        assert ("backbone.conv1.1.running_mean" in statistics) == (tuning == "all")
        assert ("backbone.conv5.1.running_mean" in statistics) == (tuning != "head")

    def test_the_backbone_has_its_own_learning_rate_and_what_is_frozen_has_none(self, make_recipe, transfer):
        recipe = make_recipe(transfer, **{**CONFIG, "tuning": "last"}, weights="random", lr=0.2)
        network = recipe.build_network((3, 16, 16), 3)
        rates = {id(p): g["lr"] for g in recipe.build_optimizer(network).param_groups for p in g["params"]}
        assert rates[id(network.head[1].weight)] == 0.2
        assert rates[id(network.backbone.conv5[0].weight)] == pytest.approx(0.02)
        assert id(network.backbone.conv1[0].weight) not in rates

    @pytest.mark.parametrize(
        ("backbone", "stages", "first"),
        [
            ("resnet18", {"layer4"}, "layer4.0.conv1.weight"),
            ("densenet121", {"denseblock4", "norm5"}, "features.denseblock4.denselayer1.conv1.weight"),
            (SMALL, {"stage4", "conv5"}, "stage4.0.branch1.0.weight"),
        ],
    )
    def test_the_last_stage_is_the_one_with_the_smallest_maps(self, backbone, stages, first, transfer):
        config = {**CONFIG, "backbone": backbone, "tuning": "last", "weights": "random"}
        with torch.device("meta"):
            network = transfer.build((3, 64, 64), 3, **config).backbone
        trained = [name for name, p in network.named_parameters() if p.requires_grad]
        assert {name.removeprefix("features.").partition(".")[0] for name in trained} == stages
        assert first in trained

    def test_a_model_without_a_dense_layer_at_its_end_is_no_backbone(self, transfer, host):
        nin = {"depth": 2, "width": 8, "kernel_size": 3, "batch_norm": True, "dropout": 0.0}
        saved = {"architecture": "nin", "architecture_config": nin, "input_shape": [1, 8, 8], "num_outputs": 4}
        with pytest.raises(BadInput, match="'nin' ends in no dense layer"):
            transfer.build((1, 8, 8), 3, backbone="saved", weights="x", tuning="all", dropout=0.0, saved=saved)


class TestSearch:
    def test_images_are_normalised_as_the_weights_expect(self, file, make_recipe, make_run, transfer):
        for weights in (str(file), "random"):
            fold = make_run(make_recipe(transfer, **CONFIG, weights=weights))._build(0)
            preset = models.get_model_weights(SMALL).DEFAULT.transforms()
            if weights == "random":
                assert fold.normalisation.inputs.mean.shape == (1, 1, 1, 1)
            else:
                assert fold.normalisation.inputs.mean.flatten().tolist() == pytest.approx(
                    [255 * v for v in preset.mean]
                )
                assert fold.normalisation.inputs.std.flatten().tolist() == pytest.approx([255 * v for v in preset.std])

    @pytest.mark.parametrize("kind", ["file", "run"])
    def test_the_model_is_loaded_and_the_same_when_its_weights_are_gone(
        self, kind, file, earlier, npz, images, tmp_path
    ):
        source = tmp_path / "source"
        if kind == "file":
            shutil.copy(file, source)
        else:
            shutil.copytree(earlier.path, source)
        sets = (*SETS[kind == "run" :], *([f"transfer.backbone=[resnet18, {SMALL}]"] if kind == "file" else []))
        run = automl.search(npz, out=tmp_path / "run", weights=str(source), overrides=sets, **QUICK)
        config = run.leaderboard()[0]["config"]
        assert config["transfer.backbone"] == (SMALL if kind == "file" else "saved")
        assert config["transfer.weights"] == str(source)
        predicted = run.model.predict_proba(images.x)
        source.unlink() if kind == "file" else shutil.rmtree(source)
        np.testing.assert_array_equal(automl.load_model(run.path).predict_proba(images.x), predicted)

    def test_a_resumed_run_keeps_its_weights_and_needs_them(self, file, npz, tmp_path):
        source = Path(shutil.copy(file, tmp_path / "w.pth"))
        sets = (*SETS, f"transfer.backbone={SMALL}")
        run = automl.search(npz, out=tmp_path / "run", weights=str(source), overrides=sets, **QUICK)
        configs = [trial["config"] for trial in automl.resume(run.path, trials=2).leaderboard()]
        assert [config["transfer.weights"] for config in configs] == [str(source)] * 2
        source.unlink()
        with pytest.raises(BadInput, match=r"--weights .*w\.pth: must be a file of weights"):
            automl.resume(run.path, trials=3)

    def test_only_backbones_that_the_file_fits_are_searched(self, file, images):
        settings = make_settings(weights=str(file), overrides=(f"transfer.backbone=[resnet18, {SMALL}]",))
        space = prepare(settings, images).space
        assert space.architectures["transfer"]["backbone"] == SMALL
        assert space.architectures["transfer"]["weights"] == str(file)

    def test_it_is_not_searched_where_nobody_names_it(self, images):
        assert "transfer" not in prepare(make_settings(), images).space.architectures

    def test_images_of_four_channels_are_infeasible(self, transfer):
        with pytest.raises(Infeasible, match="images of 4 channels do not suit a backbone of 3"):
            transfer.build((4, 8, 8), 3, **CONFIG, weights="random")

    @pytest.mark.parametrize(
        ("wrong", "said"),
        [
            ("nothing", "--weights nothing: must be a file of weights or the folder of a run: No such file"),
            ("notes.pth", "notes.pth: no weights can be read from it"),
            ("empty", "empty: no model is here"),
            ("other.pth", "other.pth: these are not the weights of"),
        ],
    )
    def test_wrong_weights_are_bad_input_and_nothing_is_written(self, wrong, said, npz, tmp_path, monkeypatch, capsys):
        monkeypatch.chdir(tmp_path)
        Path("notes.pth").write_text("notes")
        Path("empty").mkdir()
        torch.save({"a": torch.zeros(1)}, "other.pth")
        assert command(monkeypatch, "search", npz, "--weights", wrong, "--out", "run", "--device", "cpu") == 2
        printed = capsys.readouterr()
        assert said in printed.err
        assert not Path("run").exists()

    def test_weights_that_cannot_be_had_are_told_once_before_the_first_trial(self, images, tmp_path, monkeypatch):
        monkeypatch.setenv("TORCH_HOME", str(tmp_path))
        monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")  # nobody listens there
        with pytest.raises(BadInput) as refused:
            prepare(make_settings(space="transfer"), images)
        said = str(refused.value)
        assert "the weights of resnet18, mobilenet_v3_small are not on this machine and cannot be downloaded" in said
        assert "fetch https://download.pytorch.org/models/resnet18" in said
        assert "--weights FILE" in said
        assert prepare(make_settings(space="transfer", overrides=("transfer.weights=random",)), images)

        checkpoints = tmp_path / "hub" / "checkpoints"
        checkpoints.mkdir(parents=True)
        for url in [word for word in said.split() if word.startswith("https://")]:
            (checkpoints / url.rpartition("/")[2]).touch()
        with pytest.raises(BadInput, match=r"mobilenet_v3_small are not .* --set transfer.backbone=resnet18"):
            prepare(make_settings(space="transfer"), images)
        assert prepare(make_settings(space="transfer", overrides=("transfer.backbone=resnet18",)), images)

    def test_weights_need_a_space_that_lists_transfer(self, file, npz, monkeypatch, capsys):
        assert command(monkeypatch, "search", npz, "--weights", file, "--space", "smoke") == 2
        assert "architecture 'transfer' is not in the search space, which has lenet, mlp" in capsys.readouterr().err
