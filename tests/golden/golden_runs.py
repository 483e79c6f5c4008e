"""Makes the golden runs: `python tests/golden/golden_runs.py`, whenever the format of a run changes on purpose.

Each is a small search that was really made: `journal` and `sqlite` came to their end, with finalists scored again;
`interrupted` was stopped after some epochs. `facts.json` holds what is compared: the fields `FACTS` of each trial and
`TOTALS` of the run. Fields that come later change nothing here.
"""

from __future__ import annotations

import json
import os
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

import automl

GOLDEN = Path(__file__).parent
SPACE = {
    "architectures": {"linear": {"dropout": {"float": [0.0, 0.5]}}},
    "training": {
        "optimizer": ["sgd", "adam"],
        "schedule": "constant",
        "lr": {"float": [0.003, 0.3], "log": True},
        "batch_size": 16,
        "augmentation": "none",
    },
}
SETTINGS: dict[str, Any] = {"trials": 8, "folds": 2, "epochs": 4, "finalists": 2, "repeats": 2, "seed": 1, "workers": 1,
                            "threads": 1, "device": "cpu", "precision": "fp32", "report": False}  # fmt: skip
FACTS = ("number", "state", "reason", "detail", "architecture", "config", "score", "score_std", "rescored", "metrics",
         "epochs", "best_epoch", "folds", "fold_epochs", "parameters", "executor")  # fmt: skip
TOTALS = ("trials", "complete", "waiting", "failed", "pruned", "fold_epochs", "fold_epochs_rescoring")


def data() -> dict[str, Any]:
    """60 images 4x4 of 3 classes that can be told apart."""
    rng = np.random.default_rng(0)
    y = np.arange(60) % 3
    x = rng.integers(0, 160, (60, 4, 4))
    for label in range(3):
        x[y == label, label] += 60
    return {"x": x.astype(np.uint8), "y": y, "classes": np.array(["low", "mid", "high"])}


def facts(summary: Mapping[str, Any]) -> dict[str, Any]:
    """What is compared of the summary of a run."""
    return {
        "best": summary["best"],
        "winner": summary["winner"],
        "totals": {name: summary["totals"][name] for name in TOTALS},
        "trials": [{name: row[name] for name in FACTS} for row in summary["trials"]],
    }


def _make(name: str, **settings: Any) -> Any:
    """Searches in the current folder, and packs the run."""
    batches = iter(range(settings.pop("stop_after", 10**9)))
    try:
        automl.search(data(), SPACE, out=name, interrupted=lambda: next(batches, None) is None,
                      **SETTINGS, **settings)  # fmt: skip
    except automl.AutomlError as error:
        print(name, type(error).__name__)
    record = Path(name, "run.yaml")
    record.write_text(record.read_text().replace(f"{Path.cwd()}/", ""))  # no path of the machine that made it
    summary = json.loads(json.dumps(automl.open_run(name).summary))
    with tarfile.open(GOLDEN / f"{name}.tar.xz", "w:xz") as file:
        file.add(name)
        if Path(f"{name}.db").exists():
            file.add(f"{name}.db")
    return facts(summary)


def main() -> None:
    """Makes all of them."""
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        known = {
            "journal": _make("journal"),
            "sqlite": _make("sqlite", storage="sqlite:///sqlite.db", study="golden"),
            "interrupted": _make("interrupted", stop_after=60),
        }
        os.chdir("/")
    (GOLDEN / "facts.json").write_text(json.dumps(known, indent=1) + "\n")


if __name__ == "__main__":
    main()
