"""The files of a saved model and of its exports, found without importing torch."""

from __future__ import annotations

import os
from pathlib import Path

from automl.errors import RunError
from automl.run.folder import RunFolder, known_runs

WEIGHTS, DESCRIPTION = "model.safetensors", "model.json"

FORMATS = {"torch-export": "model.pt2", "onnx": "model.onnx", "state-dict": "weights.safetensors"}
"""Each format of an export and the name that its file has by default."""


def model_folder(path: str | Path) -> Path:
    """The folder of the model that `path` means: itself, or `model/` in the run's folder.

    Raises `RunError` that says what is there instead, and which runs there are.
    """
    folder = Path(path).expanduser()
    for candidate in (folder, folder / "model"):
        if os.path.lexists(candidate / DESCRIPTION):  # a dead link and a pipe too: reading it says what is wrong
            return candidate
    if RunFolder(folder).exists:
        raise RunError(
            f"{path}: this run has no model, for its search has not come to its end; go on with: automl resume {path}"
        )
    what = f"no model is here ({DESCRIPTION} is missing)" if folder.exists() else "no such run or model"
    raise RunError(f"{path}: {what}{known_runs(folder)}")
