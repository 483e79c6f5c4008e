"""The scripts for a machine with a GPU, as far as the CPU carries them: in tiny sizes, for misspelt names."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_every_step_for_a_gpu_runs_on_the_cpu(tmp_path: Path) -> None:
    done = subprocess.run(
        ["bash", "benchmarks/gpu/on-device.sh", "all"],
        cwd=ROOT,
        env={**os.environ, "DEVICE": "cpu", "SKIP_INSTALL": "1", "PYTHON": sys.executable, "WORK": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + (tmp_path / "out" / "log.txt").read_text()
    _, _, table = done.stdout.partition("| step | result | time |")
    steps = dict(line.strip("| ").split(" | ")[:2] for line in table.splitlines() if line.startswith("| "))
    assert steps.keys() >= {"versions", "life-auto", "waits", "executors", "cifar10"}
    assert {steps[name] for name in steps.keys() - {"---"}} <= {"ok", "cut off"}  # by its limit, on a busy machine
