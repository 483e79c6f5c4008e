"""What every trial tunes about its training besides the choice of optimizer and schedule.

A new training parameter is one line in `TRAINING`; it is then known to YAML files, `--set`, the schema and the config
(as `train.NAME`). The trainer reads it from the config.
"""

from __future__ import annotations

from automl.spaces.parameters import Choice, Float, Parameter

TRAINING: dict[str, Parameter] = {
    "lr": Float(1e-4, 1e-1, log=True),
    "weight_decay": Float(1e-6, 1e-1, log=True),
    "batch_size": Choice(32, 64, 128),
    "augmentation": Choice("none", "light"),  # of images; tables are left as they are
}

LEAST: dict[str, float] = {"lr": 0.0, "weight_decay": 0.0, "batch_size": 1}
"""The smallest value that makes sense, also for a pinned one. A parameter that is not listed has no such bound."""
