"""Which sub-folders of a data set are its sides, training, validation and test, in whatever way people spell them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal

from automl.data.keys import normal_key

Side = Literal["train", "val", "test"]

_SIDES: dict[str, Side] = {
    **dict.fromkeys(("train", "training", "trn", "learn", "learning"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "validate", "validating", "dev", "devel", "development"), "val"),
    **dict.fromkeys(("eval", "evaluation", "evaluate"), "val"),
    **dict.fromkeys(("test", "tests", "testing", "tst", "holdout", "heldout"), "test"),
}  # fmt: skip
_FILLERS = ("set", "sets", "data", "dataset", "folder", "dir", "split", "samples", "examples", "all", "images", "image",
            "imgs", "img", "photos", "pictures", "pics", "files", "jpg", "jpeg", "png")  # fmt: skip
_WORD = re.compile(r"[^\W\d_]+")


def sides_of(names: Iterable[str]) -> dict[str, Side]:
    """The sides among folders that stand side by side: `Training`, `test1`, `valid_images`, `seg_train` and `seg_test`.

    A word besides counts only where a training folder and another side share it: beside `seg_test`, `seg_train` is a
    side, and beside `bus_station`, `train_station` is none.

    >>> sides_of(["Training", "TestSet", "labels"])
    {'Training': 'train', 'TestSet': 'test'}
    >>> sides_of(["train_station", "bus_station"])
    {}
    """
    split = {name: found for name in names if (found := _split(name))}
    plain = {name: side for name, (side, besides) in split.items() if not besides}
    if "train" in plain.values():
        return plain
    for shared in dict.fromkeys(besides for _, besides in split.values() if besides):
        alike = {name: side for name, (side, besides) in split.items() if besides == shared}
        if "train" in alike.values() and len(set(alike.values())) > 1:
            return alike
    return plain


def side_in(name: str) -> Side | None:
    """The side that a name by itself speaks of, whatever other words it has.

    >>> side_in("Train_Labels"), side_in("validation"), side_in("photos")
    ('train', 'val', None)
    """
    found = _split(name)
    return found[0] if found else None


def _split(name: str) -> tuple[Side, tuple[str, ...]] | None:
    """The side that a name speaks of, and its other words; None where it speaks of none or of two."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", normal_key(name))
    joined = re.sub(r"\b(hold|held)[\W_]+out\b", r"\1out", spaced.replace("_", " ").casefold())
    words = [word for word in map(_bare, _WORD.findall(joined)) if word not in _FILLERS]
    sides = [_SIDES[word] for word in words if word in _SIDES]
    return (sides[0], tuple(word for word in words if word not in _SIDES)) if len(sides) == 1 else None


def _bare(word: str) -> str:
    """`trainset` without its filler, where a side is left."""
    return next((bare for filler in _FILLERS if (bare := word.removesuffix(filler)) in _SIDES), word)
