"""DATA as a saved model reads them: in batches, so that a folder of any size needs the memory of one."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from automl.data.conversion import Columns, Pixels, refuse_whole_columns
from automl.data.images.decode import bad_files, decode_all, printable
from automl.data.images.folders import find_file, find_files, find_images
from automl.data.keys import normal_key
from automl.data.sources.arrays import read_npz
from automl.data.sources.image_lists import find_image_list
from automl.data.sources.targets import Target, answers_of, split_names
from automl.data.tables.columns import Column, Kind
from automl.data.tables.csv_files import Table
from automl.data.tables.files import read_table, read_table_parts
from automl.data.tables.findings import Finding, gather
from automl.data.tables.names import TABLES, is_table
from automl.errors import DataError, did_you_mean
from automl.models.description import ModelDescription

SIZE = 256
_BESIDE = (*TABLES, ".txt", ".json", ".md", ".html", ".yaml", ".yml")

Array = NDArray[Any]


class Batch(NamedTuple):
    """Some samples: what each is called (a file, or a row from 0), their values, and the answers where asked for.

    x: [n, *input_shape], converted. answers: class names, labels as 0 and 1 [n, labels], or numbers [n, outputs]; None
    where they were not asked for. skipped: unusable files. notes: sentences on what was read.
    """

    names: list[str]
    x: Array
    answers: list[str] | Array | None
    skipped: dict[str, str]
    notes: Sequence[str] = ()


def read_batches(
    data: str | Path,
    about: ModelDescription,
    *,
    labelled: bool = False,
    target: Target = None,
    images: str | Path | None = None,
    skip_bad: bool = False,
    follow_links: bool = False,
) -> Iterator[Batch]:
    """The samples of DATA for the model that `about` describes: a folder, an image file, a table or an .npz.

    labelled: with answers; of a folder with train/ and test/, and of an .npz with x_test, only the test part is read.
    target: the table's columns with the answers, by default those of the search. images: the folder in which the
    paths of a list of images begin. Images are resized and turned grey or coloured as the model needs them.
    Raises `DataError` that names the file, array or column, at the latest with the batch that has the culprit.
    """
    path = Path(data).expanduser()
    kind = path.suffix.lower()
    if not path.exists():
        raise DataError(f"{data!s}: there is no such file or folder")
    table = not path.is_dir() and is_table(path)
    for option, value in (("--target", target or None), ("--images", images)):
        if value is not None and not table:
            raise DataError(f"{data}: {option} is for a table only")
    if table and isinstance(about.conversion, Pixels):
        yield from _listed(path, about, labelled, target, images, skip_bad, follow_links)
    elif table:
        yield from _table(path, about, labelled, target)
    elif not path.is_dir() and kind == ".npz":
        yield from _arrays(path, about, labelled)
    else:
        yield from _files(path, about, labelled, skip_bad, follow_links)


def _listed(
    path: Path,
    about: ModelDescription,
    labelled: bool,
    target: Target,
    images: str | Path | None,
    skip_bad: bool,
    follow: bool,
) -> Iterator[Batch]:
    """The images that a table lists, called as it calls them."""
    table = read_table(path)
    names = split_names(target, table.names)
    if not names and set(searched := about.targets) <= set(table.names):
        names = tuple(searched)
    found = find_image_list(table, None if images is None else Path(images).expanduser(), names)
    if found is None:
        raise DataError(
            f"{path}: the model takes images, and no column names image files that are there; name the folder in which "
            "the paths begin with --images"
        )
    answers: list[str] | Array | None = None
    if labelled:
        names = tuple(found.target(name) for name in names or (None,))
        kind: Kind = "boolean" if about.task == "multilabel" else "number"
        answers = _read_answers(table, names, [Column(name=name, kind=kind) for name in names], about)
    for row in range(len(found.names)):
        if found.paths[row]:
            find_file(found.root, found.paths[row], False, follow)  # refuses what leads out of the folder
    yield from _decoded(found.root, found.names, found.paths, answers, about, skip_bad)


def _files(path: Path, about: ModelDescription, labelled: bool, skip_bad: bool, follow: bool) -> Iterator[Batch]:
    folder, names, answers = path, [], None
    if not path.is_dir():
        if labelled:
            raise DataError(f"{path}: one image has no label; give a folder with a sub-folder per class")
        folder, names = path.parent, [path.name]
    elif labelled:
        photos = find_images(path, follow)
        found = [file for file in photos.files if file.test or not photos.train_from]
        if not found:
            raise DataError(
                f"{path}: of its sides only {photos.train_from} has labels; give that folder to evaluate on it"
            )
        _refuse_unknown(path, photos.classes, about)
        names, answers = [file.path for file in found], [file.label for file in found]
    else:
        # Lists, submissions and notes lie beside photos; what has the name of an image, or none, must be one.
        names = [name for name in find_files(path, follow) if not name.lower().endswith(_BESIDE)]
        if not names:
            raise DataError(f"{path}: there is no image in this folder")
    yield from _decoded(folder, names, names, answers, about, skip_bad)


def _decoded(
    folder: Path,
    names: Sequence[str],
    files: Sequence[str],
    answers: Sequence[str] | Array | None,
    about: ModelDescription,
    skip_bad: bool,
) -> Iterator[Batch]:
    """The images `files` below `folder` ("" for one that is not there), called by their `names`."""
    shape = about.input_shape
    if len(shape) != 3 or shape[0] not in (1, 3):
        raise DataError(f"{folder}: the model takes samples of shape {shape}, not image files; give a table or an .npz")
    for start in range(0, len(names), SIZE):
        part = names[start : start + SIZE]
        # Opening a named pipe would block for ever; without a path it is reported as unusable.
        whole = [os.path.join(folder, file) if file else "" for file in files[start : start + SIZE]]
        paths = [file if os.path.isfile(file) else "" for file in whole]
        decoded = decode_all(paths, shape[0], (shape[1], shape[2]))
        bad = {
            part[i]: reason if paths[i] else "not a regular file" if whole[i] else "there is no such file"
            for i, reason in decoded.bad.items()
        }
        if bad and not skip_bad:
            text = bad_files({os.path.join(folder, name): reason for name, reason in bad.items()}, len(part))
            raise DataError(f"{text}\nrepair or remove them, or pass --skip-bad to leave them out")
        good = [i for i in range(len(part)) if i not in decoded.bad]
        yield Batch([printable(part[i]) for i in good], decoded.pixels[good], _chosen(answers, start, good), bad)


def _chosen(answers: Sequence[str] | Array | None, start: int, good: Sequence[int]) -> list[str] | Array | None:
    if answers is None or isinstance(answers, np.ndarray):
        return None if answers is None else answers[[start + i for i in good]]
    return [answers[start + i] for i in good]


def _arrays(path: Path, about: ModelDescription, labelled: bool) -> Iterator[Batch]:
    arrays = read_npz(path)
    tested = labelled and {"x_test", "y_test"} <= arrays.keys()
    x_name, y_name = ("x_test", "y_test") if tested else ("x", "y")
    for name in (x_name, y_name) if labelled else (x_name,):
        if name not in arrays:
            raise DataError(f"{path}: there is no array '{name}'{did_you_mean(name, arrays)}")
    x = arrays[x_name]
    answers = _answers(path, arrays[y_name], arrays.get("classes"), about) if labelled else None
    if answers is not None and len(answers) != len(x):
        raise DataError(f"{path}: '{x_name}' has {len(x)} samples, but '{y_name}' has {len(answers)}")
    conversion = about.conversion
    if isinstance(conversion, Columns):
        raise DataError(f"{path}: the model finds its columns by name, and an array has none; give a .csv")
    if x.dtype.kind not in "biuf":
        raise DataError(f"{path}: array '{x_name}' is {x.dtype} {x.shape}; it must be numbers, one row a sample")
    samples, notes = conversion.samples(f"{path}: '{x_name}'", x, tuple(about.input_shape))
    yield from _split(samples, answers, notes)


def _table(path: Path, about: ModelDescription, labelled: bool, target: Target) -> Iterator[Batch]:
    conversion = about.conversion
    if not isinstance(conversion, Columns):
        raise DataError(f"{path}: the model was trained on an array without names of columns; give an .npz")
    if not labelled:
        yield from _table_parts(path, conversion)
        return
    table = read_table(path)
    names = split_names(target, table.names) or tuple(column.name for column in conversion.targets)
    missing = [name for name in names if name not in table.names]
    if missing or not names:
        wrong = f"there is no column '{missing[0]}'; " if missing else ""
        which = "column" if about.num_outputs == 1 or about.classes else f"{about.num_outputs} columns"
        raise DataError(f"{path}: {wrong}name the {which} with the answers: --target {' | '.join(table.names)}")
    answers = _read_answers(table, names, conversion.targets, about)
    x, notes = conversion.matrix(table, apart=names)
    yield from _split(x, answers, [*table.notes, *notes])


def _table_parts(path: Path, conversion: Columns) -> Iterator[Batch]:
    """The rows of a table, of a csv with two parts in memory at most; what has to be said comes with the last ones."""
    found: list[Finding] = []
    tables = read_table_parts(path)
    table: Table | None = next(tables)
    while table is not None:
        x, said = conversion.part(table)
        gather(found, said, table.before, len(table.lines))
        following = next(tables, None)
        if following is None:
            refuse_whole_columns(found)
        notes = () if following else (*table.notes, *map(str, found), *conversion.ignored(table))
        yield from _split(x, None, notes, table.before)
        table = following


def _read_answers(
    table: Table, names: Sequence[str], searched: Sequence[Column], about: ModelDescription
) -> list[str] | Array:
    """The columns `names` as class names, or as labels or numbers [n, outputs], which are read as those of the search
    were.
    """
    outputs = 1 if about.task == "classification" else about.num_outputs
    if len(names) != outputs:
        known = f" ({', '.join(about.targets[:20])})" if about.targets else ""
        what = "columns, in this order" if outputs > 1 else "column"
        raise DataError(
            f"{table.path}: the model predicts {outputs} target{'s' * (outputs > 1)}{known}, and the answers are "
            f"{len(names)} columns ({', '.join(names[:20])}); name {outputs} {what}, with --target"
        )
    if about.task != "classification":
        columns = [column.model_copy(update={"name": name}) for column, name in zip(searched, names, strict=True)]
        return answers_of(table, columns)
    answers = [_class_name(text, about.classes) for text in table.texts(names[0])]
    _refuse_unknown(table.path, answers, about)
    return answers


def _split(x: Array, answers: list[str] | Array | None, notes: Sequence[str], before: int = 0) -> Iterator[Batch]:
    """The samples in batches; `before`: how many came before them. The first batch has the notes."""
    for start in range(0, len(x), SIZE):
        end = min(start + SIZE, len(x))
        names = [str(before + row) for row in range(start, end)]
        part = None if answers is None else answers[start:end]
        yield Batch(names, x[start:end], part, {}, notes if start == 0 else ())


def _answers(path: Path, y: Array, names: Array | None, about: ModelDescription) -> list[str] | Array:
    """`y` of an .npz as class names, or as labels or numbers [n, outputs]."""
    if about.task != "classification":
        numbers = y.reshape(len(y), -1) if y.ndim and y.dtype.kind in "biuf" else np.empty((0, 0))
        if numbers.shape[1] != about.num_outputs or not np.isfinite(numbers).all():
            raise DataError(
                f"{path}: array 'y' is {y.dtype} {y.shape}; the model has {about.num_outputs} finite outputs"
            )
        if about.task == "multilabel" and not ((numbers == 0) | (numbers == 1)).all():
            raise DataError(f"{path}: array 'y' is {y.dtype} {y.shape}; labels are 0 and 1")
        return numbers
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim != 1 or y.dtype.kind not in "biufUS":
        raise DataError(f"{path}: array 'y' is {y.dtype} {y.shape}; give one integer or text a sample")
    if names is not None and y.dtype.kind in "biu":
        known = [_class_name(str(name), about.classes) for name in names.ravel().tolist()]
        if len(y) and (y.min() < 0 or y.max() >= len(known)):
            raise DataError(f"{path}: array 'y' has {y.min()}..{y.max()}, but 'classes' has {len(known)} names")
        answers = [known[int(label)] for label in y]
    else:
        y = np.char.decode(y, "utf-8", "backslashreplace") if y.dtype.kind == "S" else y
        answers = [_class_name(str(label), about.classes) for label in y.tolist()]
    _refuse_unknown(path, answers, about)
    return answers


def _class_name(text: str, classes: Sequence[str]) -> str:
    """`text` as the model names it: in a column of numbers `1.0` is the class `1`, and `TRUE` is `True`."""
    text = normal_key(text)
    if text in classes:
        return text
    alike = [name for name in classes if name.casefold() == text.casefold()]
    if len(alike) == 1:
        return alike[0]
    try:
        short = f"{float(text):.15g}"
    except ValueError:
        return text
    return short if short in classes else text


def _refuse_unknown(path: Path, names: Sequence[str], about: ModelDescription) -> None:
    unknown = sorted(set(names) - set(about.classes))
    if unknown:
        shown = ", ".join(f"'{name}'" for name in unknown[:20]) + (", ..." if len(unknown) > 20 else "")
        raise DataError(
            f"{path}: the model does not know {len(unknown)} of its classes: {shown}"
            f"{did_you_mean(unknown[0], about.classes)}"
        )
