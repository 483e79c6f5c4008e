"""`automl evaluate`, `automl predict` and `automl export` on the model of a real search."""

from __future__ import annotations

import csv
import io
import json
import shutil

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from automl.cli import app
from automl.errors import BadInput, DataError


def call(*arguments: object) -> str:
    result = CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=False)
    assert result.exit_code == 0
    return result.stdout


@pytest.fixture
def folder(images, tmp_path):
    for number, (pixels, label) in enumerate(zip(images.x[:9, 0], images.y[:9], strict=True)):
        place = tmp_path / "photos" / ("low", "mid <b>", "high")[label]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(place / f"{number}.png")
    return tmp_path / "photos"


def test_predict_gives_each_file_the_label_and_probabilities_of_the_model(finished_run, folder, tmp_path):
    out = tmp_path / "out.csv"
    call("predict", finished_run.path, folder, "-o", out)
    rows = list(csv.DictReader(io.StringIO(out.read_text())))
    assert out.read_text() == call("predict", finished_run.path, folder)
    for row in rows:
        pixels = np.asarray(Image.open(folder / row["file"]))[None]
        assert row["label"] == finished_run.model.predict(pixels)[0]
        expected = finished_run.model.predict_proba(pixels)[0]
        np.testing.assert_allclose([float(row[f"p_{c}"]) for c in finished_run.model.classes], expected, atol=1e-5)
    assert len(rows) == 9


def test_a_broken_image_is_named_and_nothing_is_written_unless_skipped(finished_run, folder, tmp_path):
    (folder / "low" / "torn.png").write_bytes(b"no image")
    out = tmp_path / "out.csv"
    with pytest.raises(DataError, match=r"torn\.png"):
        call("predict", finished_run.path, folder, "-o", out)
    assert [path.name for path in tmp_path.iterdir()] == ["photos"]
    call("predict", finished_run.path, folder, "-o", out, "--skip-bad")
    assert len(out.read_text().splitlines()) == 10


def test_evaluate_gives_the_same_for_a_folder_and_an_npz(finished_run, folder, images, tmp_path):
    np.savez(tmp_path / "d.npz", x=images.x[:9, 0], y=images.y[:9], classes=["low", "mid <b>", "high"])
    one = json.loads(call("evaluate", finished_run.path, folder, "--json"))
    two = json.loads(call("evaluate", finished_run.path, tmp_path / "d.npz", "--json"))
    assert one["metrics"] == pytest.approx(two["metrics"], abs=1e-5)
    assert set(one["metrics"]) == {"log_loss", "accuracy", "balanced_accuracy", "macro_f1", "auroc"}
    assert one["classes"] == two["classes"]
    assert sum(row["n"] for row in one["classes"]) == one["samples"] == 9
    assert "mid <b>" in call("evaluate", finished_run.path, folder)


def test_a_class_that_the_model_does_not_know_is_named(finished_run, folder):
    (folder / "high").rename(folder / "hihg")
    with pytest.raises(DataError, match=r"'hihg'; did you mean 'high'"):
        call("evaluate", finished_run.path, folder)


@pytest.mark.parametrize("format", ["torch-export", "onnx", "state-dict"])
def test_each_export_is_written_and_agrees_with_the_model(finished_run, format, tmp_path):
    if format == "onnx":
        pytest.importorskip("onnxruntime")
        pytest.importorskip("onnxscript")
    said = call("export", finished_run.path, "--format", format, "-o", tmp_path / "m")
    assert "largest difference" in said
    assert f"on {finished_run.record.settings.data} samples" in said
    shutil.copytree(finished_run.path / "model", tmp_path / "alone")
    assert "on random samples" in call("export", tmp_path / "alone", "--format", format, "-o", tmp_path / "m2")
    assert (tmp_path / "m").stat().st_size > 0


def test_an_unknown_format_lists_those_there_are(finished_run, tmp_path):
    with pytest.raises(BadInput, match="torch-export, onnx, state-dict"):
        call("export", finished_run.path, "--format", "pickle", "-o", tmp_path / "m")


def test_fit_makes_another_model_and_says_where(finished_run, tmp_path):
    printed = call("fit", finished_run.path, "--final", "ensemble", "-o", tmp_path / "e")
    assert "2 folds, averaged" in printed
    assert str(tmp_path / "e") in printed
    assert "not touched" in printed
    found = json.loads(call("fit", finished_run.path, "--final", "refit", "-o", tmp_path / "r", "--json"))
    assert found["model"] == str(tmp_path / "r")
    assert (found["trial"], found["members"]) == (finished_run.summary["winner"], 0)


def test_the_export_of_an_ensembles_weights_says_how_to_load_a_member(finished_run, tmp_path):
    import safetensors.torch
    import torch

    call("fit", finished_run.path, "--final", "ensemble", "-o", tmp_path / "e")
    printed = call("export", tmp_path / "e", "--format", "state-dict", "-o", tmp_path / "w.safetensors")
    assert "members.0." in printed
    file = safetensors.torch.load_file(tmp_path / "w.safetensors")
    weights = {k[10:]: v for k, v in file.items() if k.startswith("members.0.")}
    from automl import load_model

    member = load_model(tmp_path / "e").module.members[0]
    network = member.network
    x = torch.zeros(1, 1, 8, 8)
    network.load_state_dict({k[8:]: v for k, v in weights.items() if k.startswith("network.")})
    output = network((x - weights["inputs.mean"]) / weights["inputs.std"]) * weights["y_std"] + weights["y_mean"]
    assert torch.equal(output, member(x))
