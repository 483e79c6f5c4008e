"""Neither a search nor a plugin changes what belongs to the whole process."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from sklearn.datasets import make_blobs

import automl
from automl.hooks.host import load_plugins

GREEDY = '''
import random
import numpy as np
import torch
from torch import nn
from automl import architecture, hookimpl

random.seed(0)
np.random.seed(0)
torch.manual_seed(0)
torch.set_default_dtype(torch.float64)


@architecture()
def greedy(input_shape, num_outputs):
    """Takes the process for its own."""
    torch.set_default_dtype(torch.float16)
    return nn.Sequential(nn.Flatten(), nn.Linear(input_shape[0], num_outputs, dtype=torch.float32))


@hookimpl
def automl_architectures():
    return [greedy]
'''


def drawn():
    return (
        random.random(),
        float(np.random.rand()),
        float(torch.rand(())),
        torch.get_num_threads(),
        torch.zeros(1).dtype,
    )


def seeded():
    random.seed(5)
    np.random.seed(5)
    torch.manual_seed(5)


@pytest.fixture
def greedy(tmp_path):
    file = tmp_path / "greedy.py"
    file.write_text(GREEDY)
    return file


def test_a_plugin_changes_torchs_default_dtype_and_the_generators_for_nobody_else_and_the_dtype_is_said(greedy, caplog):
    seeded()
    expected = drawn()
    seeded()
    host = load_plugins(files=[greedy])
    assert drawn() == expected
    host.architecture("greedy").build((4,), 2)
    assert torch.zeros(1).dtype == torch.float32
    assert "plugin 'greedy' (greedy.py) sets torch's default dtype (to torch.float64)" in caplog.text


def test_a_search_leaves_its_callers_threads_generators_and_dtype_alone(greedy, tmp_path):
    torch.set_num_threads(2)
    seeded()
    expected = drawn()
    seeded()
    try:
        run = automl.search(
            make_blobs(60, 4, random_state=0), {"architectures": {"greedy": {}, "mlp": {"depth": 1}}},
            plugins=[str(greedy)], out=tmp_path / "run", report=False, threads=1, workers=1,
            trials=2, folds=2, epochs=1, repeats=1,
        )  # fmt: skip
        assert drawn() == expected
        automl.fit(tmp_path / "run")
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)
    assert {row["state"] for row in run.leaderboard()} == {"COMPLETE"}


def test_a_search_that_is_stopped_from_python_raises_an_error_of_automl_that_names_the_run(tmp_path):
    with pytest.raises(automl.Interrupted) as stopped:
        automl.search("digits", "smoke", out=tmp_path / "run", report=False, interrupted=lambda: True)
    assert isinstance(stopped.value, automl.AutomlError)
    assert stopped.value.run == tmp_path / "run"
    assert f"automl.resume('{tmp_path / 'run'}') goes on" in str(stopped.value)
