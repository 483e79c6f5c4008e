"""Photos that look the same, found by their pixels."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance

from automl.data.images.near_copies import BITS, Looks, find_pairs, looks_of


def photo(seed: int, size: int = 64) -> Image.Image:
    """Smooth patches of colour, as photos have them."""
    small = np.random.default_rng(seed).integers(0, 255, (6, 6, 3)).astype(np.uint8)
    return Image.fromarray(small).resize((size, size), Image.Resampling.BICUBIC)


def looks(*images: Image.Image) -> Looks:
    return looks_of([torch.from_numpy(np.moveaxis(np.asarray(image), 2, 0).copy())[None] for image in images])


def compressed(image: Image.Image) -> Image.Image:
    file = io.BytesIO()
    image.save(file, "jpeg", quality=25)
    return Image.open(file).convert("RGB")


@pytest.mark.parametrize(
    "changed",
    [
        compressed,
        lambda image: ImageEnhance.Brightness(image).enhance(0.8),
        lambda image: image.resize((40, 40)).resize((64, 64)),
        lambda image: image,
    ],
)
def test_a_photo_that_was_saved_anew_is_found_among_others(changed):
    others = [photo(seed) for seed in range(30)]
    (pair,) = find_pairs(looks(photo(100), changed(photo(7))), looks(*others))
    assert (pair.first, pair.second) == (1, 7)
    assert pair.bits <= BITS


def test_a_mirrored_photo_and_other_photos_are_none():
    mirrored = photo(7).transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    assert find_pairs(looks(mirrored, *map(photo, range(100, 140))), looks(*map(photo, range(60)))) == []


def test_pictures_of_one_thing_each_on_a_plain_ground_are_told_apart_although_their_hashes_are_close():
    def dot(row: int) -> Image.Image:
        pixels = np.full((64, 64, 3), 255, dtype=np.uint8)
        pixels[row : row + 6, 3:7] = 0
        return Image.fromarray(pixels)

    close, far = looks(dot(8)), looks(dot(28))
    assert (close.hashes != far.hashes).sum() <= BITS
    assert find_pairs(close, far) == []


def test_the_hash_is_one_bit_for_each_cell_that_is_brighter_than_its_left_neighbour():
    cells = np.random.default_rng(0).integers(0, 255, (8, 9))
    image = torch.from_numpy(np.kron(cells, np.ones((4, 4), dtype=np.int64)).astype(np.uint8))[None, None]
    (found,) = looks_of([image]).hashes
    np.testing.assert_array_equal(found.reshape(8, 8) > 0, cells[:, 1:] > cells[:, :-1])


def test_the_nearest_of_several_copies_is_named():
    original = photo(3)
    (pair,) = find_pairs(looks(original), looks(compressed(original), original))
    assert pair == (0, 1, 0)
