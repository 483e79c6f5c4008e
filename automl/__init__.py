"""automl: architecture search for PyTorch networks that cross-validates every trial.

The public names, and nothing else. They are loaded on first use, so that `import automl` imports no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from automl.api import fit, load_model, open_run, resume, search
    from automl.data.augmentation.policy import Policy
    from automl.data.tables.features import InputColumn
    from automl.errors import AutomlError, BadInput, Infeasible, Interrupted
    from automl.hooks.declarations import (
        Architecture,
        Augmentation,
        DatasetSource,
        Optimizer,
        Schedule,
        architecture,
        augmentation,
        dataset,
        optimizer,
        schedule,
    )
    from automl.hooks.hookspecs import hookimpl
    from automl.models.building import build_network
    from automl.results.run import Run
    from automl.spaces.parameters import Choice, Float, Int, Text

__version__ = "0.1.0"

_HOME = {
    "search": "automl.api",
    "resume": "automl.api",
    "fit": "automl.api",
    "load_model": "automl.api",
    "open_run": "automl.api",
    "Run": "automl.results.run",
    "build_network": "automl.models.building",
    "AutomlError": "automl.errors",
    "BadInput": "automl.errors",
    "Infeasible": "automl.errors",
    "Interrupted": "automl.errors",
    "Architecture": "automl.hooks.declarations",
    "Optimizer": "automl.hooks.declarations",
    "Schedule": "automl.hooks.declarations",
    "Augmentation": "automl.hooks.declarations",
    "DatasetSource": "automl.hooks.declarations",
    "architecture": "automl.hooks.declarations",
    "optimizer": "automl.hooks.declarations",
    "schedule": "automl.hooks.declarations",
    "augmentation": "automl.hooks.declarations",
    "Policy": "automl.data.augmentation.policy",
    "InputColumn": "automl.data.tables.features",
    "dataset": "automl.hooks.declarations",
    "hookimpl": "automl.hooks.hookspecs",
    "Int": "automl.spaces.parameters",
    "Float": "automl.spaces.parameters",
    "Choice": "automl.spaces.parameters",
    "Text": "automl.spaces.parameters",
}

__all__ = [
    "Architecture",
    "Augmentation",
    "AutomlError",
    "BadInput",
    "Choice",
    "DatasetSource",
    "Float",
    "Infeasible",
    "InputColumn",
    "Int",
    "Interrupted",
    "Optimizer",
    "Policy",
    "Run",
    "Schedule",
    "Text",
    "architecture",
    "augmentation",
    "build_network",
    "dataset",
    "fit",
    "hookimpl",
    "load_model",
    "open_run",
    "optimizer",
    "resume",
    "schedule",
    "search",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'automl' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
