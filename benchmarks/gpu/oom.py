"""What happens when the device's memory is short; and how much fused folds take. Limits stand in for a small card.

python oom.py [--device cuda]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from executors import CASES, make_recipe, make_resident

import automl
from automl.hooks.host import load_plugins
from automl.training.device import choose_precision
from automl.training.run import TrialRun

MIB = 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu")
    device = torch.device(parser.parse_args().device)
    if device.type == "cuda":
        device = torch.device("cuda", device.index or 0)
    host = load_plugins()
    case = next(case for case in CASES if case.name == ("ResNet-18" if device.type == "cuda" else "LeNet"))
    batch = 256 if device.type == "cuda" else 4
    recipe = make_recipe(case, batch, host)
    resident = make_resident(case, 8 * batch + 64, device)
    samples = [(np.arange(8 * batch), np.arange(8 * batch, 8 * batch + 64))] * 5
    precision = choose_precision("auto", device)
    total = torch.cuda.get_device_properties(device).total_memory if device.type == "cuda" else 0

    def limit(size: float | None) -> None:
        if device.type == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.set_per_process_memory_fraction(1.0 if size is None else min(1.0, size / total), device)

    def train(folds: int, fused: bool) -> TrialRun:
        run = TrialRun(recipe, resident, samples, seed=0, precision=precision, fused=fused)
        try:
            for _ in run.advance(3, folds):
                pass
            together = run.executor.largest or folds
            print(f"   {run.executor.name}, folds together: {together}, peak {run.peak_memory / MIB:.0f} MiB")
            return run
        finally:
            run.release()

    def part(what: str, do: Callable[[], Any]) -> Any:
        print(f"- {what}", flush=True)
        try:
            return do()
        except Exception as error:
            print(f"   {type(error).__name__}: {str(error)[:200]}", flush=True)
            if not isinstance(error, automl.Infeasible):
                print("   " + "   ".join(traceback.format_exc(limit=-3).splitlines(True)))
            return None
        finally:
            if device.type == "cuda":
                held = torch.cuda.memory_allocated(device) / MIB, torch.cuda.memory_reserved(device) / MIB
                print(f"   afterwards {held[0]:.0f} MiB are allocated, {held[1]:.0f} reserved", flush=True)

    one = part("one fold, no limit", lambda: train(1, False).peak_memory)
    five = part("five fused folds, no limit", lambda: train(5, True).peak_memory)
    if device.type != "cuda" or not one or not five:
        print("the rest needs a CUDA device")
    else:
        limit(0.6 * five)
        part("five fused folds with 0.6 of what they take: fewer folds at a time expected", lambda: train(5, True))
        limit(0.5 * one)
        part("with half of what one fold takes: Infeasible expected", lambda: train(5, True))
        limit(None)
        part("without a limit again", lambda: train(5, True))
        limit(None)
    with tempfile.TemporaryDirectory() as folder:
        limit(600 * MIB)

        def search() -> None:
            run = automl.search(
                "digits", out=f"{folder}/run", trials=6 if device.type == "cuda" else 2, epochs=3, folds=5, finalists=1,
                repeats=1, device=device.type, space="classics" if device.type == "cuda" else "smoke", report=False,
                timeout=40 if device.type == "cuda" else None,
            )  # fmt: skip
            print(f"   {run.summary['totals']}")

        part("a search of `classics` on digits with 600 MiB: some infeasible, none failed", search)


if __name__ == "__main__":
    main()
