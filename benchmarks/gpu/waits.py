"""Which options keep a step from being a CUDA graph; and what a trial pays before its first epoch.

    python waits.py [--device cuda]

Of each option a few steps are trained; why there is no graph is printed, and where.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[2] / "tests" / "training"))

from executors import CASES, make_recipe, make_resident
from rerun import Rerun

from automl.data.augmentation.augment import BatchAugmentation
from automl.data.augmentation.policy import Policy
from automl.hooks.host import load_plugins
from automl.training.cuda_graph import CudaRecorder
from automl.training.device import choose_precision
from automl.training.fold import build_fold
from automl.training.fused import FoldGroup
from automl.training.losses import loss_for
from automl.training.techniques import Techniques

POLICIES = {
    "no augmentation": {},
    "light": {"horizontal_flip": 0.5, "shift": 0.07},
    "vertical_flip": {"vertical_flip": 0.5},
    "padded_crop": {"padded_crop": 0.125},
    "rotation": {"rotation": 10},
    "rotation and shift": {"rotation": 10, "shift": 0.1},
    "scale": {"scale": 0.1},
    "crop_area": {"crop_area": 0.5},
    "colours": {"brightness": 0.2, "contrast": 0.2, "saturation": 0.2, "hue": 0.05},
    "noise": {"noise": 0.03},
    "cutout": {"cutout": 0.3},
    "mixup": {"mixup": 0.2},
}
TECHNIQUES = {
    "warmup": {"warmup": 0.5}, "l1": {"l1": 1e-5}, "label_smoothing": {"label_smoothing": 0.1},
    "class_weights": {"class_weights": "balanced"}, "clip_norm": {"clip_norm": 1.0}, "clip_value": {"clip_value": 0.1},
    "ema": {"ema": 0.99},
}  # fmt: skip
OPTIMIZERS: dict[str, dict[str, Any]] = {
    "sgd": {"momentum": 0.9, "nesterov": True}, "adam": {"beta1": 0.9}, "adamw": {"beta1": 0.9}, "adagrad": {},
    "rmsprop": {"alpha": 0.95, "momentum": 0.5}, "adadelta": {"rho": 0.9},
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    device = torch.device(parser.parse_args().device)
    host, loss, precision = load_plugins(), loss_for("classification"), choose_precision("auto", device)
    case = next(case for case in CASES if case.name == "LeNet")._replace(shape=(3, 32, 32))
    batch = 16
    resident = make_resident(case, 4 * batch, device)
    samples = np.arange(4 * batch)

    def row(what: str, recipe: Any, policy: dict[str, float]) -> None:
        folds = [build_fold(recipe, resident, loss, samples, samples[:8], number=n, seed=n) for n in range(2)]
        for fold in folds:
            fold.augmentation = BatchAugmentation(Policy(**policy))
        group = FoldGroup(folds, resident, loss, precision, CudaRecorder if device.type == "cuda" else Rerun)
        for _ in range(4):
            group.train_epoch("accuracy", lambda: None)
        outside = "" if group.graph is None or group.graph.updates else "graph, optimizer outside"
        if said := group.reason or outside:
            print(f"| {what} | {said} |", flush=True)

    print("| option (only those that are not all in the graph) | what there is |\n| --- | --- |")
    plain = make_recipe(case, batch, host)
    for name, policy in POLICIES.items():
        row(name, plain, policy)
    for name, changes in TECHNIQUES.items():
        row(name, replace(plain, techniques=Techniques(**changes)), {})
    for name, config in OPTIMIZERS.items():
        row(name, replace(plain, optimizer=host.optimizer(name), optimizer_config=config, lr=0.001), {})

    print("\n| network | building 5 folds, ms | score of 40,000 outputs, ms |\n| --- | --- | --- |")
    for case in (case for case in CASES if case.name in ("LeNet", "ResNet-20", "ResNet-18")):
        recipe, data = make_recipe(case, 128, host), make_resident(case, 512, device)
        parts = [(np.arange(384), np.arange(384, 512))] * 5
        output, y = torch.randn(40_000, 10, device=device), torch.randint(10, (40_000,), device=device)
        ways: list[Callable[[], object]] = [
            lambda: [build_fold(recipe, data, loss, *own, number=0, seed=0) for own in parts],  # noqa: B023
            lambda: loss.score(output, y, None, "accuracy"),  # noqa: B023
        ]
        shown = []
        for way in ways:
            times = []
            for _ in range(3 if device.type == "cuda" else 1):
                started = time.perf_counter()
                way()
                if device.type == "cuda":
                    torch.cuda.synchronize()
                times.append(1e3 * (time.perf_counter() - started))
            shown.append(f"{statistics.median(times):.0f}")
        print(f"| {case.name} | {' | '.join(shown)} |", flush=True)


if __name__ == "__main__":
    main()
