"""Networks of timm, with weights of a file: nothing is downloaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from automl import BadInput

timm = pytest.importorskip("timm", reason="the extra `timm` is not installed")
CONFIG: dict[str, Any] = {"network": "test_resnet", "size": 32, "hidden": 0, "dropout": 0.0}


@pytest.fixture
def networks(host: Any) -> Any:
    return host.architecture("timm")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    torch.manual_seed(3)
    path = tmp_path / "weights.pth"
    torch.save(timm.create_model("test_resnet").state_dict(), path)
    return path


@pytest.mark.parametrize("tuning", ["head", "all"])
@torch.no_grad()
def test_the_features_are_timms_own(tuning, networks, file):
    more = {"backbone_lr_ratio": 0.1, "statistics": "frozen"} if tuning == "all" else {}
    network = networks.build((3, 32, 32), 5, **CONFIG, **more, tuning=tuning, weights=str(file)).eval()
    network.load_weights()
    whole = timm.create_model("test_resnet").eval()
    whole.load_state_dict(torch.load(file, weights_only=True))
    x = torch.randn(2, 3, 32, 32)
    expected = whole.forward_head(whole.forward_features(x), pre_logits=True)
    found = network.features(x) if tuning == "head" else network.head[0](network.features(x))
    torch.testing.assert_close(found, expected)
    assert network.pixel_mean == pytest.approx([255 * v for v in timm.get_pretrained_cfg("test_resnet").mean])
    assert hasattr(network, "frozen") == (tuning == "head")


def test_a_transformer_takes_images_of_another_size(networks):
    network = networks.build((3, 64, 64), 5, **{**CONFIG, "network": "test_vit", "size": 64}, tuning="head",
                             weights="random")  # fmt: skip
    assert network.eval()(torch.zeros(1, 3, 64, 64)).shape == (1, 5)


def test_a_name_that_timm_does_not_know_is_told_with_the_nearest(networks):
    config = {**CONFIG, "network": "test_resnat"}
    with pytest.raises(BadInput, match="timm has no network 'test_resnat'; did you mean 'test_resnet'"):
        networks.build((3, 32, 32), 5, **config, tuning="head", weights="random")


@pytest.mark.parametrize(("written", "said"), [("text", "no weights can be read"), ("other", "not the weights of")])
def test_a_file_that_does_not_fit_is_told(written, said, networks, tmp_path):
    path = tmp_path / "w.pth"
    path.write_text("no weights") if written == "text" else torch.save({"a": torch.zeros(1)}, path)
    network = networks.build((3, 32, 32), 5, **CONFIG, tuning="head", weights=str(path))
    with pytest.raises(BadInput, match=said):
        network.load_weights()
