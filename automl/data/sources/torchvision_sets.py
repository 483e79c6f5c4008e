"""`torchvision:NAME`: the small classification sets of torchvision, downloaded once to the user's private cache."""

from __future__ import annotations

import socket
from typing import Any

import numpy as np

from automl.data.dataset import Dataset, Task
from automl.data.sources import cache
from automl.data.sources.arrays import from_arrays
from automl.errors import DataError, did_you_mean

# How the constructor asks for a side: by train=True/False or by split="train"/"test".
_SETS = {
    "MNIST": "train",
    "FashionMNIST": "train",
    "KMNIST": "train",
    "QMNIST": "train",
    "USPS": "train",
    "CIFAR10": "train",
    "CIFAR100": "train",
    "SVHN": "split",
    "STL10": "split",
}
_TIMEOUT = 60.0  # seconds without a byte; urllib would wait for ever


def load_torchvision(name: str, task: Task | None = None) -> Dataset:
    """The set `name` with torchvision's own train and test sides.

    Raises `DataError` for an unknown name, or when the download fails.
    """
    if name not in _SETS:
        raise DataError(f"torchvision:{name}: there is no such set{did_you_mean(name, _SETS)}")
    from torchvision import datasets

    timeout = socket.getdefaulttimeout()
    try:
        root = cache.make_private_folder() / "torchvision" / name
        root.mkdir(parents=True, exist_ok=True)
        socket.setdefaulttimeout(_TIMEOUT)
        sides = [_side(getattr(datasets, name), str(root), side) for side in ("train", "test")]
    # URLError and timeouts are OSErrors; RuntimeError is a wrong checksum; ValueError and EOFError a damaged file.
    except (OSError, RuntimeError, ValueError, EOFError, IndexError) as error:
        raise DataError(
            f"torchvision:{name}: the download failed ({' '.join(str(error).split()) or type(error).__name__}); "
            "check the network, or put torchvision's files into "
            f"{cache.private_folder() / 'torchvision' / name} yourself"
        ) from error
    finally:
        socket.setdefaulttimeout(timeout)
    (x, y, names), (x_test, y_test, _) = sides
    return from_arrays(
        x, y, x_test=x_test, y_test=y_test, classes=names, task=task, name=name.lower(), source=f"torchvision:{name}"
    )


def _side(make: Any, root: str, side: str) -> tuple[Any, Any, list[str] | None]:
    """Images, integer labels and class names (if torchvision knows them) of one side."""
    how = {"train": side == "train"} if _SETS[make.__name__] == "train" else {"split": side}
    made = make(root, download=True, **how)
    labels = np.asarray(made.labels if hasattr(made, "labels") else made.targets)
    if labels.ndim == 2:  # QMNIST: the digit is the first of eight columns
        labels = labels[:, 0]
    names = getattr(made, "classes", None)
    return np.asarray(made.data), labels.astype(np.int64), None if names is None else [str(n) for n in names]
