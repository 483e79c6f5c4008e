"""What was found out about the photos of a search: facts in `artifacts/inspection.json`, pictures in `photos.npz`.

It is made at the end of a search, while the data are in memory, so that a report never needs the data.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from automl.data.atomic import write_atomic
from automl.data.dataset import Dataset
from automl.data.npz import read_arrays
from automl.models.facts import Count, Facts, Name, Share
from automl.models.mistakes import SIDE, thumbnails
from automl.open_file import open_file
from automl.run.folder import RunFolder

MOST = 100  # suspects and pairs that are kept
MOST_SEEN = 30
MOST_NEIGHBOURS = 5

Similarity = Annotated[float, Field(ge=-1.0001, le=1.0001)]
"""The cosine of the angle between two photos' features."""


class Photo(Facts):
    """A sample: its number in the data set, what it is called, and its label in words."""

    sample: Count
    name: Name
    label: Name


class Seen(Facts):
    """Photos of the training part as the network is given them: `shape` is (channels, height, width) of its input.

    changes: the parts of the augmentation that change them. frozen: nothing else reaches the network's frozen part.
    """

    photos: tuple[Photo, ...] = Field(max_length=MOST_SEEN)
    shape: tuple[Count, Count, Count]
    changes: tuple[Name, ...] = Field(default=(), max_length=40)
    frozen: bool = False


class Suspect(Photo):
    """A training sample whose label its out-of-fold prediction contradicts, with the probabilities of both."""

    predicted: Name
    probability: Share
    own: Share


class Suspects(Facts):
    """The surest of `found` suspects among `asked` of `total` training samples.

    folds: of the networks that were asked, each about what it was not trained on; epochs: the fewest and the most that
    one of them was trained for; agree: the share of the samples that they predict as they are labelled.
    """

    photos: tuple[Suspect, ...] = Field(max_length=MOST)
    found: Count
    asked: Count
    total: Count
    folds: Count
    epochs: tuple[Count, Count]
    agree: Share


class Neighbour(Photo):
    """A training sample that is near another sample by the network's features."""

    similarity: Similarity


class Neighbours(Facts):
    """The training samples nearest to some test samples, by their numbers; among `compared` of `total`."""

    of: dict[Count, Annotated[tuple[Neighbour, ...], Field(max_length=MOST_NEIGHBOURS)]] = Field(max_length=MOST)
    compared: Count
    total: Count


class NearCopy(Facts):
    """A photo of the test set and one of the training part that look the same.

    bits: of 64 in which their difference hashes differ. similarity: of their features; None where these are unknown.
    """

    test: Photo
    training: Photo
    bits: Annotated[int, Field(ge=0, le=64)]
    similarity: Similarity | None


class NearCopies(Facts):
    """The nearest of `found` pairs, among so many photos of the test set and of the training part."""

    pairs: tuple[NearCopy, ...] = Field(max_length=MOST)
    found: Count
    test: Count
    training: Count
    all_test: Count
    all_training: Count


class PhotoInspection(Facts):
    """What was found; `left_out` says of a part that is None why."""

    seen: Seen | None = None
    suspects: Suspects | None = None
    neighbours: Neighbours | None = None
    near_copies: NearCopies | None = None
    left_out: dict[Name, Annotated[str, Field(max_length=2000)]] = Field(default={}, max_length=10)


@dataclass(frozen=True, eq=False)
class Pictures:
    """Small pictures: `seen` uint8 [k, c, h, w] are those of `Seen.photos`, `by_sample` [c, h, w] those of samples."""

    seen: NDArray[np.uint8] = field(default_factory=lambda: np.empty(0, dtype=np.uint8))
    by_sample: Mapping[int, NDArray[np.uint8]] = field(default_factory=dict)


def save_pictures(folder: RunFolder, dataset: Dataset, samples: Sequence[int], seen: NDArray[np.uint8] | None) -> None:
    """Writes `artifacts/photos.npz`, whole or not at all: pictures of `samples`, and those `seen` [k, c, h, w]."""
    index = np.unique(np.array(samples, dtype=np.int64))
    arrays: dict[str, Any] = {
        "index": index,
        "images": thumbnails(np.asarray(dataset.x[index])),
        "seen": np.empty(0, dtype=np.uint8) if seen is None else thumbnails(seen),
    }
    write_atomic(folder.artifacts / "photos.npz", lambda file: np.savez_compressed(file, **arrays))


def load_pictures(folder: RunFolder) -> Pictures:
    """The pictures that a run keeps; none where there are none, or they are damaged."""
    try:
        with open_file(folder.artifacts / "photos.npz", owned=True) as file:
            stored = read_arrays(file)
        index, images, seen = stored["index"], stored["images"], stored["seen"]
        for pictures in (images, seen):
            if len(pictures) and not _are_pictures(pictures):
                raise ValueError("these are no pictures")
        return Pictures(seen, dict(zip(index.tolist(), images, strict=True)))
    except Exception:  # damaged bytes surface as almost anything in zip, zlib and numpy
        return Pictures()


def _are_pictures(stored: NDArray[Any]) -> bool:
    small = (
        stored.ndim == 4 and stored.shape[1] in (1, 3) and 0 < min(stored.shape[2:]) <= max(stored.shape[2:]) <= SIDE
    )
    return stored.dtype == np.uint8 and small
