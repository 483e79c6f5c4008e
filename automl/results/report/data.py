"""The section on the data: what they are, duplicates, and labels that may be wrong."""

from __future__ import annotations

from typing import Any

import numpy as np

from automl.models.mistakes import load_mistakes
from automl.racing.objective import CALLED
from automl.results.report.context import Context
from automl.results.report.formatting import percent
from automl.results.report.page import Html, render
from automl.results.report.photos import near_copies

SURE = 0.9  # the model's probability for another class, from which on a label is suspect
LISTED = 10
CLASSES = 20  # names shown


def data(context: Context) -> Html:
    """What the data were taken for, the data in figures, the notes on them, and the suspect labels."""
    about = context.record.data
    classes = about.classes
    names = ", ".join(str(name)[:60] for name in classes[:CLASSES]) + (", ..." if len(classes) > CLASSES else "")
    facts = {
        "name": about.name,
        "task": f"{CALLED.get(about.task, about.task)} of {about.kind}s",
        "samples": f"{about.samples:,}, of which {about.test_samples:,} are the test set",
        "one sample": " x ".join(str(n) for n in about.input_shape),
        "classes": f"{len(classes)}: {names}" if classes else "",
        "fingerprint": about.fingerprint[:16],
    }
    notes = list(about.notes)
    if about.kind == "image" and not any("are copies of another one" in note for note in notes):
        notes.append("No two images have the same pixels.")
    return render(
        "data",
        understood=about.understood,
        facts={name: fact for name, fact in facts.items() if fact},
        notes=notes,
        near_copies=near_copies(context),
        training_too=context.photos.suspects is not None,
        **_suspects(context),
    )


def _suspects(context: Context) -> dict[str, Any]:
    """Labels of the test set that the final model contradicts with confidence: the surest, and how many of how many."""
    tested, classes = context.tested, context.record.data.classes
    if tested is None or tested.task != "classification" or len(classes) != tested.predicted.shape[1]:
        return {"suspects": None}
    labels = tested.predicted.argmax(axis=1)
    sure = tested.predicted.max(axis=1)
    suspects = np.flatnonzero((labels != tested.truth) & (sure >= SURE))
    suspects = suspects[np.argsort(-sure[suspects], kind="stable")]
    mistakes = load_mistakes(context.folder)
    names = dict(zip(mistakes.index.tolist(), mistakes.names, strict=True)) if mistakes is not None else {}
    rows = [
        (
            names.get(index := int(tested.index[place]), f"sample {index}"),
            str(classes[tested.truth[place]]),
            str(classes[labels[place]]),
            percent(float(sure[place])),
        )
        for place in suspects[:LISTED]
    ]
    return {"suspects": rows, "contradicted": len(suspects), "total": len(labels), "sure": SURE}
