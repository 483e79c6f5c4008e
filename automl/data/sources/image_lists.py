"""A table of image files: one column names them, one holds the answers, and some may say how to split them.

Its columns `split` (train, val, test), `fold` (one's own folds) and `group` are found by their names.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path

from automl.data.images.folders import find_folders, is_image, list_folder
from automl.data.keys import normal_key
from automl.data.sides import side_in
from automl.data.sources.own_splits import FOLD, GROUP, SPLIT, column_of
from automl.data.sources.targets import Target, split_names
from automl.data.tables.csv_files import Table
from automl.data.tables.numbers import is_empty
from automl.data.tables.texts import Texts
from automl.errors import DataError, did_you_mean

_ANSWERS = ("label", "labels", "class", "classes", "target", "category", "answer", "y")
_LOOKED_AT = 100  # cells of a column
_MOST_FOLDERS = 200  # that files are looked for in


@dataclass(frozen=True)
class ImageList:
    """Where the images of a `table` are: the `column` that names them, the folder `root`, and of each row the path
    below it, "" where there is no such file.
    """

    table: Table
    column: str
    root: Path
    paths: list[str]

    @property
    def names(self) -> Texts:
        """What the table calls each image."""
        return self.table.texts(self.column)

    def role(self, names: Sequence[str]) -> str | None:
        """The column that has one of these names, in any case."""
        return column_of(self.table, names, (self.column,))

    def others(self, groups: str | None = None) -> list[str]:
        """The columns that neither name the images nor split them: the answers are one of them."""
        roles = {self.column, groups, *map(self.role, (SPLIT, FOLD, GROUP))}
        return [name for name in self.table.names if name not in roles]

    def target(self, chosen: str | None, groups: str | None = None) -> str:
        """The column with the answers: the `chosen` one, the only one, or the only one that is called so.

        Raises `DataError` that names the columns.
        """
        if chosen is not None:
            if chosen not in self.table.names or chosen == self.column:
                near = did_you_mean(chosen, self.table.names)
                raise DataError(f"{self.table.path}: there is no target column '{chosen}'{near}")
            return chosen
        others = self.others(groups)
        named = [name for name in others if name.casefold() in _ANSWERS]
        if len(others) == 1 or len(named) == 1:
            return (named or others)[0]
        which = f"one of: {', '.join(others[:20])}" if others else "a further column: it has none"
        raise DataError(
            f"{self.table.path}: column '{self.column}' names images; which column is to be predicted? Pass --target "
            f"with {which}"
        )


def find_image_list(table: Table, images: Path | None = None, target: Target = None) -> ImageList | None:
    """The list of images that `table` is, or None for any other table.

    images: the folder that its paths begin in; then it must be a list. By default they begin where the table lies, or
    in the one folder up to two levels below that has them. Names without extensions are found as well, but then no
    other column may be left to learn from. Raises `DataError` where several columns or folders would do.
    """
    places = [images] if images is not None else None
    learnt = {name for name in table.names if name.casefold() not in (*SPLIT, *FOLD, *GROUP)}
    targets = split_names(target, table.names)
    answers = {name for name in learnt if name in targets or (not targets and name.casefold() in _ANSWERS)}
    fitting: dict[str, list[Path]] = {}
    for name in (name for name in table.names if name not in targets):
        texts = _some(table.texts(name))
        if images is None and not _may_name_images(name, texts, learnt, answers):
            continue
        hits = {place: sum(map(bool, _Finder(place).all(texts))) for place in places or _places(table.path)}
        most = max(hits.values(), default=0)
        if 2 * most > len(texts):
            fitting[name] = [place for place, count in hits.items() if count == most]
    if not fitting:
        if images is not None:
            columns = ", ".join(table.names)
            raise DataError(f"{table.path}: no column names files in {images}; the columns are {columns}")
        return None
    name = _likeliest(table, list(fitting))
    root = _one_of(table, name, fitting[name])
    return ImageList(table, name, root, _Finder(root).all(table.texts(name)))


def _likeliest(table: Table, names: Sequence[str]) -> str:
    """Of columns whose cells are found as files, as 0 and 1 may be by chance, the one that names images."""

    def rank(name: str) -> tuple[bool, bool, int]:
        texts = table.texts(name)
        known = name.casefold() in (*_ANSWERS, *SPLIT, *FOLD, *GROUP)
        return all(is_image(text) for text in _some(texts)), not known, len(texts.distinct)

    best = max(rank(name) for name in names)
    alike = [name for name in names if rank(name) == best]
    if len(alike) > 1:
        both = " and ".join(f"'{name}'" for name in alike[:5])
        raise DataError(f"{table.path}: the columns {both} name images; drop all but the one to learn from")
    return alike[0]


def _may_name_images(name: str, texts: Sequence[str], learnt: AbstractSet[str], answers: AbstractSet[str]) -> bool:
    """Whether a column should be looked up among files, which takes longer than to look at its cells.

    `learnt` are the columns that could be learnt from or be the answer, of which there may be 100,000; `answers` those
    of them that are called like one.
    """
    if texts and all(is_image(text) for text in texts):
        return True
    left = len(learnt) - (name in learnt)
    return left <= 1 or left == len(answers) - (name in answers)


def _some(texts: Texts) -> list[str]:
    if texts.plain is not None:
        return texts[:_LOOKED_AT]
    distinct = texts.distinct[:: -(-len(texts.distinct) // _LOOKED_AT)]
    return [text for text in distinct if not is_empty(text)]


def _places(table: Path) -> Iterator[Path]:
    """The folder of the table, and those up to two levels below."""
    top = table.parent if table.is_file() else Path.cwd()
    yield top
    count = 0
    for folder in find_folders(top):
        for place in (folder, *find_folders(folder)):
            count += 1
            if count > _MOST_FOLDERS:
                return
            yield place


def _one_of(table: Table, name: str, roots: Sequence[Path]) -> Path:
    """The only one, or the only one that is of the table's side: `train/` for `train.csv`."""
    if len(roots) == 1:
        return roots[0]
    side = side_in(table.path.stem) or "train"
    alike = [root for root in roots if side_in(root.name) == side]
    if len(alike) != 1:
        where = ", ".join(str(root) for root in roots[:5])
        raise DataError(f"{table.path}: the files of column '{name}' are in {where}; name one of them with --images")
    return alike[0]


class _Finder:
    """Looks up the files below a folder by what people write for them; each folder is listed once."""

    def __init__(self, root: Path):
        self._root = root
        self._listed: dict[str, dict[str, str]] = {}

    def all(self, texts: Sequence[str]) -> list[str]:
        """The path below the root (or an absolute one) of each of these, "" where there is no such file."""
        return [self._find(text) for text in texts]

    def _find(self, text: str) -> str:
        key = normal_key(text).replace("\\", "/")
        if not key or "\0" in key:
            return ""
        folder, name = os.path.split(os.path.normpath(key))
        found = self._names(folder).get(name, "")
        return os.path.join(folder, found) if found else ""

    def _names(self, folder: str) -> dict[str, str]:
        """The files of a folder by their names in composed letters, and images without their extension too."""
        if folder not in self._listed:
            files = list_folder(self._root / folder)
            stems: dict[str, str] = {}
            for file in files:
                stem = unicodedata.normalize("NFC", os.path.splitext(file)[0])
                if is_image(file):
                    stems[stem] = "" if stem in stems else file  # 1.jpg and 1.png: neither is meant for certain
            self._listed[folder] = {**stems, **{unicodedata.normalize("NFC", file): file for file in files}}
        return self._listed[folder]
