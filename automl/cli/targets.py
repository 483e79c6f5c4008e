"""The scores of each of several targets, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

MEANS = {
    "regression": "rmse and mae are means over the targets, in standard deviations of each; by target:",
    "multilabel": "log_loss, accuracy, macro_f1 and auroc are means over the labels; by label:",
}
"""What the scores of all targets together are, by task."""


def call_target(row: Mapping[str, Any], task: str) -> str:
    """What the scores of a target begin with: its name, and in which units they are, or how many samples have it."""
    return f"{row['target']}, in its own units" if task == "regression" else f"{row['target']}, of {row['support']:,}"
