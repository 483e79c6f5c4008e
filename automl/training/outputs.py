"""What a network's outputs mean in each task: logits of classes, logits of labels, or predicted numbers."""

from __future__ import annotations

import math

import torch.nn.functional as F
from torch import Tensor

from automl.data.dataset import Task


def averaged(outputs: Tensor, task: Task, dim: int) -> Tensor:
    """The one answer of several networks, whose outputs lie along `dim`: logits of their mean probabilities, or the
    mean of their predictions.
    """
    if task == "classification":
        return outputs.log_softmax(-1).logsumexp(dim) - math.log(outputs.shape[dim])
    if task == "multilabel":
        return F.logsigmoid(outputs).logsumexp(dim) - F.logsigmoid(-outputs).logsumexp(dim)
    return outputs.mean(dim)


def probabilities(outputs: Tensor, task: Task) -> Tensor:
    """The probabilities [n, classes] that logits mean, or those of each label [n, labels]."""
    assert task != "regression"
    return outputs.softmax(-1) if task == "classification" else outputs.sigmoid()
