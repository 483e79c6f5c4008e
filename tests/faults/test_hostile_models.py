"""Descriptions and weights that ask for more than there is, or are none: refused before memory or time is spent."""

from __future__ import annotations

import hashlib
import json
import resource
import shutil
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

SMALL = ["--folds", 2, "--epochs", 1, "--trials", 1, "--repeats", 1, "--workers", 1, "--quiet"]

LENET = {"width": 1, "kernel_size": 3, "activation": "relu", "batch_norm": False, "dropout": 0.0}


@pytest.fixture(scope="module")
def bars(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = np.random.default_rng(0)
    path = tmp_path_factory.mktemp("data") / "bars.npz"
    np.savez(path, x=rng.integers(0, 256, (60, 8, 8), dtype=np.uint8), y=np.arange(60) % 2)
    return path


@pytest.fixture(scope="module")
def searched(bars, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model of a run of two folds, averaged."""
    import automl

    options = {"folds": 2, "epochs": 1, "trials": 1, "repeats": 1, "workers": 1, "final": "ensemble"}
    run = tmp_path_factory.mktemp("runs") / "run"
    automl.search(bars, "smoke", out=run, architectures=("mlp",), report=False, **options)
    return run / "model"


@pytest.fixture
def model(searched, tmp_path: Path) -> Path:
    return Path(shutil.copytree(searched, tmp_path / "model"))


def refused(automl, model: Path, data: Path) -> str:
    """What every command says that is to use the model, with little memory."""
    words = set()
    for command in (["predict", model, data], ["evaluate", model, data], ["export", model, "--format", "state-dict"]):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        answer = automl(*command)
        assert answer.code == 2, (command, answer.err)
        assert "Traceback" not in answer.err
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300_000  # KiB
        words.add(answer.err)
    assert len(words) == 1
    return words.pop()


def describe(model: Path, **changes: object) -> None:
    about = json.loads((model / "model.json").read_text())
    (model / "model.json").write_text(json.dumps(about | changes))


def reweigh(model: Path, **changes: torch.Tensor | None) -> None:
    """Changes tensors of the weights, names with __ for each dot, and has the description vouch for them."""
    tensors = safetensors.torch.load((model / "model.safetensors").read_bytes())
    tensors |= {name.replace("__", "."): tensor for name, tensor in changes.items()}
    content = safetensors.torch.save({name: tensor for name, tensor in tensors.items() if tensor is not None})
    (model / "model.safetensors").write_bytes(content)
    describe(model, sha256=hashlib.sha256(content).hexdigest())


def test_huge_description_of_members_widths_depths_and_samples_is_refused_before_anything_is_built(automl, model, bars):
    about = json.loads((model / "model.json").read_text())
    config = about["architecture_config"]
    for changes, words in (
        ({"members": 10**9}, "members: 1000000000, but there are weights of 2"),
        ({"members": 1}, "members: 1, but there are weights of 2"),
        ({"members": 0}, "members: 0, but there are weights of 2"),
        ({"architecture_config": config | {"width": 10**6}}, "do not fit the architecture"),
        ({"architecture_config": config | {"width": 10**12}}, "do not fit the architecture"),
        ({"architecture_config": config | {"width": 10**30}}, "do not fit the architecture"),
        ({"architecture_config": config | {"depth": 10**9, "width": 1}}, "many more layers than there are weights"),
        ({"architecture": "lenet", "architecture_config": LENET | {"width": 10**10}}, "do not fit the architecture"),
        ({"input_shape": [1, 10**6, 10**6]}, "larger than 150,000,000 numbers"),
        ({"num_outputs": 10**12, "classes": [], "task": "multilabel"}, "do not fit the architecture"),
    ):
        (model / "model.json").write_text(json.dumps(about | changes))
        assert words in refused(automl, model, bars), changes


def test_bad_weights_that_are_no_numbers_or_of_another_dtype_are_refused(automl, searched, bars, tmp_path):
    tensors = safetensors.torch.load((searched / "model.safetensors").read_bytes())
    network = next(name for name in tensors if ".network." in name and name.endswith("weight"))
    unit = tensors["members.1.inputs.std"]
    for number, (name, tensor, words) in enumerate(
        (
            (network, tensors[network] * float("nan"), "no finite number"),
            (network, tensors[network] / 0.0, "no finite number"),
            (network, tensors[network].double(), "is float64, but must be float32"),
            (network, tensors[network].int(), "is int32, but must be float32"),
            ("members.1.inputs.std", 0 * unit, "not above 0"),
            ("members.1.inputs.std", -unit, "not above 0"),
            ("members.1.inputs.std", unit * float("nan"), "no finite number"),
            ("members.1.inputs.std", unit.int(), "must be float32 or float64"),
            ("members.1.inputs.std", torch.ones(1, 1, 1000, 1000), "not that of a sample"),
            ("members.1.inputs.std", torch.ones(1000, 1, 1, 1), "not that of a sample"),
            ("members.0.inputs.mean", tensors["members.0.inputs.mean"] + float("inf"), "no finite number"),
            ("members.0.y_std", torch.zeros(()), "not above 0"),
            ("members.0.inputs.mean", None, "'members.0.inputs.mean' is missing"),
            ("members.7.inputs.mean", tensors["members.0.inputs.mean"], "there are weights of 3"),
            ("more", torch.zeros(3), "'more' is missing, unknown"),
        )
    ):
        model = Path(shutil.copytree(searched, tmp_path / str(number)))
        reweigh(model, **{name.replace(".", "__"): tensor})
        assert words in refused(automl, model, bars), name


def test_bad_weights_with_two_classes_of_one_name_are_refused(automl, model, bars):
    describe(model, classes=["0", "0"])
    assert "two classes have the same name" in refused(automl, model, bars)


def test_bad_weights_a_prediction_is_a_finite_number_or_an_error_that_names_the_sample(automl, bars, tmp_path):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 3))
    np.savez(tmp_path / "train.npz", x=x, y=np.array(["a", "b"])[(x[:, 0] > 0).astype(int)])
    pinned = ["architecture=mlp", "train.scaling=standard"]  # the other two leave no value far away
    options = ["--space", "tabular", *(f"--set={each}" for each in pinned), "--out", tmp_path / "run", *SMALL]
    assert automl("search", tmp_path / "train.npz", *options).code == 0
    far = x.copy()
    far[7] = 3e38
    np.savez(tmp_path / "far.npz", x=far, y=np.array(["b"] * 60))
    for command in ("predict", "evaluate"):
        answer = automl(command, tmp_path / "run", tmp_path / "far.npz")
        assert answer.code == 2, answer.out
        assert "7: the network's output is no finite number" in answer.err
        assert "Traceback" not in answer.err
