"""Predictions as a csv, written batch by batch."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path

from automl.data.atomic import write_atomic
from automl.data.conversion import Columns, Pixels
from automl.data.tables.names import is_table
from automl.errors import BadInput, MachineFailed
from automl.foreign_text import cell
from automl.models.model import Model
from automl.models.samples import Batch, read_batches


def predict_lines(
    model: Model,
    data: str | Path,
    *,
    images: str | Path | None = None,
    skip_bad: bool = False,
    follow_links: bool = False,
    skipped: dict[str, str] | None = None,
    notes: list[str] | None = None,
) -> Iterator[str]:
    """The csv's lines: a header, then one a sample, each with its newline.

    Unusable files are added to `skipped`, sentences on what was read to `notes`.

    Columns: `file` or `row` (from 0); `label` and `p_CLASS` for every class; of several labels `label_TARGET` for each,
    in the words of the data, then `p_TARGET` for each; of a regression `prediction`, of several targets
    `prediction_TARGET` for each. Targets without names are `label_0`, `prediction_0`, ... Probabilities have the nine
    digits that tell every float32, predictions fifteen.
    A name that a spreadsheet would take for a formula has an apostrophe in front, see `foreign_text.cell`.
    Raises `DataError`, see `read_batches`.
    """
    batches = read_batches(data, model.description, images=images, skip_bad=skip_bad, follow_links=follow_links)
    rows = Path(data).suffix.lower() == ".npz" or (is_table(data) and not isinstance(model.conversion, Pixels))
    kind = "row" if rows and not Path(data).is_dir() else "file"
    for number, batch in enumerate(batches):
        if number == 0:
            yield _line([kind, *_header(model)])
        if skipped is not None:
            skipped.update(batch.skipped)
        if notes is not None:
            notes.extend(batch.notes)
        if batch.names:
            yield from _rows(model, batch)


def write_predictions(
    model: Model,
    data: str | Path,
    out: Path,
    *,
    images: str | Path | None = None,
    skip_bad: bool = False,
    follow_links: bool = False,
    notes: list[str] | None = None,
) -> dict[str, str]:
    """Writes `predict_lines` to `out`, whole or not at all; returns the files that were skipped, with the reason.

    Raises `BadInput` when `out` cannot be written or is DATA itself, `DataError`, and `MachineFailed` on a full disk.
    """
    check_out(out)
    if out.exists() and Path(data).exists() and out.samefile(data):
        raise BadInput(f"-o {out}: this is DATA itself; name another file")
    skipped: dict[str, str] = {}
    lines = predict_lines(
        model, data, images=images, skip_bad=skip_bad, follow_links=follow_links, skipped=skipped, notes=notes
    )
    try:
        write_atomic(out, lambda file: file.writelines(line.encode("utf-8") for line in lines))
    except OSError as error:
        raise MachineFailed(f"{out}: cannot be written: {error.strerror or error}") from error
    return skipped


def check_out(out: Path) -> None:
    """Raises `BadInput` when there is no folder for the file `out`, or `out` is a folder."""
    if not out.parent.is_dir():
        raise BadInput(f"-o {out}: there is no folder {out.parent}; make it first")
    if out.is_dir():
        raise BadInput(f"-o {out}: this is a folder; name a file")


def _header(model: Model) -> list[str]:
    if model.classes:
        return ["label", *(cell(f"p_{name}") for name in model.classes)]
    names = model.targets or range(model.description.num_outputs)
    if model.description.task == "multilabel":
        return [f"{what}_{name}" for what in ("label", "p") for name in names]
    return ["prediction"] if len(names) == 1 else [f"prediction_{name}" for name in names]


def _words(model: Model) -> list[tuple[str, str]]:
    """The words of the data for no and yes, of each label."""
    searched = model.conversion.targets if isinstance(model.conversion, Columns) else ()
    words = [(label.categories[0], label.categories[1]) for label in searched if len(label.categories) == 2]
    return words if len(words) == model.description.num_outputs else [("0", "1")] * model.description.num_outputs


def _rows(model: Model, batch: Batch) -> Iterator[str]:
    if model.classes:
        for name, row in zip(batch.names, model.probabilities(batch.x, batch.names), strict=True):
            yield _line([cell(name), cell(model.classes[int(row.argmax())]), *(f"{value:.9g}" for value in row)])
        return
    if model.description.task == "multilabel":
        words = _words(model)
        for name, row in zip(batch.names, model.probabilities(batch.x, batch.names), strict=True):
            said = [cell(word[int(share > 0.5)]) for word, share in zip(words, row.tolist(), strict=True)]
            yield _line([cell(name), *said, *(f"{value:.9g}" for value in row)])
        return
    for name, row in zip(batch.names, model.answers(batch.x, batch.names).reshape(len(batch.names), -1), strict=True):
        yield _line([cell(name), *(f"{value:.15g}" for value in row)])


def _line(cells: list[str]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue()
