"""The test: what the final model predicted on the test set, kept beside the run, and what it comes to.

The test set is touched once, at the end. Everything said about it later is read from here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from automl.data.atomic import write_atomic
from automl.data.dataset import Dataset
from automl.racing.objective import METRICS, Objective
from automl.results.intervals import LEVEL, SOURCE, interval
from automl.results.model import Model
from automl.study.folder import RunFolder
from automl.training.metrics import finite_or_none, measure

Array = NDArray[Any]

MOST_CLASSES = 100  # in the record; beyond, the confusion matrix would be most of it


@dataclass(frozen=True, eq=False)
class Predictions:
    """The final model's predictions on the test set of t samples.

    `index` int64 [t]: the samples' numbers in the data set. `truth`: class numbers [t], or targets [t, outputs].
    `predicted`: probabilities [t, classes], or predictions in the targets' units [t, outputs].
    """

    index: NDArray[np.int64]
    truth: Array
    predicted: Array

    @property
    def task(self) -> str:
        """`classification` or `regression`."""
        return "classification" if self.truth.ndim == 1 else "regression"


def predict_test(model: Model, dataset: Dataset, index: NDArray[np.int64]) -> Predictions:
    """What `model` predicts for the samples `index` [t] of the data."""
    x, y = np.asarray(dataset.x[index]), np.asarray(dataset.y[index])
    if dataset.task == "classification":
        return Predictions(index, y, model.probabilities(x))
    return Predictions(index, y, model.answers(x).reshape(len(y), -1))


def save_tested(folder: RunFolder, tested: Predictions) -> None:
    """Writes the predictions to `artifacts/test.npz`, whole or not at all."""
    write_atomic(
        folder.tested,
        lambda file: np.savez_compressed(file, index=tested.index, truth=tested.truth, predicted=tested.predicted),
    )


def load_tested(folder: RunFolder) -> Predictions | None:
    """The predictions on the test set that a run keeps; None when there are none, or they are damaged."""
    try:
        with np.load(folder.tested, allow_pickle=False) as file:
            return Predictions(file["index"], file["truth"], file["predicted"])
    except Exception:  # damaged bytes surface as almost anything in zip, zlib and numpy
        return None


def test_scores(tested: Predictions) -> dict[str, float]:
    """The metrics on the test set, as far as they are defined there."""
    scores = {name: measure(name, tested.truth, tested.predicted) for name in METRICS[tested.task]}
    return {name: score for name, score in scores.items() if math.isfinite(score)}


def describe_test(
    tested: Predictions, classes: Sequence[str], objective: Objective, cross_validated: Mapping[str, float]
) -> dict[str, Any]:
    """All else that the predictions come to, in plain types: `test_details` of the leaderboard's JSON.

    `cross_validated` are the winner's scores by metric; that of the objective is compared with the test.
    """
    scores = test_scores(tested)
    intervals = {name: interval(name, tested.truth, tested.predicted) for name in scores}
    found: dict[str, Any] = {
        "samples": len(tested.index),
        "level": LEVEL,
        "method": SOURCE,
        "intervals": {name: list(ends) for name, ends in intervals.items() if ends is not None},
        "gap": None,
        "classes": [],
        "confusion": None,
    }
    if objective.name in scores and objective.name in cross_validated:
        found["gap"] = gap(
            objective, cross_validated[objective.name], scores[objective.name], intervals[objective.name]
        )
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


def gap(objective: Objective, cross_validated: float, test: float, ends: tuple[float, float] | None) -> dict[str, Any]:
    """The gap between the cross-validated score and the test's, also in words.

    `ends` is the interval of the test score: a cross-validated score within it is no surprise.
    """
    worse = objective.cost(test) > objective.cost(cross_validated)
    within = ends[0] <= cross_validated <= ends[1] if ends is not None else None
    words = f"cross-validation said {objective.name} {cross_validated:.4g}, the test {test:.4g}"
    if ends is not None:
        words += f" (95 % interval {ends[0]:.4g} to {ends[1]:.4g})"
        if within:
            words += ": they agree, the cross-validated score lies within the interval"
        else:
            words += f": the test is {'worse' if worse else 'better'} than chance explains"
    return {
        "metric": objective.name,
        "cross_validated": cross_validated,
        "test": test,
        "difference": test - cross_validated,
        "within": within,
        "words": words,
    }
