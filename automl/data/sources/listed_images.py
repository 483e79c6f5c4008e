"""An image list as a `Dataset`: the files that a table names, with its answers, its split, its folds and its groups."""

from __future__ import annotations

import os

import numpy as np
from numpy.typing import NDArray

from automl.data.conversion import Pixels
from automl.data.dataset import Dataset, Task, complete
from automl.data.images.decode import bad_files, printable
from automl.data.images.folders import find_file
from automl.data.keys import number_keys
from automl.data.sources.image_lists import ImageList
from automl.data.sources.images import Reading, read_images
from automl.data.sources.own_splits import FOLD, GROUP, SPLIT, own_splits
from automl.data.sources.targets import Target, read_targets, refuse_missing, split_names
from automl.data.understood import Understood
from automl.errors import DataError


def load_image_list(
    found: ImageList,
    *,
    name: str,
    target: Target = None,
    groups: str | None = None,
    task: Task | None = None,
    reading: Reading | None = None,
) -> Dataset:
    """The images that a table lists as the data set `name`; `reading` says how the files are read.

    target: the column to predict, or several, by default the one that is left over, or that is called
    `label` or so; the rule for classes and numbers is that of any table. groups: the column of groups, by default that
    of this name. With rows for testing those for validation are trained on, without them these are the test set.
    Raises `DataError`: missing or unusable files, a column that is not there or ambiguous, an empty cell.
    """
    reading = reading or Reading()
    table = found.table
    notes = list(found.table.notes)
    group = groups or found.role(GROUP)
    if group is not None and group not in table.names:
        raise DataError(f"{table.path}: there is no groups column '{group}'")
    targets = tuple(found.target(name, group) for name in split_names(target, table.names) or (None,))
    if group in targets:
        raise DataError(f"{table.path}: column '{group}' cannot be both the target and the groups")
    if group is not None:
        refuse_missing(table, group)
    answers = read_targets(table, targets, task)
    own = own_splits(table, found.role(SPLIT), found.role(FOLD))
    test = np.zeros(len(found.paths), dtype=bool) if own.test is None else own.test
    rows = _present(found, reading.skip_bad, notes)
    files = [find_file(found.root, found.paths[row], bool(test[row]), reading.follow_links) for row in rows]
    read = read_images(found.root, files, reading)
    rows = rows[read.kept]
    if unused := [column for column in found.others(group) if column not in targets]:
        notes.append(f"Not used, for the images are learnt from alone: the columns {', '.join(unused[:10])}")
    notes += own.notes
    dataset = Dataset(
        name=name,
        kind="image",
        task=answers.task,
        x=read.pixels,
        y=answers.y[rows],
        classes=answers.classes,
        test=None if own.test is None else own.test[rows],
        groups=None if group is None else number_keys(table.texts(group))[1][rows],
        folds=None if own.folds is None else own.folds[rows],
        conversion=Pixels(),
        notes=tuple(printable(note) for note in (*notes, *read.notes)),
        names=[found.names[row] for row in rows.tolist()],
        understood=Understood(
            "photos",
            (*read.details, f"named in column '{found.column}'"),
            targets=targets,
            answers=answers.read,
            test_from=own.test_from,
            joined=own.joined,
            folds_from=own.folds_from,
            image_size=read.image_size,
            images=os.path.abspath(found.root),
        ),
    )
    return complete(read.known(dataset))


def _present(found: ImageList, skip: bool, notes: list[str]) -> NDArray[np.int64]:
    """The rows whose files are there. Raises `DataError` that lists those that are not, unless they are skipped."""
    missing = {found.names[row]: "there is no such file" for row, path in enumerate(found.paths) if not path}
    if missing and not skip:
        raise DataError(
            f"{found.table.path}: {bad_files(missing, len(found.paths))}\n(looked for in {found.root}; --images names "
            "another folder, and --skip-bad leaves them out)"
        )
    if missing:
        shown = ", ".join(list(missing)[:20]) + (", ..." if len(missing) > 20 else "")
        notes.append(f"{len(missing)} of {len(found.paths)} files were skipped, as they are not there: {shown}")
    return np.flatnonzero(np.array([bool(path) for path in found.paths]))
