"""Domains that a network, an optimizer, a schedule or an augmentation cannot take: told before anything is trained."""

from __future__ import annotations

from pathlib import Path

import pytest

WRONG = """\
architectures:
  mlp:
    dropout: [-1, 2]
    width: {int: [-5, 8]}
    depth: {int: [1, 1000000000]}
training:
  optimizer:
    sgd:
      momentum: {float: [-1, 0.9]}
"""
PLUGIN = """\
from torch import nn
from automl import Int, architecture, hookimpl

@architecture(height=Int(1, 3))
def tower(input_shape, num_outputs, *, height):
    "For rows of a table, and of a height that is odd."
    (features,) = input_shape
    if height % 2 == 0:
        raise ValueError("it would fall over")
    return nn.Linear(features, num_outputs)

@hookimpl
def automl_architectures():
    return [tower]
"""


@pytest.mark.parametrize("command", [["space", "check"], ["search", "digits", "--space"]])
def test_unfit_domain_is_refused_with_file_line_and_key(automl, tmp_path, command):
    (tmp_path / "wrong.yaml").write_text(WRONG)
    answer = automl(*command, tmp_path / "wrong.yaml")
    assert answer.code == 2
    for words in (
        "wrong.yaml:3: architectures.mlp.dropout: architecture 'mlp' cannot take -1.0: ",
        "wrong.yaml:3: architectures.mlp.dropout: architecture 'mlp' cannot take 2.0: ",
        "wrong.yaml:4: architectures.mlp.width: architecture 'mlp' cannot take -5: ",
        "wrong.yaml:9: training.optimizer.sgd.momentum: optimizer 'sgd' cannot take -1.0: ",
    ):
        assert words in answer.err
    assert "depth" not in answer.err  # that many layers are a matter of memory and time, which the trial tells
    assert "Traceback" not in answer.err
    assert not list(Path.cwd().iterdir())


def test_unfit_domain_of_an_override_or_of_a_plugin_of_ones_own_is_refused(automl, tmp_path):
    (tmp_path / "mine.py").write_text(PLUGIN)
    plugin = ["--plugin", tmp_path / "mine.py"]
    answer = automl("space", "check", "smoke", "--set", "mlp.dropout=1.5")
    assert answer.code == 2
    assert "--set mlp.dropout=1.5: architecture 'mlp' cannot take 1.5" in answer.err
    (tmp_path / "high.yaml").write_text("architectures: {tower: {height: [5, 8]}}")
    answer = automl("space", "check", tmp_path / "high.yaml", *plugin)
    assert answer.code == 2
    assert "high.yaml:1: architectures.tower.height: architecture 'tower' cannot take 8: it would fall" in answer.err
    assert "take 5" not in answer.err
    (tmp_path / "high.yaml").write_text("architectures: {tower: {height: 5}}")
    assert automl("space", "check", tmp_path / "high.yaml", *plugin).code == 0
