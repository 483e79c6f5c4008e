"""Losses and the metric that is watched beside them, summed over a batch so that means over an epoch are exact."""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

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


def split_auxiliary(network: nn.Module, output: Any) -> tuple[Any, tuple[Any, ...]]:
    """(output, outputs of auxiliary classifiers) of what `network` returned.

    While it is trained, a network that has a number `auxiliary_weight` may return a tuple: its output, then those of
    its auxiliary classifiers. Anything else is the output, as it is.
    """
    if isinstance(output, tuple) and output and network.training and hasattr(network, "auxiliary_weight"):
        return output[0], output[1:]
    return output, ()


def training_loss(loss: Loss, network: nn.Module, output: Any, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(what is minimised, the loss, the output [b, outputs]) from what `network` returned in training.

    What is minimised is the loss plus `network.auxiliary_weight` times the sum of the losses of auxiliary classifiers.
    The loss itself is that of the output alone, so that it compares with the validation loss.
    """
    output, auxiliary = split_auxiliary(network, output)
    value = loss(output, y)
    if not auxiliary:
        return value, value, output
    others = sum((loss(each, y) for each in auxiliary), start=value.new_zeros(()))
    return value + float(network.auxiliary_weight) * others, value, output  # type: ignore[arg-type]


def loss_for(task: str) -> Loss:
    """The loss of a task: `classification` or `regression`."""
    return ClassificationLoss() if task == "classification" else RegressionLoss()
