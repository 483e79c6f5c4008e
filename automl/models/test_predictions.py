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
from automl.data.dataset import Dataset, Task
from automl.data.npz import read_arrays
from automl.models.intervals import LEVEL, SOURCE, interval
from automl.models.model import Model
from automl.open_file import open_file
from automl.racing.objective import METRICS
from automl.run.folder import RunFolder
from automl.training.metrics import finite_or_none, in_deviations, measure
from automl.training.outputs import probabilities

Array = NDArray[Any]

OF_ONE = {"regression": METRICS["regression"], "multilabel": ("log_loss", "accuracy", "auroc")}
"""The metrics of one of several targets; the first of them has an interval."""

MOST_TARGETS = 100  # whose own scores are in the record
MOST_INTERVALS = 5  # of these; a bootstrap of some thousand samples takes a second
MOST_CLASSES = 100  # in the record; beyond, the confusion matrix would be most of it


@dataclass(frozen=True, eq=False)
class Predictions:
    """The final model's predictions on the test set of t samples.

    `index` int64 [t]: the samples' numbers in the data set. `truth`: class numbers [t], labels int64 [t, labels], or
    targets float64 [t, outputs]. `predicted`: probabilities [t, classes] or [t, labels], or predictions in the targets'
    units [t, outputs]. `logits` [t, classes] or [t, labels]: what the probabilities were made of, and are measured by.
    `deviations` [outputs]: of several targets, see `Dataset.deviations`.
    """

    index: NDArray[np.int64]
    truth: Array
    predicted: Array
    logits: Array | None = None
    deviations: Array | None = None

    @property
    def task(self) -> Task:
        """What was predicted."""
        if self.truth.ndim == 1:
            return "classification"
        return "regression" if self.truth.dtype.kind == "f" else "multilabel"

    @property
    def measured(self) -> tuple[Array, Array]:
        """(y, outputs): what metrics are computed of, several targets in standard deviations of each."""
        return self.scaled(self.truth), self.scaled(self.outputs)

    def scaled(self, values: Array) -> Array:
        """Values in the targets' units [t, outputs] as those of `measured`."""
        return in_deviations(values, self.deviations)

    @property
    def outputs(self) -> Array:
        """What the metrics of the task are computed of: logits, or predictions in the targets' units."""
        if self.task == "regression":
            return self.predicted
        if self.logits is not None:
            return self.logits
        with np.errstate(divide="ignore"):
            logs: Array = np.log(self.predicted, dtype=np.float64)
            return logs if self.task == "classification" else logs - np.log1p(-self.predicted)


def predict_test(model: Model, dataset: Dataset, index: NDArray[np.int64]) -> Predictions:
    """What `model` predicts for the samples `index` [t] of the data."""
    x, y = np.asarray(dataset.x[index]), np.asarray(dataset.y[index])
    outputs = model.outputs(x)
    if dataset.task == "regression":
        return Predictions(index, y, outputs, deviations=dataset.deviations)
    return Predictions(index, y, probabilities(torch.from_numpy(outputs), dataset.task).numpy(), outputs)


def save_tested(folder: RunFolder, tested: Predictions) -> None:
    """Writes the predictions to `artifacts/test.npz`, whole or not at all."""
    arrays: dict[str, Any] = {"index": tested.index, "truth": tested.truth, "predicted": tested.predicted}
    arrays |= {name: value for name in ("logits", "deviations") if (value := getattr(tested, name)) is not None}
    write_atomic(folder.tested, lambda file: np.savez_compressed(file, **arrays))


def load_tested(folder: RunFolder) -> Predictions | None:
    """The predictions on the test set that a run keeps; None when there are none, or they are damaged."""
    try:
        with open_file(folder.tested, owned=True) as file:
            stored = read_arrays(file)
        more = (stored.get(name) for name in ("logits", "deviations"))
        return Predictions(stored["index"], stored["truth"], stored["predicted"], *more)
    except Exception:  # damaged bytes surface as almost anything in zip, zlib and numpy
        return None


def test_scores(tested: Predictions) -> dict[str, float]:
    """The metrics on the test set, as far as they are defined there."""
    scores = {name: measure(name, *tested.measured) for name in METRICS[tested.task]}
    return {name: score for name, score in scores.items() if math.isfinite(score)}


def describe_test(
    tested: Predictions,
    classes: Sequence[str],
    groups: Array | None = None,
    targets: Sequence[str] = (),
) -> dict[str, Any]:
    """What the predictions come to, in plain types: `test_details` of the leaderboard's JSON, but for the gap.

    `groups` [t]: equal for test samples that go together; None: they are independent. `targets`: the names of several.
    """
    scores = test_scores(tested)
    intervals = {name: interval(name, *tested.measured, groups) for name in scores}
    found: dict[str, Any] = {
        "samples": len(tested.index),
        "level": LEVEL,
        "method": SOURCE,
        "intervals": {name: list(ends) for name, ends in intervals.items() if ends is not None},
        "gap": None,
        "classes": [],
        "confusion": None,
        "targets": by_target(tested.truth, tested.outputs, targets[:MOST_TARGETS], tested.task),
    }
    for place, row in enumerate(found["targets"]):
        name, own = OF_ONE[tested.task][0], (tested.truth[:, [place]], tested.outputs[:, [place]])
        ends = interval(name, *own, groups) if place < MOST_INTERVALS else None
        row["intervals"] = {} if ends is None else {name: list(ends)}
    if tested.task == "classification":
        from sklearn.metrics import confusion_matrix  # two seconds, which who only reads a run need not wait for

        labels = tested.predicted.argmax(1)
        found["classes"] = by_class(tested.truth, labels, classes)
        if len(classes) <= MOST_CLASSES:
            found["confusion"] = confusion_matrix(tested.truth, labels, labels=np.arange(len(classes))).tolist()
    return found


def by_target(truth: Array, outputs: Array, targets: Sequence[str], task: Task) -> list[dict[str, Any]]:
    """For each of the targets `{"target", "metrics": {METRIC: VALUE}}`, in its own units; what is not defined is None.
    Labels have a `support` too: how many samples have them.

    truth, outputs: [t, targets], as `automl.training.metrics.measure` takes them.
    """
    found = []
    for place, target in enumerate(targets):
        own = truth[:, [place]], outputs[:, [place]]
        row: dict[str, Any] = {"target": target}
        row["metrics"] = {name: finite_or_none(measure(name, *own)) for name in OF_ONE[task]}
        found.append(row | ({"support": int(truth[:, place].sum())} if task == "multilabel" else {}))
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
