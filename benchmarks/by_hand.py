"""What one would do by hand with photos: a frozen EfficientNet-Lite0 of ImageNet, logistic regression on its features.

    python benchmarks/by_hand.py FOLDER [FOLDER ...] [--side 224] [--variant lite0]

FOLDER has `train/` and `test/` (or `val/`), each with a folder for each class. Nothing of automl is used, but for the
network: the shorter side is resized to --side and the centre cropped, features are computed once, 5 folds choose C.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from automl_plugins.efficientnet_lite import MEAN, STD, VARIANTS, build_backbone, load_imagenet
from PIL import Image, UnidentifiedImageError
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import StratifiedKFold, cross_val_predict

STRENGTHS = [10.0**power for power in range(-4, 3)]
BATCH = 32


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--side", type=int, default=224, help="pixels")
    parser.add_argument("--variant", choices=list(VARIANTS), default="lite0")
    options = parser.parse_args()
    print("| photos | side | C | CV log loss | CV accuracy | test log loss | test accuracy | seconds |")
    print("|---|---|---|---|---|---|---|---|")
    for folder in options.folders:
        print(row(folder, options.side, options.variant), flush=True)


def row(folder: Path, side: int, variant: str) -> str:
    started = time.perf_counter()
    test_folder = next(folder / name for name in ("test", "val") if (folder / name).is_dir())
    classes = sorted(path.name for path in (folder / "train").iterdir() if path.is_dir())
    backbone = load_backbone(variant)
    x, y = features_of(folder / "train", classes, side, backbone)
    x_test, y_test = features_of(test_folder, classes, side, backbone)
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    chosen: tuple[float, float, Any] = min(
        (log_loss(y, p), strength, p)
        for strength in STRENGTHS
        for p in [cross_val_predict(regression(strength), x, y, cv=folds, method="predict_proba")]
    )
    loss, strength, p = chosen
    p_test = regression(strength).fit(x, y).predict_proba(x_test)
    numbers = [loss, (p.argmax(1) == y).mean(), log_loss(y_test, p_test), (p_test.argmax(1) == y_test).mean()]
    shown = " | ".join(f"{number:.3f}" for number in numbers)
    return f"| {folder.name} | {side} | {strength:g} | {shown} | {time.perf_counter() - started:.0f} |"


def regression(strength: float) -> LogisticRegression:
    return LogisticRegression(C=strength, max_iter=2000)


def load_backbone(variant: str) -> torch.nn.Module:
    with torch.device("meta"):
        backbone = build_backbone(variant)
    load_imagenet(variant, backbone.requires_grad_(False))
    return backbone.eval().to(memory_format=torch.channels_last)


@torch.inference_mode()
def features_of(folder: Path, classes: list[str], side: int, backbone: torch.nn.Module) -> tuple[Any, Any]:
    """Features [n, 1280] and class numbers [n] of the photos of a folder."""
    files = [(path, label) for label, name in enumerate(classes) for path in sorted((folder / name).iterdir())]
    photos, labels = [], []
    for path, label in files:
        try:
            photos.append(photo(path, side))
        except (UnidentifiedImageError, OSError):
            print(f"{path.name} is no image", flush=True)
            continue
        labels.append(label)
    parts = []
    for start in range(0, len(photos), BATCH):
        x = torch.from_numpy(np.stack(photos[start : start + BATCH])).permute(0, 3, 1, 2).float()
        parts.append(backbone(((x - MEAN) / STD).contiguous(memory_format=torch.channels_last)).numpy())
    return np.concatenate(parts), np.array(labels)


def photo(path: Path, side: int) -> Any:
    """Pixels [side, side, 3] of the centre."""
    image = Image.open(path).convert("RGB")
    scale = side / min(image.size)
    width, height = (max(side, round(length * scale)) for length in image.size)
    left, top = (width - side) // 2, (height - side) // 2
    return np.asarray(
        image.resize((width, height), Image.Resampling.BICUBIC).crop((left, top, left + side, top + side))
    )


if __name__ == "__main__":
    main()
