"""Losses: what a training step minimises, and what an epoch is scored by."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from automl.data.dataset import Task
from automl.data.resident import Normalisation
from automl.training.metrics import measure
from automl.training.outputs import averaged
from automl.training.techniques import Techniques, balanced_labels, balanced_weights

Criterion = Callable[[Tensor, Tensor], Tensor]
"""What a training step minimises, as a mean over the batch: (output [b, outputs], targets) -> []."""


def widened(output: Tensor) -> Tensor:
    """The output in float32, or in float64 if it is."""
    return output.to(torch.promote_types(output.dtype, torch.float32))


class ClassificationLoss:
    """Cross entropy (log loss, natural logarithm)."""

    def normalise_targets(self, y: Tensor, norm: Normalisation) -> Tensor:
        """Class indices need no normalisation."""
        return y

    def __call__(self, output: Tensor, y: Tensor) -> Tensor:
        """The mean loss of a batch: logits [b, classes], class indices [b] or shares of classes [b, classes]."""
        return F.cross_entropy(widened(output), y)

    def score(self, output: Tensor, y: Tensor, norm: Normalisation, metric: str) -> tuple[float, float]:
        """(log loss, `metric`) of logits [n, classes] and class indices [n]."""
        if not torch.isfinite(output).all():  # scikit-learn refuses it
            return float("nan"), float("nan")
        logits, labels = output.cpu().numpy(), y.cpu().numpy()
        return measure("log_loss", labels, logits), measure(metric, labels, logits)


class MultilabelLoss:
    """Binary cross entropy (log loss, natural logarithm), the mean over the labels."""

    def normalise_targets(self, y: Tensor, norm: Normalisation) -> Tensor:
        """Labels [b, labels] as float32, which can be mixed and smoothed."""
        return y.to(torch.float32)

    def __call__(self, output: Tensor, y: Tensor) -> Tensor:
        """The mean loss of a batch: logits and labels (or mixtures of them, 0 to 1), both [b, labels]."""
        output = widened(output)
        return F.binary_cross_entropy_with_logits(output, y.to(output.dtype))

    def score(self, output: Tensor, y: Tensor, norm: Normalisation, metric: str) -> tuple[float, float]:
        """(log loss, `metric`) of logits and labels, both [n, labels]."""
        return ClassificationLoss().score(output, y, norm, metric)


class RegressionLoss:
    """Mean squared error on normalised targets, reported as RMSE in the target's units, of several outputs as the mean
    in units of their `deviations` [outputs], see `automl.training.metrics.measure`.
    """

    def __init__(self, deviations: NDArray[np.float64] | None = None):
        self.deviations = deviations

    def normalise_targets(self, y: Tensor, norm: Normalisation) -> Tensor:
        """Targets [b, outputs] on the scale on which they are learnt."""
        assert norm.target is not None
        return norm.target.learnt(y)

    def __call__(self, output: Tensor, y: Tensor) -> Tensor:
        """The mean loss of a batch: predictions and normalised targets, both [b, outputs]."""
        output = widened(output)
        return F.mse_loss(output, y.to(output.dtype))  # torch before 2.13 has no gradient for two dtypes

    def score(self, output: Tensor, y: Tensor, norm: Normalisation, metric: str) -> tuple[float, float]:
        """(RMSE, `metric`) of normalised predictions and targets in their own units, both [n, outputs]."""
        assert norm.target is not None
        if not torch.isfinite(output).all():  # scikit-learn refuses it
            return float("nan"), float("nan")
        predicted = norm.target.predicted(output).cpu().numpy()
        targets = y.cpu().numpy()
        rmse, other = (measure(name, targets, predicted, self.deviations) for name in ("rmse", metric))
        return rmse, other


Loss = ClassificationLoss | MultilabelLoss | RegressionLoss


def split_auxiliary(network: nn.Module, output: Any) -> tuple[Any, tuple[Any, ...]]:
    """(output, outputs of auxiliary classifiers) of what `network` returned.

    While it is trained, a network that has a number `auxiliary_weight` may return a tuple: its output, then those of
    its auxiliary classifiers. Anything else is the output, as it is.
    """
    if isinstance(output, tuple) and output and network.training and hasattr(network, "auxiliary_weight"):
        return output[0], output[1:]
    return output, ()


def expected_output(network: nn.Module, batch: int, outputs: int) -> tuple[int, ...]:
    """The shape of what the network returns: (batch, outputs), or (batch, ensemble_size, outputs)."""
    members = getattr(network, "ensemble_size", None)
    return (batch, outputs) if members is None else (batch, int(members), outputs)


def merge_members(network: nn.Module, output: Tensor, task: Task) -> Tensor:
    """The answer of a network with a number `ensemble_size`, [b, outputs], from its members' [b, ensemble_size,
    outputs]. Another's is its output.
    """
    return averaged(widened(output), task, 1) if hasattr(network, "ensemble_size") else output


def criterion_for(loss: Loss, techniques: Techniques, labels: Tensor, classes: int) -> Criterion:
    """What training minimises: `loss`, or in a classification what label smoothing and class weights make of it.

    `labels` [n], or [n, labels], are those of the training samples.
    """
    balanced = techniques.class_weights == "balanced"
    if isinstance(loss, RegressionLoss) or not (balanced or techniques.label_smoothing):
        return loss
    if isinstance(loss, MultilabelLoss):
        return _of_labels(techniques.label_smoothing, balanced_labels(labels) if balanced else None)
    weights = balanced_weights(labels, classes) if balanced else None

    def criterion(output: Tensor, y: Tensor) -> Tensor:
        output = widened(output)
        weight = None if weights is None else weights.to(output.dtype)
        return F.cross_entropy(output, y, weight, label_smoothing=techniques.label_smoothing)

    return criterion


def _of_labels(smoothing: float, weights: Tensor | None) -> Criterion:
    """As `criterion_for`, each label being a classification of its own: no and yes. `weights`: of both, [2, labels]."""

    def criterion(output: Tensor, y: Tensor) -> Tensor:
        """The smoothed and weighted mean over a batch."""
        output = widened(output)
        y = y.to(output.dtype)
        smoothed = y * (1 - smoothing) + smoothing / 2
        if weights is None:
            return F.binary_cross_entropy_with_logits(output, smoothed)
        no, yes = weights.to(output.dtype)
        weight = torch.lerp(no, yes, y)
        summed: Tensor = F.binary_cross_entropy_with_logits(output, smoothed, weight, reduction="sum")
        return summed / weight.sum()

    return criterion


def training_loss(criterion: Criterion, network: nn.Module, output: Any, y: Tensor) -> tuple[Tensor, Tensor]:
    """(what is minimised, the output) from what `network` returned in training: [b, outputs], or of a network with an
    `ensemble_size` [b, ensemble_size, outputs].

    What is minimised is `criterion`, as a mean over the members, plus `network.auxiliary_weight` times its sum over the
    auxiliary classifiers. Each member is trained for itself: by the loss of their mean, they would mend each other's
    errors in training, and have nothing to average afterwards.
    """
    output, auxiliary = split_auxiliary(network, output)
    first = output
    if hasattr(network, "ensemble_size"):
        y = y.repeat_interleave(output.shape[1], 0)
        first, auxiliary = output.flatten(0, 1), tuple(each.flatten(0, 1) for each in auxiliary)
    minimised = criterion(first, y)
    if auxiliary:
        others = sum((criterion(each, y) for each in auxiliary), start=minimised.new_zeros(()))
        minimised = minimised + float(network.auxiliary_weight) * others  # type: ignore[arg-type]
    return minimised, output


def loss_for(task: Task, deviations: NDArray[np.float64] | None = None) -> Loss:
    """The loss of a task, of a regression of several outputs with their `deviations`."""
    if task == "regression":
        return RegressionLoss(deviations)
    return ClassificationLoss() if task == "classification" else MultilabelLoss()
