"""What a search took its DATA for, in words and figures: said before anything is trained, and kept with the run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from automl.data.dataset import Dataset

_CLASSES = 10  # named one by one, with their counts
_NAMES = 8  # of columns of one kind


@dataclass(frozen=True)
class ColumnUse:
    """How one column of a table is used.

    kind: a word for it, `number`, `category`, `date`, ..., or `left out`. detail: more about it, e.g. `5 values`, or
    why it is left out. missing: whether some of its cells are empty.
    """

    name: str
    kind: str
    detail: str = ""
    missing: bool = False

    def __str__(self) -> str:
        """`age: number, some cells empty`."""
        parts = [self.kind, *filter(None, [self.detail]), *["some cells empty"] * self.missing]
        return f"{self.name}: {', '.join(parts)}"


@dataclass(frozen=True)
class Understood:
    """What a source knows about its data and the arrays no longer show. Phrases, without a full stop.

    samples: what they are called, in the plural. details: about them (`114 sizes`). columns: of a table with names.
    targets: the columns with the answers. answers: how they were read, and how to have them read otherwise.
    test_from: where a given test set comes from (`val/`). joined: sides that were added to the training part.
    folds_from: where given folds come from.
    image_size: the side that photos were resized to where the data decided it, and images: the folder in which a
    table's files were found, for the run to keep.
    """

    samples: str = "samples"
    details: tuple[str, ...] = ()
    columns: tuple[ColumnUse, ...] = ()
    targets: tuple[str, ...] = ()
    answers: str = ""
    test_from: str = ""
    joined: tuple[str, ...] = ()
    folds_from: str = ""
    image_size: int | None = None
    images: str = ""


def summarise(dataset: Dataset, test_samples: int) -> dict[str, Any]:
    """The facts of `run.yaml`, for `--json` and the report. `test_samples` is the size of the test set.

    `class_samples` counts each class outside of a given test set.
    """
    understood = dataset.understood
    return {
        "name": dataset.name,
        "kind": dataset.kind,
        "task": dataset.task,
        "samples": len(dataset),
        "test_samples": test_samples,
        "test_from": understood.test_from or None,
        "input_shape": list(dataset.input_shape),
        "classes": list(dataset.classes),
        "class_samples": _class_samples(dataset),
        "target": understood.targets[0] if len(understood.targets) == 1 else None,
        "targets": _targets(dataset),
        "columns": [asdict(column) for column in understood.columns],
        "groups": _groups(dataset),
        "copies": dataset.copies,
        "understood": list(sentences(dataset, test_samples)),
        "notes": list(dataset.notes),
    }


def sentences(dataset: Dataset, test_samples: int) -> tuple[str, ...]:
    """What the data were taken for, in a few lines.

    The first one is like `245 photos, 97 sizes, resized to 224 x 224; classes ants 124, bees 121; 153 test photos from
    val/`; a table's columns and target have lines of their own.
    """
    understood = dataset.understood
    what = understood.samples
    given = 0 if dataset.test is None else int(dataset.test.sum())
    count = len(dataset) - given
    included = f" (those of {' and '.join(understood.joined)} included)" if understood.joined else ""
    parts = [", ".join([_counted(count, what) + included, *understood.details])]
    if dataset.classes:
        parts.append(_counts("classes", dataset.classes, _class_samples(dataset), what))
    if dataset.task == "multilabel":
        y = dataset.y if dataset.test is None else dataset.y[~dataset.test]
        parts.append(_counts("labels", dataset.output_names, y.sum(axis=0).tolist(), what))
    if (groups := _groups(dataset)) is not None:
        parts.append(f"{groups:,} groups, none of them on two sides of a split")
    if dataset.folds is not None:
        where = f" of {understood.folds_from}" if understood.folds_from else " of its own"
        parts.append(f"the {int(dataset.folds.max()) + 1} folds{where}")
    if dataset.times is not None:
        parts.append("each fold is trained on what came before it")
    if given:
        parts.append(f"{given:,} test {what}" + (f" from {understood.test_from}" if understood.test_from else ""))
    elif test_samples:
        latest = "the latest " if dataset.times is not None else ""
        parts.append(f"{latest}{test_samples:,} of them are cut off as the test set")
    else:
        parts.append("no test set")
    lines = ["; ".join(parts)]
    if understood.columns:
        lines.append(_columns(understood.columns))
    if len(understood.targets) == 1:
        lines.append(f"target '{understood.targets[0]}': {understood.answers}")
    elif understood.answers:
        lines.append(f"target{'s' if understood.targets else ''}: {understood.answers}")
    if dataset.deviations is not None:
        lines.append(_deviations(dataset, dataset.deviations))
    return tuple(lines)


def answers_read(y: NDArray[Any], task: str, *, asked: bool, names: Sequence[str] = ()) -> str:
    """How the answers `y` [n] or [n, outputs], numbers or texts, were read, and how to have them read otherwise.

    `asked`: the user has chosen the `task`, so that nothing was guessed. `names`: of several outputs.

    >>> answers_read(np.arange(26), "regression", asked=False)
    '26 whole numbers from 0 to 25, predicted as numbers (--task classification makes a class of each)'
    """
    if task == "multilabel":
        quoted = ", ".join(f"'{name}'" for name in names[:_NAMES]) + (", ..." if len(names) > _NAMES else "")
        otherwise = "" if asked or y.dtype.kind == "b" else " (--task regression predicts them as numbers)"
        return f"{quoted or f'{y.shape[1]} labels'}, each yes or no{otherwise}"
    if y.dtype.kind not in "iuf":
        return "booleans, taken as classes" if y.dtype.kind == "b" else "texts, taken as classes"
    outputs = y.shape[1] if y.ndim == 2 else 1
    if outputs > 1 and not names:
        return f"{outputs} numbers each"
    if outputs > 1:
        spans = [f"'{name}' ({_span(column)[0]})" for name, column in zip(names, y.T[:_NAMES], strict=False)]
        return ", ".join(spans) + (", ..." if outputs > _NAMES else "") + ", predicted as numbers"
    span, distinct, whole = _span(y)
    if task == "classification":
        otherwise = " (--task regression predicts them as numbers)"
        return f"{span}, taken as classes{'' if asked or distinct <= 2 else otherwise}"
    otherwise = " (--task classification makes a class of each)"
    return f"{span}, predicted as numbers{otherwise if whole and not asked else ''}"


def _span(y: NDArray[Any]) -> tuple[str, int, bool]:
    """`numbers from 0 to 28.5`; how many distinct ones, and whether all are whole."""
    distinct = np.unique(y)
    whole = bool((distinct == np.round(distinct)).all())
    kind = f"{len(distinct):,} whole numbers" if whole else "numbers"
    return f"{kind} from {distinct[0]:.6g} to {distinct[-1]:.6g}", len(distinct), whole


def extent(size: Sequence[int]) -> str:
    """(height, width) as people say it.

    >>> extent((480, 640))
    '640 x 480'
    """
    return f"{size[1]} x {size[0]}"


def _deviations(dataset: Dataset, deviations: NDArray[np.float64]) -> str:
    """In which units the scores of several targets are."""
    shown = [f"{name} {value:.4g}" for name, value in zip(dataset.output_names, deviations[:_NAMES], strict=False)]
    return (
        "scores: rmse and mae are means over the targets, each in standard deviations of its own "
        f"({', '.join(shown)}{', ...' if len(deviations) > _NAMES else ''})"
    )


def _targets(dataset: Dataset) -> list[dict[str, Any]]:
    """The names of what is predicted, and the deviations by which the errors of several are divided."""
    if dataset.deviations is None:
        return [{"name": name, "deviation": None} for name in dataset.understood.targets]
    values = dataset.deviations.tolist()
    return [{"name": n, "deviation": d} for n, d in zip(dataset.output_names, values, strict=True)]


def _counted(count: int, plural: str) -> str:
    return f"{count:,} {plural.removesuffix('s') if count == 1 else plural}"


def _groups(dataset: Dataset) -> int | None:
    """How many groups there are; the samples of a test set that came with arrays are in none."""
    if dataset.groups is None:
        return None
    return len(np.unique(dataset.groups if dataset.test is None else dataset.groups[~dataset.test]))


def _class_samples(dataset: Dataset) -> list[int]:
    if not dataset.classes:
        return []
    y = dataset.y if dataset.test is None else dataset.y[~dataset.test]
    counts: list[int] = np.bincount(y, minlength=len(dataset.classes)).tolist()
    return counts


def _counts(of: str, names: Sequence[str], counts: Sequence[int], samples: str) -> str:
    """`classes ants 124, bees 121`, or of many `1,000 classes of 12 to 40 photos`."""
    if len(counts) <= _CLASSES:
        return f"{of} " + ", ".join(f"{name} {count:,}" for name, count in zip(names, counts, strict=True))
    low, high = min(counts), max(counts)
    return f"{len(counts):,} {of} of {low:,}" + (f" to {high:,}" if high > low else "") + f" {samples}"


def _columns(columns: Sequence[ColumnUse]) -> str:
    """`columns: 2 number (a, b), 1 category (colour: 3 values); left out: id (an identifier)`."""
    kinds = list(dict.fromkeys(column.kind for column in columns if column.kind != "left out"))
    used = [f"{len(of)} {_plural(kind, len(of))} ({_listed(of)})" for kind in kinds if (of := _of(columns, kind))]
    left = _of(columns, "left out")
    return f"columns: {', '.join(used) or 'none'}" + (f"; left out: {_listed(left)}" if left else "")


def _of(columns: Iterable[ColumnUse], kind: str) -> list[ColumnUse]:
    return [column for column in columns if column.kind == kind]


def _plural(kind: str, count: int) -> str:
    if count == 1:
        return kind
    return f"{kind.removesuffix('y')}ies" if kind.endswith("y") else f"{kind}s"


def _listed(columns: Sequence[ColumnUse]) -> str:
    shown = [f"{column.name}: {column.detail}" if column.detail else column.name for column in columns[:_NAMES]]
    return ", ".join(shown) + (", ..." if len(columns) > _NAMES else "")
