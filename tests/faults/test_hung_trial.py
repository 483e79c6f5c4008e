"""A trial whose network hangs is killed at `--trial-timeout` and fails; the search goes on."""

from __future__ import annotations

import pytest
from watching import board

PLUGIN = '''import re
import time

import torch
import pytest
from torch import nn

from automl import Choice, architecture, hookimpl


class Net(nn.Module):
    def __init__(self, num_outputs, how):
        super().__init__()
        self.dense = nn.Linear(64, num_outputs)
        self.how = how

    def forward(self, x):
        if x.device.type != "meta":
            if self.how == "slow":
                time.sleep(1.5)
            while self.how == "step":
                time.sleep(0.01)
        return self.dense(x.flatten(1))


@architecture(how=Choice("build", "fine", "slow", "step"))
def stuck(input_shape, num_outputs, *, how):
    """Hangs in three of four configs."""
    if how == "build" and torch.empty(0).device.type != "meta":
        re.match("(a+)+$", "a" * 64 + "b")  # never ends, and lets no other thread of its process do anything
    return Net(num_outputs, how)


@hookimpl
def automl_architectures():
    return [stuck]
'''
SPACE = """
architectures: stuck
training: {optimizer: {sgd: {momentum: 0.9, nesterov: false}}, schedule: constant, augmentation: none, lr: 0.1,
           weight_decay: 0, batch_size: 64}
"""


@pytest.mark.slow
def test_hung_trial_in_build_or_step_is_killed_and_fails_and_the_search_goes_on(automl, tmp_path):
    (tmp_path / "stuck.py").write_text(PLUGIN)
    (tmp_path / "space.yaml").write_text(SPACE)
    run = tmp_path / "run"
    options = ["--plugin", tmp_path / "stuck.py", "--space", tmp_path / "space.yaml", "--sampler", "grid"]
    options += ["--trials", 4, "--folds", 2, "--epochs", 1, "--repeats", 1, "--threads", 1, "--workers", 1]
    answer = automl("search", "digits", "--out", run, *options, "--trial-timeout", "15s")
    assert answer.code == 0, answer.err
    trials = {t["config"]["stuck.how"]: t for t in board(automl, run)["trials"]}
    assert (trials["fine"]["state"], trials["fine"]["folds"]) == ("COMPLETE", 2)
    hung = "longer than --trial-timeout 15s: its worker hung and was killed"
    for how in ("build", "step"):
        assert (trials[how]["state"], trials[how]["reason"]) == ("FAIL", hung)
        assert f"trial {trials[how]['number']} (stuck): failed, {hung}" in answer.out
    # What merely takes long ends by itself, and its worker goes on.
    assert (trials["slow"]["state"], trials["slow"]["reason"]) == ("FAIL", "longer than --trial-timeout 15s")
    assert len(list((run / "logs").iterdir())) == 3
    assert "signal 9" not in answer.err
