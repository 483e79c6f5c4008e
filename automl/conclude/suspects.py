"""Suspect labels: training samples whose label their out-of-fold prediction contradicts.

Confident learning (Northcutt, Jiang and Chuang, 2021, 'Confident learning: estimating uncertainty in dataset labels').
A network that is too sure of a class, or of all, needs higher probabilities to contradict a label: the threshold of a
class is the mean probability that its own samples have for it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from automl.errors import OutOfTime
from automl.scheduling.deadline import Deadline
from automl.training import serial
from automl.training.run import TrialRun

AT_A_TIME = 64  # samples predicted between two looks at the clock

Array = NDArray[Any]


class OutOfFold(NamedTuple):
    """Probabilities [m, classes] of training samples `rows` [m], each by a network that has not seen it."""

    rows: NDArray[np.int64]
    probabilities: Array


def predict_out_of_fold(run: TrialRun, deadline: Deadline, most: int, seed: int) -> OutOfFold:
    """What the networks of a trial's folds, as they are, say of their validation samples: `most` of all, drawn with
    the seed, and fewer where the deadline comes first. Raises `OutOfTime` where it leaves time for none.
    """
    rows, probabilities = [], []
    rng = np.random.default_rng(seed)
    drawn = [rng.permutation(fold.validation.cpu().numpy())[: -(-most // len(run.folds))] for fold in run.folds]
    longest = max(map(len, drawn))
    for start in range(0, longest, AT_A_TIME):  # of all folds in turn, so that a deadline favours none
        for fold, index in zip(run.folds, drawn, strict=True):
            part = index[start : start + AT_A_TIME]
            if not len(part):
                continue
            deadline.check_interrupted()
            if deadline.left <= 0:
                break
            on_device = torch.from_numpy(part).to(fold.validation.device)
            output = serial.predict(fold, run.resident, on_device, run.precision)
            rows.append(part)
            probabilities.append(output.double().softmax(1).cpu().numpy())
    if not rows:
        raise OutOfTime
    return OutOfFold(np.concatenate(rows), np.concatenate(probabilities))


class Contradicted(NamedTuple):
    """A sample whose label is contradicted: its `place`, and the class that stands against the label."""

    place: int
    predicted: int


def find_suspects(probabilities: Array, labels: NDArray[np.int64]) -> list[Contradicted]:
    """The suspects among samples with these probabilities [m, classes] and labels [m], the surest contradiction first.

    A label is suspect where its probability is below the threshold of its class, and that of another class, which is
    more probable, reaches the other's threshold: the most probable of these stands against it.
    """
    thresholds = class_thresholds(probabilities, labels)
    own = probabilities[np.arange(len(labels)), labels]
    reaching = np.where(probabilities >= thresholds, probabilities, -np.inf)
    best, against = reaching.argmax(axis=1), reaching.max(axis=1)
    places = np.flatnonzero((own < thresholds[labels]) & (against > own))
    order = places[np.lexsort((own[places], -against[places]))]
    return [Contradicted(int(place), int(best[place])) for place in order]


def class_thresholds(probabilities: Array, labels: NDArray[np.int64]) -> Array:
    """[classes]: the mean probability for a class among the samples with its label; infinite where it has none."""
    classes = probabilities.shape[1]
    counts = np.bincount(labels, minlength=classes)
    own = probabilities[np.arange(len(labels)), labels]
    sums = np.bincount(labels, weights=own, minlength=classes)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(counts > 0, sums / counts, np.inf)
