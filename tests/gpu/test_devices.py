"""Workers on CUDA devices: each on its own where there are several, side by side on one where there is one."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import automl


def search(photos, tmp_path, devices):
    np.savez(tmp_path / "photos.npz", x=photos.x.transpose(0, 2, 3, 1), y=photos.y)
    run = automl.search(
        str(tmp_path / "photos.npz"), out=tmp_path / "run", space="smoke", trials=6, folds=2, epochs=2, finalists=1,
        repeats=1, devices=devices, report=False,
    )  # fmt: skip
    assert [trial["number"] for trial in sorted(run.summary["trials"], key=lambda t: t["number"])] == list(range(6))
    logs = sorted((tmp_path / "run" / "logs").iterdir())
    return [log.read_text().split()[4].strip(",") for log in logs]


def test_two_workers_share_one_device(photos, tmp_path):
    assert search(photos, tmp_path, "cuda:0,cuda:0") == ["cuda:0", "cuda:0"]


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="there is one CUDA device only")
def test_auto_is_a_worker_on_each_device(photos, tmp_path):
    found = search(photos, tmp_path, "auto")
    assert found == [f"cuda:{index}" for index in range(torch.cuda.device_count())]
