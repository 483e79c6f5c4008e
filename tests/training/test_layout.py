"""Channels-last where it is safe, contiguous where oneDNN is not."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torch import nn

from automl.training.layout import choose_layout

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("convolution", "layout"),
    [
        (nn.Conv2d(5, 10, 1, stride=2), torch.contiguous_format),
        (nn.Conv2d(15, 10, 1, stride=2), torch.contiguous_format),
        (nn.Conv2d(32, 32, 1, stride=2, groups=4), torch.contiguous_format),  # 8 channels a group
        (nn.Conv2d(5, 10, 1, stride=(1, 2)), torch.contiguous_format),
        (nn.Conv2d(16, 10, 1, stride=2), torch.channels_last),
        (nn.Conv2d(5, 10, 1), torch.channels_last),
        (nn.Conv2d(5, 10, 3, stride=2), torch.channels_last),
        (nn.Linear(5, 10), torch.channels_last),
    ],
)
def test_only_a_strided_1x1_convolution_of_few_channels_is_trained_contiguous(convolution, layout):
    assert choose_layout(nn.Sequential(nn.ReLU(), nn.Sequential(convolution)), CPU) is layout


def test_a_gpu_always_gets_channels_last():
    assert choose_layout(nn.Conv2d(5, 10, 1, stride=2), torch.device("cuda")) is torch.channels_last


def test_a_fold_trains_in_the_layout_chosen(make_recipe, make_run):
    for architecture, layout in (("resnet", torch.contiguous_format), ("lenet", torch.channels_last)):
        run = make_run(make_recipe(architecture))
        next(run.advance(1, 1))
        assert run.folds[0].layout is layout
        convolution = next(m for m in run.folds[0].network.modules() if isinstance(m, nn.Conv2d) and m.in_channels > 1)
        assert convolution.weight.is_contiguous(memory_format=layout)


SCRIPT = """
import sys
import numpy as np, torch
from automl.data.sources.arrays import from_arrays
from automl.data.resident import Resident
from automl.hooks.host import load_plugins
from automl.training.recipe import Recipe
from automl.training.run import TrialRun

torch.set_num_threads(1)
host = load_plugins()
rng = np.random.default_rng(0)
data = from_arrays(rng.integers(0, 256, (80, 8, 8), dtype=np.uint8), np.arange(80) % 3)
recipe = Recipe(host.architecture("resnet"), dict(depth=1, width=5, kernel_size=3, dropout=0.0),
                host.optimizer("sgd"), dict(momentum=0.9, nesterov=False), host.schedule("constant"), {},
                lr=0.01, weight_decay=0.0, batch_size=8, epochs=20)
run = TrialRun(recipe, Resident(data, torch.device("cpu")), [(np.arange(80), np.arange(20))], seed=0)
epochs = sum(1 for _ in run.advance(20, 1))  # 20 epochs of 10 steps
garbage = [torch.randn(997).clone() for _ in range(2000)]  # a corrupted heap shows here at the latest
print("survived", epochs)
"""


def test_200_steps_of_a_narrow_resnet_do_not_corrupt_the_heap():
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout) == (0, "survived 20\n"), done.stderr[-2000:]
