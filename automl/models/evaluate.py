"""How good a saved model is on labelled data."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from automl.data.sources.targets import Target
from automl.errors import DataError
from automl.models.model import Model
from automl.models.samples import read_batches
from automl.models.test_predictions import by_class, by_target
from automl.racing.objective import METRICS
from automl.training.metrics import finite_or_none, measure


def evaluate(
    model: Model,
    data: str | Path,
    *,
    target: Target = None,
    images: str | Path | None = None,
    skip_bad: bool = False,
    follow_links: bool = False,
) -> dict[str, Any]:
    """`{"data", "task", "samples", "skipped", "notes", "metrics": {NAME: VALUE}, "classes": [{"class", "n", "recall",
    "precision"}, ...], "targets": [{"target", "metrics"}, ...]}`; what is not defined on these data is None, a
    regression has no classes. `targets` are several ones, see `by_target`.
    `notes` are sentences on what was read, as categories that training had not.

    Classes are matched by name. Raises `DataError`, also for classes that the model does not know.
    """
    answers, said, skipped = [], [], 0
    notes: list[str] = []
    batches = read_batches(
        data,
        model.description,
        labelled=True,
        target=target,
        images=images,
        skip_bad=skip_bad,
        follow_links=follow_links,
    )
    index = {name: number for number, name in enumerate(model.classes)}
    for batch in batches:
        skipped += len(batch.skipped)
        notes += batch.notes
        if not batch.names or batch.answers is None:
            continue
        said.append(model.finite_outputs(batch.x, batch.names))
        if model.classes:
            answers.append(np.array([index[str(name)] for name in batch.answers]))
        else:
            answers.append(np.asarray(batch.answers))
    if not answers:
        raise DataError(f"{data}: there is no usable sample ({skipped} files are unusable)")
    y, predicted = np.concatenate(answers), np.concatenate(said)
    task, outputs = model.description.task, model.description.num_outputs
    deviations = np.array(model.description.deviations) if model.description.deviations else None
    several: Sequence[str] = ()
    if not model.classes and outputs > 1:
        what = "label" if task == "multilabel" else "output"
        several = model.targets or [f"{what} {number}" for number in range(outputs)]
    return {
        "data": str(data),
        "task": task,
        "samples": len(y),
        "skipped": skipped,
        "notes": notes,
        "metrics": {name: finite_or_none(measure(name, y, predicted, deviations)) for name in METRICS[task]},
        "classes": _by_class(model, y, predicted.argmax(1)) if model.classes else [],
        "targets": by_target(y, predicted, several, task),
    }


def _by_class(model: Model, y: np.ndarray[Any, Any], labels: np.ndarray[Any, Any]) -> list[dict[str, Any]]:
    return [
        {"class": row["class"], "n": row["support"], "recall": row["recall"], "precision": row["precision"]}
        for row in by_class(y, labels, model.classes)
    ]
