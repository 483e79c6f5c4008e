"""Losses and the metric that is watched beside them, summed over a batch so that means over an epoch are exact."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from automl.data.resident import Normalisation


class ClassificationLoss:
    """Cross entropy (log loss, natural logarithm); the metric is accuracy."""

    objective = "log_loss"
    metric = "accuracy"

    def normalise_targets(self, y: Tensor, norm: Normalisation) -> Tensor:
        """Class indices need no normalisation."""
        return y

    def __call__(self, output: Tensor, y: Tensor) -> Tensor:
        """The mean loss of a batch: logits [b, classes], class indices [b]."""
        return F.cross_entropy(output.float(), y)

    def metric_sums(self, output: Tensor, y: Tensor, norm: Normalisation) -> Tensor:
        """What must be summed over batches for the metric: the number of right answers."""
        return (output.argmax(1) == y).sum()

    def finish(self, loss: float, metric: float, norm: Normalisation) -> tuple[float, float]:
        """(loss, metric) of an epoch from the means over its samples."""
        return loss, metric


class RegressionLoss:
    """Mean squared error on normalised targets, reported as RMSE in the targets' units; the metric is R2.

    R2 = 1 - MSE / Var(y of the training part), averaged over the outputs.
    """

    objective = "rmse"
    metric = "r2"

    def normalise_targets(self, y: Tensor, norm: Normalisation) -> Tensor:
        """Targets [b, outputs] in units of the training part's standard deviation."""
        assert norm.y_mean is not None
        assert norm.y_std is not None
        return (y - norm.y_mean) / norm.y_std

    def __call__(self, output: Tensor, y: Tensor) -> Tensor:
        """The mean loss of a batch: predictions and normalised targets, both [b, outputs]."""
        return F.mse_loss(output.float(), y)

    def metric_sums(self, output: Tensor, y: Tensor, norm: Normalisation) -> Tensor:
        """The sum of squared errors in the targets' units, averaged over the outputs."""
        assert norm.y_std is not None
        return (((output.float() - y) * norm.y_std) ** 2).mean(1).sum()

    def finish(self, loss: float, metric: float, norm: Normalisation) -> tuple[float, float]:
        """(RMSE, R2) of an epoch from the means over its samples."""
        return float(metric**0.5), 1.0 - loss


Loss = ClassificationLoss | RegressionLoss


def loss_for(task: str) -> Loss:
    """The loss of a task: `classification` or `regression`."""
    return ClassificationLoss() if task == "classification" else RegressionLoss()
