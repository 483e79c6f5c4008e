"""Small data, recipes and runs that several test folders share."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import postgresql as server
import pytest
import torch

from automl.data.dataset import Dataset
from automl.data.resident import Resident
from automl.data.sources.arrays import from_arrays
from automl.data.splits import make_splits
from automl.hooks.host import PluginHost, load_plugins
from automl.training.recipe import Recipe
from automl.training.run import FoldSamples, TrialRun


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session", autouse=True)
def ctrl_c_is_heard() -> None:
    """A shell has what it starts in the background ignore SIGINT, and its children too: those that a test stops so."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def host() -> PluginHost:
    return load_plugins()


@pytest.fixture(scope="session")
def images() -> Dataset:
    """61 images 8x8 of 3 classes that can be told apart. 61 so that batches do not come out even."""
    rng = np.random.default_rng(0)
    y = np.arange(61) % 3
    x = rng.integers(0, 160, (61, 8, 8))
    for label in range(3):
        x[y == label, label : label + 3] += 60
    return from_arrays(x.astype(np.uint8), y, name="bars")


@pytest.fixture(scope="session")
def numbers() -> Dataset:
    """A regression on a table of 60 rows and 4 columns, with two outputs of very different units."""
    rng = np.random.default_rng(1)
    x = rng.normal(3, 5, (60, 4)).astype(np.float32)
    y = np.stack([x @ [1, 2, 0, -1] * 100 + 5000, x[:, 0] * 0.01 + rng.normal(0, 0.01, 60)], axis=1)
    return from_arrays(x, y.astype(np.float32), name="numbers")


@pytest.fixture
def make_recipe(host: PluginHost) -> Callable[..., Recipe]:
    """`make_recipe("lenet", width=2, optimizer="adam", sgd={...}, epochs=6)`; what is left out has a plain value."""
    plain: dict[str, dict[str, Any]] = {
        "linear": {"dropout": 0.0},
        "mlp": {"depth": 1, "width": 8, "activation": "relu", "batch_norm": True, "dropout": 0.3},
        "lenet": {"width": 1, "kernel_size": 3, "activation": "relu", "batch_norm": True, "dropout": 0.3},
        "resnet": {"depth": 1, "width": 5, "kernel_size": 3, "dropout": 0.0},
    }
    training: dict[str, dict[str, Any]] = {
        "sgd": {"momentum": 0.9, "nesterov": False},
        "momentum": {"momentum": 0.9},
        "nesterov": {"momentum": 0.9},
        "adagrad": {},
        "rmsprop": {"alpha": 0.95, "momentum": 0.5},
        "adadelta": {"rho": 0.9},
        "adam": {"beta1": 0.9},
        "adamw": {"beta1": 0.9},
        "muon": {"momentum": 0.9},
        "constant": {},
        "step": {"drops": 2, "gamma": 0.3},
        "multi_step": {"milestones": "50 75", "gamma": 0.3},
        "exponential": {"final": 0.01},
        "cosine": {},
        "one_cycle": {"rise": 0.3},
        "plateau": {"factor": 0.5, "patience": 1},
    }

    def make(architecture: Any = "mlp", **given: Any) -> Recipe:
        optimizer, schedule = given.pop("optimizer", "sgd"), given.pop("schedule", "constant")
        common = {"lr": 0.05, "weight_decay": 1e-3, "batch_size": 8, "epochs": 6}
        common |= {key: given.pop(key) for key in list(given) if key in common}
        own = {key: given.pop(key) for key in list(given) if key in training[optimizer]}
        known = isinstance(architecture, str)
        return Recipe(
            architecture=host.architecture(architecture) if known else architecture,
            architecture_config={**(plain[architecture] if known else {}), **given},
            optimizer=host.optimizer(optimizer),
            optimizer_config={**training[optimizer], **own},
            schedule=host.schedule(schedule),
            schedule_config=training[schedule],
            **common,
        )

    return make


def three_folds(dataset: Dataset) -> list[FoldSamples]:
    splits = make_splits(dataset, folds=3, seed=0)
    return [(splits.train(fold), splits.validation(fold)) for fold in range(3)]


@pytest.fixture
def make_run(images: Dataset) -> Callable[..., TrialRun]:
    """`make_run(recipe, dataset=images, seed=1, ...)`: a trial on three folds."""

    def make(recipe: Recipe, dataset: Dataset = images, seed: int = 1, **more: Any) -> TrialRun:
        samples = more.pop("samples", None) or three_folds(dataset)
        return TrialRun(recipe, Resident(dataset, torch.device("cpu")), samples, seed=seed, **more)

    return make


@pytest.fixture(scope="session")
def finished_run(images: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A real search over 61 images that came to its end. Tests copy what they want to change."""
    import automl

    folder = tmp_path_factory.mktemp("finished")
    np.savez(folder / "bars.npz", x=images.x[:, 0], y=images.y, classes=np.array(["low", "mid <b>", "high"]))
    return automl.search(
        str(folder / "bars.npz"), out=folder / "run", space="smoke", trials=6, folds=2, epochs=3, finalists=2,
        seed=1, device="cpu", precision="fp32",
    )  # fmt: skip


@pytest.fixture(scope="session")
def digits_run(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A real search over the digits that came to its end, in this process alone: three trials, no report."""
    import automl

    return automl.search(
        "digits", out=tmp_path_factory.mktemp("digits") / "run", space="smoke", architectures=("mlp",), trials=3,
        folds=2, epochs=2, finalists=1, repeats=1, workers=1, threads=1, report=False,
    )  # fmt: skip


@pytest.fixture
def postgresql() -> Iterator[server.Server]:
    """A PostgreSQL server of this test's own, empty."""
    if reason := server.why_not():
        pytest.skip(reason)
    running = server.Server()
    try:
        yield running
    finally:
        running.close()
