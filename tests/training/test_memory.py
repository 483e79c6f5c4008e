"""The most memory that a trial took, not that of the ones before it."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch

from automl.training.memory import peak_memory, reset_peak_memory

CPU = torch.device("cpu")
MIB = 2**20


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets a process count anew")
def test_it_counts_from_the_last_reset() -> None:
    np.ones(100 * MIB, dtype=np.uint8).sum()
    before = peak_memory(CPU)
    reset_peak_memory(CPU)
    assert peak_memory(CPU) < before - 90 * MIB
    np.ones(50 * MIB, dtype=np.uint8).sum()
    assert before - 60 * MIB < peak_memory(CPU) < before - 40 * MIB
