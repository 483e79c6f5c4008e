"""The section on the test set: where the final model is wrong, and what its mistakes look like."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from automl.models.mistakes import Mistakes, load_mistakes, surest_mistakes
from automl.models.test_predictions import Predictions, by_class
from automl.racing.objective import METRICS
from automl.results.report.context import Context
from automl.results.report.embedded import Thumbnail, embed, neighbours_of
from automl.results.report.formatting import number, percent
from automl.results.report.page import Html, render
from automl.results.report.scatter import draw_truth

MOST_CLASSES = 20  # in the matrix and in the table of classes
PAIRS = 20
ERRORS = 10
OUTPUTS = 4  # of a regression that are drawn


def test_set(context: Context) -> Html | None:
    """Confusion matrix, classes and example mistakes; or each label; or predictions against the truth. Nothing for an
    older run.
    """
    tested = context.tested
    if tested is None:
        return None
    mistakes = load_mistakes(context.folder)
    if tested.task == "regression":
        return _regression(context, tested, mistakes)
    if tested.task == "multilabel":
        return _labels(context, tested, mistakes)
    classes = list(context.record.data.classes)
    if len(classes) != tested.predicted.shape[1]:
        return None
    labels = tested.predicted.argmax(axis=1)
    k = len(classes)
    small = k <= MOST_CLASSES
    return render(
        "test_set",
        classes=classes,
        wrong=int((labels != tested.truth).sum()),
        total=len(labels),
        matrix=np.bincount(tested.truth * k + labels, minlength=k * k).reshape(k, k).tolist() if small else None,
        pairs=None if small else _confused(tested, labels, classes),
        by_class=_by_class(tested, classes),
        examples=_examples(tested, mistakes, classes, neighbours_of(context)),
        neighbours=context.photos.neighbours,
        left_out=context.photos.left_out.get("neighbours", ""),
    )


def confused_pairs(truth: NDArray[Any], labels: NDArray[Any], classes: int) -> list[tuple[int, int, int]]:
    """Each (true class, predicted class, how often) that differ, the most frequent first."""
    flat = np.bincount(truth * classes + labels, minlength=classes * classes)
    pairs = [(int(p) // classes, int(p) % classes, int(flat[p])) for p in np.argsort(-flat, kind="stable") if flat[p]]
    return [pair for pair in pairs if pair[0] != pair[1]]


def _confused(tested: Predictions, labels: NDArray[Any], classes: Sequence[str]) -> list[Sequence[str | int]]:
    sizes = np.bincount(tested.truth, minlength=len(classes))
    pairs = confused_pairs(tested.truth, labels, len(classes))[:PAIRS]
    return [(classes[a], classes[b], n, percent(n / sizes[a])) for a, b, n in pairs]


def _by_class(tested: Predictions, classes: Sequence[str]) -> list[Sequence[Any]]:
    rows = by_class(tested.truth, tested.predicted.argmax(axis=1), classes)
    if len(rows) > MOST_CLASSES:
        rows = sorted(rows, key=lambda row: row["f1"] if row["f1"] is not None else 2.0)[:MOST_CLASSES]
    return [
        (row["class"], row["support"], *(_share(row[name]) for name in ("precision", "recall", "f1"))) for row in rows
    ]


@dataclass(frozen=True)
class Example:
    """A mistake: the sample, its truth and prediction, the probability of that, its picture, and what it is near to."""

    name: str
    truth: str
    said: str
    sure: str
    picture: str
    features: str
    neighbours: Sequence[Thumbnail] = ()

    @property
    def row(self) -> tuple[str, str, str, str, str]:
        """As a row of a table, where there is no picture."""
        return self.name, self.truth, self.said, self.sure, self.features


def _examples(
    tested: Predictions,
    mistakes: Mistakes | None,
    classes: Sequence[str],
    near: Mapping[int, Sequence[Thumbnail]],
) -> list[Example]:
    if mistakes is None:
        return []
    places = {int(index): place for place, index in enumerate(tested.index)}
    labels = tested.predicted.argmax(axis=1)
    found = []
    for at, index in enumerate(mistakes.index.tolist()):
        place = places.get(index)
        if place is None or labels[place] == tested.truth[place]:  # of an earlier model
            continue
        truth, said = classes[tested.truth[place]], classes[labels[place]]
        sure = float(tested.predicted[place, labels[place]])
        found.append(_example(mistakes, at, truth, said, sure, near.get(index, ())))
    return found


def _example(
    mistakes: Mistakes, at: int, truth: str, said: str, sure: float, near: Sequence[Thumbnail] = ()
) -> Example:
    """The kept sample at this place, with its truth, and what was said instead with the probability `sure`."""
    pictured = len(mistakes.images) > 0
    return Example(
        mistakes.names[at],
        truth,
        said,
        percent(sure).replace(" ", "\N{NO-BREAK SPACE}"),
        picture=embed(mistakes.images[at]) if pictured else "",
        features="" if pictured else mistakes.rows[at],
        neighbours=near if pictured else (),
    )


def _labels(context: Context, tested: Predictions, mistakes: Mistakes | None) -> Html:
    """Each label's scores, beside those of the commoner answer for all, and example mistakes."""
    details = context.final.test_details.get("targets", ()) if context.final else ()
    names = [row["target"] for row in details]
    names += [f"label {place}" for place in range(len(names), tested.truth.shape[1])]
    right = (tested.outputs > 0) == (tested.truth == 1)
    return render(
        "test_labels",
        labels=len(names),
        total=len(right),
        right=int(right.all(axis=1).sum()),
        by_label=[_label_scores(row, len(right)) for row in details],
        examples=_label_examples(tested, mistakes, names),
    )


def _label_scores(row: Mapping[str, Any], total: int) -> tuple[str, ...]:
    """A label: how many test samples have it, its metrics, the interval of its log loss, the accuracy of guessing."""
    log_loss, accuracy, auroc = ("" if v is None else number(v) for v in row["metrics"].values())
    ends = row["intervals"].get("log_loss")
    between = f"{number(ends[0])} to {number(ends[1])}" if ends else ""
    share = row["support"] / total
    held = f"{row['support']:,} ({percent(share)})"
    return row["target"], held, log_loss, between, accuracy, number(max(share, 1 - share)), auroc


def _label_examples(tested: Predictions, mistakes: Mistakes | None, names: Sequence[str]) -> list[Example]:
    if mistakes is None:
        return []
    places = {int(index): place for place, index in enumerate(tested.index)}
    labels, sure = surest_mistakes(tested)
    found = []
    for at, index in enumerate(mistakes.index.tolist()):
        place = places.get(index)
        if place is None or not sure[place]:  # of an earlier model
            continue
        label = int(labels[place])
        answers = ("no", "yes") if tested.truth[place, label] == 0 else ("yes", "no")
        found.append(_example(mistakes, at, f"{names[label]}: {answers[0]}", answers[1], float(sure[place])))
    return found


def _regression(context: Context, tested: Predictions, mistakes: Mistakes | None) -> Html:
    outputs = tested.truth.shape[1]
    names = ["target"] if outputs == 1 else [f"output {i}" for i in range(outputs)]
    details = context.final.test_details.get("targets", ()) if context.final else ()
    if len(details) >= min(outputs, OUTPUTS) > 1:
        names = [row["target"] for row in details]
    pictures = [draw_truth(tested.truth[:, i], tested.predicted[:, i], name) for i, name in enumerate(names[:OUTPUTS])]
    places = {int(index): place for place, index in enumerate(tested.index)}
    cells = []
    for at, index in enumerate(mistakes.index.tolist()[:ERRORS] if mistakes is not None and mistakes.rows else []):
        if index in places:
            truth, said = tested.truth[places[index]], tested.predicted[places[index]]
            shown = (", ".join(f"{v:.4g}" for v in values[:OUTPUTS]) for values in (truth, said, said - truth))
            cells.append((mistakes.names[at], *shown, mistakes.rows[at]))  # type: ignore[union-attr]
    return render(
        "test_regression",
        pictures=[(each, "") for each in pictures],
        outputs=outputs,
        largest=cells,
        targets=[_own_scores(row) for row in details],
    )


def _own_scores(row: Mapping[str, Any]) -> tuple[str, ...]:
    """One of several targets: its name, metrics in its own units, and the interval of its RMSE."""
    values = (row["metrics"][name] for name in METRICS["regression"])
    ends = row["intervals"].get("rmse")
    between = f"{number(ends[0])} to {number(ends[1])}" if ends else ""
    return row["target"], *("" if value is None else number(value) for value in values), between


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
