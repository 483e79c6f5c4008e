"""What a search optimises: the name of the score, where it stands in the curves, and which way is better."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from automl.errors import SettingsError, did_you_mean

# Of each task: the loss, which is the default objective, the metric that is shown beside it, and the others.
METRICS = {
    "classification": ("log_loss", "accuracy", "balanced_accuracy", "macro_f1", "auroc"),
    "regression": ("rmse", "r2", "mae"),
    "multilabel": ("log_loss", "accuracy", "subset_accuracy", "macro_f1", "auroc"),
}
GREATER_IS_BETTER = frozenset({"accuracy", "subset_accuracy", "balanced_accuracy", "macro_f1", "auroc", "r2"})

CALLED = {"multilabel": "multi-label classification"}
"""What people call a task, where that is another word."""

TRAIN_LOSS, TRAIN_METRIC, VALIDATION_LOSS, VALIDATION_METRIC = range(4)

Cost = TypeVar("Cost", float, NDArray[np.float64])


@dataclass(frozen=True)
class Objective:
    """The score's `name`; `loss` and `metric` are what the curves hold, and one of them is the score.

    Inside the race a score is a cost: lower is better. Outside, for the storage and for people, it is a value.
    """

    loss: str = "log_loss"
    metric: str = "accuracy"
    name: str = "log_loss"

    @classmethod
    def of(cls, task: str, name: str | None = None) -> Objective:
        """The objective `name` (None: the loss) of a task. Raises `SettingsError`."""
        loss, beside, *_ = METRICS[task]
        if name is None or name == loss:
            return cls(loss, beside, loss)
        if name not in METRICS[task]:
            known = ", ".join(METRICS[task])
            raise SettingsError(
                f"--metric {name}: a {CALLED.get(task, task)} has {known}{did_you_mean(name, METRICS[task])}"
            )
        return cls(loss, name, name)

    @classmethod
    def named(cls, name: str, beside: str) -> Objective:
        """The objective whose `name` and `beside` are these, as `run.yaml` keeps them."""
        is_loss = any(name == names[0] for names in METRICS.values())
        return cls(name, beside, name) if is_loss else cls(beside, name, name)

    @property
    def column(self) -> int:
        """Where it stands on the last axis of the curves."""
        return VALIDATION_LOSS if self.name == self.loss else VALIDATION_METRIC

    @property
    def beside(self) -> str:
        """The name of the other one, which is shown beside the score."""
        return self.metric if self.name == self.loss else self.loss

    @property
    def beside_column(self) -> int:
        """Where the other one stands."""
        return VALIDATION_LOSS + VALIDATION_METRIC - self.column

    @property
    def direction(self) -> str:
        """`minimize` or `maximize`, as Optuna says."""
        return "maximize" if self.name in GREATER_IS_BETTER else "minimize"

    def cost(self, value: float) -> float:
        """The value, or minus the value where greater is better."""
        return -value if self.name in GREATER_IS_BETTER else value

    value = cost  # its own inverse

    def error(self, cost: Cost) -> Cost:
        """How far a cost lies from perfect, 0: a loss itself; 1 - accuracy, 1 - AUROC, 1 - R2 and the like."""
        return 1 + cost if self.name in GREATER_IS_BETTER else cost
