"""`--log-to tensorboard`: every trial of a search in TensorBoard, curves and config. Needs `automl[tensorboard]`.

tensorboard --logdir RUN/tensorboard
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from automl import hookimpl

from .trial_curves import fold_means, numbers


@hookimpl
def automl_log_to() -> dict[str, str]:
    """`--log-to tensorboard`, and the package that it needs."""
    return {"tensorboard": "tensorboard"}


@hookimpl
def automl_trial_finished(run: Mapping[str, Any], trial: Mapping[str, Any], curves: Mapping[str, Any]) -> None:
    """Writes the trial as a run of TensorBoard: scalars by epoch, the config as hyperparameters."""
    folder = Path(run["folder"], "tensorboard", f"trial-{trial['number']:05d}")
    writer = import_module("torch.utils.tensorboard").SummaryWriter(str(folder))
    try:
        for name, curve in fold_means(run, curves).items():
            for epoch, value in curve:
                writer.add_scalar(name, value, epoch)
        config = {name: value if isinstance(value, bool | int | float) else str(value)
                  for name, value in trial["config"].items()}  # fmt: skip
        ended = {"state": trial["state"], "reason": trial["reason"]}
        # In this folder: TensorBoard's own choice, a folder named after the time, is another run beside this one.
        writer.add_hparams(config | ended, {f"trial/{k}": v for k, v in numbers(trial).items()}, run_name=".")
    finally:
        writer.close()
