"""The test: what the final model predicted on the test set, kept beside the run, and what it comes to.

The test set is touched once, at the end. Everything said about it later is read from here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from automl.data.atomic import write_atomic
from automl.data.dataset import Dataset
from automl.data.npz import read_arrays
from automl.models.intervals import LEVEL, SOURCE, interval
from automl.models.model import Model
from automl.open_file import open_file
from automl.racing.objective import METRICS
from automl.run.folder import RunFolder
from automl.training.metrics import finite_or_none, measure

Array = NDArray[Any]

MOST_CLASSES = 100  # in the record; beyond, the confusion matrix would be most of it


@dataclass(frozen=True, eq=False)
class Predictions:
    """The final model's predictions on the test set of t samples.

    `index` int64 [t]: the samples' numbers in the data set. `truth`: class numbers [t], or targets [t, outputs].
    `predicted`: probabilities [t, classes], or predictions in the targets' units [t, outputs]. `logits` [t, classes]:
    what the probabilities were made of, and are measured by.
    """

    index: NDArray[np.int64]
    truth: Array
    predicted: Array
    logits: Array | None = None

    @property
    def task(self) -> str:
        """`classification` or `regression`."""
        return "classification" if self.truth.ndim == 1 else "regression"

    @property
    def outputs(self) -> Array:
        """What metrics are computed of, see `automl.training.metrics.measure`."""
        if self.task == "regression":
            return self.predicted
        if self.logits is not None:
            return self.logits
        with np.errstate(divide="ignore"):
            return np.log(self.predicted, dtype=np.float64)


def predict_test(model: Model, dataset: Dataset, index: NDArray[np.int64]) -> Predictions:
    """What `model` predicts for the samples `index` [t] of the data."""
    x, y = np.asarray(dataset.x[index]), np.asarray(dataset.y[index])
    outputs = model.outputs(x)
    if dataset.task == "regression":
        return Predictions(index, y, outputs)
    return Predictions(index, y, torch.from_numpy(outputs).softmax(1).numpy(), outputs)


def save_tested(folder: RunFolder, tested: Predictions) -> None:
    """Writes the predictions to `artifacts/test.npz`, whole or not at all."""
    arrays: dict[str, Any] = {"index": tested.index, "truth": tested.truth, "predicted": tested.predicted}
    if tested.logits is not None:
        arrays["logits"] = tested.logits
    write_atomic(folder.tested, lambda file: np.savez_compressed(file, **arrays))


def load_tested(folder: RunFolder) -> Predictions | None:
    """The predictions on the test set that a run keeps; None when there are none, or they are damaged."""
    try:
        with open_file(folder.tested, owned=True) as file:
            stored = read_arrays(file)
        return Predictions(stored["index"], stored["truth"], stored["predicted"], stored.get("logits"))
    except Exception:  # damaged bytes surface as almost anything in zip, zlib and numpy
        return None


def test_scores(tested: Predictions) -> dict[str, float]:
    """The metrics on the test set, as far as they are defined there."""
    scores = {name: measure(name, tested.truth, tested.outputs) for name in METRICS[tested.task]}
    return {name: score for name, score in scores.items() if math.isfinite(score)}


def describe_test(
    tested: Predictions,
    classes: Sequence[str],
    groups: Array | None = None,
) -> dict[str, Any]:
    """What the predictions come to, in plain types: `test_details` of the leaderboard's JSON, but for the gap.

    `groups` [t]: equal for test samples that go together; None: they are independent.
    """
    scores = test_scores(tested)
    intervals = {name: interval(name, tested.truth, tested.outputs, groups) for name in scores}
    found: dict[str, Any] = {
        "samples": len(tested.index),
        "level": LEVEL,
        "method": SOURCE,
        "intervals": {name: list(ends) for name, ends in intervals.items() if ends is not None},
        "gap": None,
        "classes": [],
        "confusion": None,
    }
    if tested.task == "classification":
        from sklearn.metrics import confusion_matrix  # two seconds, which who only reads a run need not wait for

        labels = tested.predicted.argmax(1)
        found["classes"] = by_class(tested.truth, labels, classes)
        if len(classes) <= MOST_CLASSES:
            found["confusion"] = confusion_matrix(tested.truth, labels, labels=np.arange(len(classes))).tolist()
    return found


def by_class(truth: Array, labels: Array, classes: Sequence[str]) -> list[dict[str, Any]]:
    """For each class `{"class", "precision", "recall", "f1", "support"}`; what is not defined is None."""
    from sklearn.metrics import precision_recall_fscore_support

    known = np.arange(len(classes))
    columns = precision_recall_fscore_support(truth, labels, labels=known, zero_division=np.nan)
    return [
        {
            "class": name,
            "precision": finite_or_none(p),
            "recall": finite_or_none(r),
            "f1": finite_or_none(f),
            "support": int(n),
        }
        for name, p, r, f, n in zip(classes, *columns, strict=True)
    ]
