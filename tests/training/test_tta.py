"""Test-time augmentation: an image's answer is the mean of those for it and its mirror image, wherever one is given."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional as F

import automl
from automl.data.dataset import Dataset
from automl.models.export import export
from automl.training.recipe import Recipe
from automl.training.techniques import Techniques

MIRROR = Techniques(tta="mirror")


def mirroring(recipe: Recipe, probability: float) -> Recipe:
    return replace(recipe, techniques=MIRROR, augmentation=None, augmentation_parts={"horizontal_flip": probability})


def test_the_validation_loss_is_that_of_the_mean_of_both_outputs(make_recipe, make_run, images):
    run = make_run(mirroring(make_recipe("lenet"), 0.5))
    *_, (shown,) = run.advance(2, 1)
    ((network, norm),) = run.networks()
    x, y = (torch.from_numpy(np.asarray(each)[run.samples[0][1]]) for each in (images.x, images.y))
    with torch.no_grad():
        both = [network.eval()(norm.inputs(each)) for each in (x, x.flip(-1))]
    assert shown.validation_loss == pytest.approx(F.cross_entropy(sum(both) / 2, y).item(), rel=1e-4)
    assert shown.validation_loss != pytest.approx(F.cross_entropy(both[0], y).item(), rel=1e-4)


def test_where_no_image_is_mirrored_in_training_none_is_in_the_answer(make_recipe, make_run):
    shown = []
    for techniques in (MIRROR, Techniques()):
        run = make_run(replace(mirroring(make_recipe("lenet"), 0.0), techniques=techniques))
        shown.append(list(run.advance(2, 1)))
        assert not run.averages_mirrored
    assert shown[0] == shown[1]


@pytest.fixture(scope="module")
def searched(images: Dataset, tmp_path_factory: pytest.TempPathFactory) -> tuple[automl.Run, np.ndarray]:
    """A search in a space that mirrors, and its samples."""
    folder = tmp_path_factory.mktemp("tta")
    x = images.x.transpose(0, 2, 3, 1)
    np.savez(folder / "bars.npz", x=x, y=images.y)
    space = {"architectures": {"lenet": {}}, "training": {"horizontal_flip": 0.5, "tta": "mirror"}}
    quick = {"folds": 2, "epochs": 2, "finalists": 1, "repeats": 1, "device": "cpu", "precision": "fp32", "threads": 1}
    run = automl.search(folder / "bars.npz", space, out=folder / "run", trials=2, final="ensemble", **quick)
    return run, x


def test_the_saved_model_answers_alike_for_an_image_and_its_mirror_image(searched):
    run, x = searched
    model = automl.load_model(run.path)
    assert model.description.tta == "mirror"
    np.testing.assert_allclose(model.predict_proba(x), model.predict_proba(x[:, :, ::-1]), atol=1e-6)
    pixels = torch.from_numpy(x.transpose(0, 3, 1, 2).copy())
    member = model.module.members[0]
    with torch.no_grad():
        one, other = (member.network(member.inputs(view)) for view in (pixels, pixels.flip(-1)))
        torch.testing.assert_close(member(pixels), (one + other) / 2, rtol=1e-5, atol=1e-6)
    assert not torch.allclose(one, other, atol=1e-3)


@pytest.mark.parametrize("format", ["torch-export", "onnx"])
def test_an_export_holds_both_views_and_agrees(searched, format, tmp_path):
    run, x = searched
    if format == "onnx":
        pytest.importorskip("onnxruntime")
        pytest.importorskip("onnxscript")
    model = automl.load_model(run.path)
    assert export(model, format, tmp_path / "exported") < 1e-4
    if format == "torch-export":
        pixels = torch.from_numpy(x.transpose(0, 3, 1, 2).astype(np.float32))
        exported = torch.export.load(tmp_path / "exported").module()
        torch.testing.assert_close(exported(pixels), exported(pixels.flip(-1)), rtol=1e-4, atol=1e-5)
