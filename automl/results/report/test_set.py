"""The section on the test set: where the final model is wrong, and what its mistakes look like."""

from __future__ import annotations

import io
from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray

from automl.results.mistakes import Mistakes, load_mistakes
from automl.results.report.material import Material
from automl.results.report.page import Html, image, matrix, paragraph, subsection, table
from automl.results.report.scatter import draw_truth
from automl.results.report.words import count, percent
from automl.results.tested import Predictions, by_class

MOST_CLASSES = 20  # in the matrix and in the table of classes
PAIRS = 20
ERRORS = 10
OUTPUTS = 4  # of a regression that are drawn


def test_set(material: Material) -> Html:
    """Confusion matrix, classes and example mistakes, or predictions against the truth; nothing for an older run."""
    tested = material.tested
    if tested is None:
        return ""
    mistakes = load_mistakes(material.folder)
    if tested.task == "regression":
        return _regression(tested, mistakes)
    classes = [str(name) for name in material.record["data"].get("classes", ())]
    if len(classes) != tested.predicted.shape[1]:
        return ""
    labels = tested.predicted.argmax(axis=1)
    wrong = int((labels != tested.truth).sum())
    total = len(labels)
    told = f"The final model is wrong on {wrong:,} of {count(total, 'test sample')} ({percent(wrong / total)})."
    return (
        paragraph(told)
        + subsection(
            "Confusion matrix" if len(classes) <= MOST_CLASSES else "Most confused", _confusion(tested, classes)
        )
        + subsection("By class", _by_class(tested, classes))
        + subsection("Example mistakes", _examples(tested, mistakes, classes))
    )


def confused_pairs(truth: NDArray[Any], labels: NDArray[Any], classes: int) -> list[tuple[int, int, int]]:
    """Each (true class, predicted class, how often) that differ, the most frequent first."""
    flat = np.bincount(truth * classes + labels, minlength=classes * classes)
    pairs = [(int(p) // classes, int(p) % classes, int(flat[p])) for p in np.argsort(-flat, kind="stable") if flat[p]]
    return [pair for pair in pairs if pair[0] != pair[1]]


def _confusion(tested: Predictions, classes: Sequence[str]) -> Html:
    labels, k = tested.predicted.argmax(axis=1), len(classes)
    if k <= MOST_CLASSES:
        counts = np.bincount(tested.truth * k + labels, minlength=k * k).reshape(k, k)
        note = "A row for each true class, a column for each predicted one; on the diagonal the model is right."
        return paragraph(note) + matrix(counts.tolist(), classes)
    sizes = np.bincount(tested.truth, minlength=k)
    pairs = confused_pairs(tested.truth, labels, k)[:PAIRS]
    rows = [(classes[a], classes[b], n, percent(n / sizes[a])) for a, b, n in pairs]
    note = f"{k} classes are too many for a matrix; these are the {len(rows)} most frequent mistakes."
    return paragraph(note) + table(("truth", "predicted", "samples", "of that class"), rows) if rows else ""


def _by_class(tested: Predictions, classes: Sequence[str]) -> Html:
    rows = by_class(tested.truth, tested.predicted.argmax(axis=1), classes)
    note = ""
    if len(rows) > MOST_CLASSES:
        note = paragraph(f"The {MOST_CLASSES} of {len(rows)} classes with the lowest F1.")
        rows = sorted(rows, key=lambda row: row["f1"] if row["f1"] is not None else 2.0)[:MOST_CLASSES]
    cells = [
        (row["class"], row["support"], *(_share(row[name]) for name in ("precision", "recall", "f1"))) for row in rows
    ]
    return note + table(("class", "samples", "precision", "recall", "F1"), cells)


def _examples(tested: Predictions, mistakes: Mistakes | None, classes: Sequence[str]) -> Html:
    if mistakes is None:
        return ""
    places = {int(index): place for place, index in enumerate(tested.index)}
    labels = tested.predicted.argmax(axis=1)
    figures: list[Html] = []
    cells: list[tuple[str, str, str, str, str]] = []
    for at, index in enumerate(mistakes.index.tolist()):
        place = places.get(index)
        if place is None or labels[place] == tested.truth[place]:  # of an earlier model
            continue
        truth, said = classes[tested.truth[place]], classes[labels[place]]
        sure = percent(float(tested.predicted[place, labels[place]])).replace(" ", "\N{NO-BREAK SPACE}")
        if len(mistakes.images):
            caption = f"{escape(truth)} → <b>{escape(said)}</b>, {sure}<small>{escape(mistakes.names[at])}</small>"
            picture = image(_png(mistakes.images[at]), f"{mistakes.names[at]}: {truth}, predicted {said}")
            figures.append(f"<figure>{picture}<figcaption>{caption}</figcaption></figure>")
        else:
            cells.append((mistakes.names[at], truth, said, sure, mistakes.rows[at]))
    if not figures and not cells:
        return ""
    note = paragraph("Truth and prediction, with the model's probability for it; the surest mistakes first.")
    if figures:
        return f'{note}<div class="gallery">{"".join(figures)}</div>'
    return note + table(("sample", "truth", "predicted", "probability", "row"), cells)


def _regression(tested: Predictions, mistakes: Mistakes | None) -> Html:
    outputs = tested.truth.shape[1]
    names = [f"output {i}" for i in range(outputs)] if outputs > 1 else ["target"]
    pictures = [draw_truth(tested.truth[:, i], tested.predicted[:, i], name) for i, name in enumerate(names[:OUTPUTS])]
    figures = "".join(f"<figure>{picture}</figure>" for picture in pictures)
    note = f"The first {OUTPUTS} of {outputs} outputs. " if outputs > OUTPUTS else ""
    note += "A dot is a test sample; on the line, prediction and truth are equal."
    body = f'{paragraph(note)}<div class="figures">{figures}</div>'
    places = {int(index): place for place, index in enumerate(tested.index)}
    cells = []
    for at, index in enumerate(mistakes.index.tolist()[:ERRORS] if mistakes is not None and mistakes.rows else []):
        if index in places:
            truth, said = tested.truth[places[index]], tested.predicted[places[index]]
            shown = (", ".join(f"{v:.4g}" for v in values[:OUTPUTS]) for values in (truth, said, said - truth))
            cells.append((mistakes.names[at], *shown, mistakes.rows[at]))  # type: ignore[union-attr]
    largest = table(("sample", "truth", "prediction", "error", "row"), cells) if cells else ""
    return body + subsection("Largest errors", largest)


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _png(pixels: NDArray[np.uint8]) -> bytes:
    """An image [c, h, w] with one or three channels as a PNG."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(pixels[0] if pixels.shape[0] == 1 else np.moveaxis(pixels, 0, 2)).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
