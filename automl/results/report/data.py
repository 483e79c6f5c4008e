"""The section on the data: what they are, duplicates, and labels that may be wrong."""

from __future__ import annotations

from html import escape

import numpy as np

from automl.results.mistakes import load_mistakes
from automl.results.report.material import Material
from automl.results.report.page import Html, definitions, paragraph, subsection, table
from automl.results.report.words import count, percent

SURE = 0.9  # the model's probability for another class, from which on a label is suspect
LISTED = 10
CLASSES = 20  # names shown


def data(material: Material) -> Html:
    """What the data were taken for, the data in figures, the notes on them, and the suspect labels."""
    about = material.record["data"]
    lines = [str(line) for line in about.get("understood", ())]
    classes = list(about.get("classes", ()))
    names = ", ".join(str(name)[:60] for name in classes[:CLASSES]) + (", ..." if len(classes) > CLASSES else "")
    facts = {
        "name": about.get("name"),
        "task": f"{about.get('task')} of {about.get('kind')}s",
        "samples": f"{about.get('samples', 0):,}, of which {about.get('test_samples', 0):,} are the test set",
        "one sample": " x ".join(str(n) for n in about.get("input_shape", ())),
        "classes": f"{len(classes)}: {names}" if classes else "",
        "fingerprint": str(about.get("fingerprint", ""))[:16],
    }
    notes = [str(note) for note in about.get("notes", ())]
    if about.get("kind") == "image" and not any("are copies of another one" in note for note in notes):
        notes.append("No two images have the same pixels.")
    listed = "".join(f"<li>{escape(note)}</li>" for note in notes)
    shown = "".join(paragraph(line) for line in lines)
    shown += definitions({name: fact for name, fact in facts.items() if fact}) + (
        f"<ul>{listed}</ul>" if listed else ""
    )
    return shown + subsection("Suspect labels", _suspects(material))


def _suspects(material: Material) -> Html:
    """Labels of the test set that the final model contradicts with confidence."""
    tested, classes = material.tested, list(material.record["data"].get("classes", ()))
    if tested is None or tested.task == "regression" or len(classes) != tested.predicted.shape[1]:
        return ""
    labels = tested.predicted.argmax(axis=1)
    sure = tested.predicted.max(axis=1)
    suspects = np.flatnonzero((labels != tested.truth) & (sure >= SURE))
    suspects = suspects[np.argsort(-sure[suspects], kind="stable")]
    limits = (
        "Only the test set was looked at: predictions for the other samples are not kept. The model may be as wrong as "
        "the label."
    )
    total = count(len(labels), "test sample")
    if not len(suspects):
        return paragraph(
            f"None: the final model contradicts no label of {total} with {percent(SURE)} or more. {limits}"
        )
    mistakes = load_mistakes(material.folder)
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
    surest = f" The {LISTED} surest:" if len(suspects) > LISTED else ""
    contradicted = count(len(suspects), "label")
    told = f"The final model contradicts {contradicted} of {total} with a probability of {percent(SURE)} or more."
    return paragraph(f"{told} {limits}{surest}") + table(("sample", "label", "the model says", "probability"), rows)
