"""Example mistakes: some test samples that the final model gets wrong, kept with what they look like.

They are written at the end of a search, while the data are in memory, so that a report never needs the data.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from automl.data.atomic import write_atomic
from automl.data.dataset import Dataset
from automl.data.npz import read_arrays
from automl.models.test_predictions import Predictions
from automl.open_file import open_file
from automl.run.folder import RunFolder

KEPT = 24
PLAIN = 10  # the most striking ones, whatever they are; after them no more than so many of a kind:
OF_A_KIND = 3
SIDE = 96  # pixels of the longer side of a kept image, at most
CELLS = 8  # columns of a table's row that are kept


@dataclass(frozen=True, eq=False)
class Mistakes:
    """The kept samples, most striking first: `index` int64 [m], their numbers in the data set; `names`, their files or
    numbers; `images` uint8 [m, c, h, w] (c 1 or 3), or `rows`, the text of a table's rows. One of the two is empty.
    """

    index: NDArray[np.int64]
    names: list[str]
    images: NDArray[np.uint8]
    rows: list[str]


def choose_mistakes(tested: Predictions) -> NDArray[np.int64]:
    """The positions in `tested` of at most `KEPT` mistakes, most striking first.

    Of a classification those with the highest probability for the wrong class, of labels those with the highest for one
    that is wrong, of a regression the largest errors in standard deviations of the truth.
    """
    if not len(tested.index):
        return np.empty(0, dtype=np.int64)
    if tested.task == "regression":
        scale = np.maximum(tested.truth.std(axis=0), np.finfo(np.float32).tiny)
        errors = np.abs(tested.predicted - tested.truth) / scale
        return np.argsort(-errors.max(axis=1), kind="stable")[:KEPT]
    if tested.task == "multilabel":
        labels, sure = surest_mistakes(tested)
        wrong, truth = np.flatnonzero(sure), tested.truth[np.arange(len(labels)), labels]
    else:
        labels, sure, truth = tested.predicted.argmax(axis=1), tested.predicted.max(axis=1), tested.truth
        wrong = np.flatnonzero(labels != truth)
    order = wrong[np.argsort(-sure[wrong], kind="stable")]
    kinds: Counter[tuple[int, int]] = Counter()
    chosen: list[int] = []
    for position in order.tolist():
        kind = (int(truth[position]), int(labels[position]))
        kinds[kind] += 1
        if len(chosen) < PLAIN or kinds[kind] <= OF_A_KIND:
            chosen.append(position)
    return np.array(chosen[:KEPT], dtype=np.int64)


def surest_mistakes(tested: Predictions) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """[t]: of each sample the label that is wrong with the highest probability, and that; 0 where all are right."""
    said = tested.outputs > 0
    sure = np.where(said != (tested.truth == 1), np.where(said, tested.predicted, 1 - tested.predicted), 0.0)
    return sure.argmax(axis=1), sure.max(axis=1)


def save_mistakes(folder: RunFolder, tested: Predictions, dataset: Dataset) -> None:
    """Writes `artifacts/mistakes.npz`, whole or not at all."""
    index = tested.index[choose_mistakes(tested)]
    names = [dataset.name_of(i) for i in index.tolist()]
    is_image = dataset.kind == "image"
    arrays: dict[str, Any] = {
        "index": index,
        "names": np.array(names, dtype=np.str_),
        "images": thumbnails(np.asarray(dataset.x[index])) if is_image else np.empty(0, dtype=np.uint8),
        "rows": np.array([] if is_image else [_row_text(dataset, i) for i in index.tolist()], dtype=np.str_),
    }
    write_atomic(folder.artifacts / "mistakes.npz", lambda file: np.savez_compressed(file, **arrays))


def load_mistakes(folder: RunFolder) -> Mistakes | None:
    """The example mistakes that a run keeps; None when there are none, or they are damaged."""
    try:
        path = folder.artifacts / "mistakes.npz"
        with open_file(path, owned=True) as file:
            stored = read_arrays(file)
        return Mistakes(stored["index"], stored["names"].tolist(), stored["images"], stored["rows"].tolist())
    except Exception:  # damaged bytes surface as almost anything in zip, zlib and numpy
        return None


def thumbnails(x: NDArray[Any]) -> NDArray[np.uint8]:
    """Images [m, c, h, w] as grey or colour ones, small enough to be embedded in a page."""
    from PIL import Image

    if x.shape[1] not in (1, 3):
        x = x.mean(axis=1, keepdims=True).astype(np.uint8)
    shrink = SIDE / max(x.shape[2:])
    if shrink >= 1 or not len(x):
        return x
    size = tuple(max(1, round(side * shrink)) for side in (x.shape[3], x.shape[2]))
    planes = [np.asarray(Image.fromarray(plane).resize(size)) for plane in x.reshape(-1, *x.shape[2:])]
    return np.stack(planes).reshape(len(x), x.shape[1], size[1], size[0])


def _row_text(dataset: Dataset, index: int) -> str:
    """A row of a table: its first columns with their values, a category by its name."""
    categories = {column.name: column.categories for column in dataset.columns if column.kind == "category"}
    cells = []
    for feature, value in zip(dataset.features, dataset.x[index].tolist(), strict=True):
        text = "" if math.isnan(value) else f"{value:.4g}"
        if feature.kind == "category":
            text = categories[feature.name][int(value) - 1] if value else ""
        cells.append(f"{feature.name}={text}")
    return ", ".join(cells[:CELLS]) + (", …" if len(cells) > CELLS else "")
