"""Augmentation: flips and shifts, drawn for each image, against torch and numpy."""

import numpy as np
import pytest
import torch

from automl.data.augment import POLICIES, Policy, augment


@pytest.fixture
def images() -> torch.Tensor:
    """400 times the same image 3x10x12, channels-last as in training."""
    image = torch.arange(3 * 10 * 12, dtype=torch.int16).reshape(1, 3, 10, 12)
    return image.repeat(400, 1, 1, 1).contiguous(memory_format=torch.channels_last)


def test_none_changes_nothing(images):
    assert augment(images, POLICIES["none"]) is images


def test_about_half_of_the_images_are_flipped_each_exactly_as_torch_flips(images):
    torch.manual_seed(0)
    changed = augment(images, Policy(flip=True))
    flipped = (changed == images.flip(3)).all(dim=(1, 2, 3))
    assert ((changed == images).all(dim=(1, 2, 3)) ^ flipped).all()
    assert 150 < int(flipped.sum()) < 250


def test_every_shift_up_to_the_share_of_the_side_occurs_and_repeats_the_border(images):
    torch.manual_seed(0)
    changed = augment(images, Policy(shift=0.1))
    padded = np.pad(images[0].numpy(), ((0, 0), (1, 1), (1, 1)), mode="edge")
    windows = {padded[:, dy : dy + 10, dx : dx + 12].tobytes() for dy in range(3) for dx in range(3)}
    assert {image.contiguous().numpy().tobytes() for image in changed} == windows


def test_the_seed_decides(images):
    def draw(seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        return augment(images, POLICIES["light"])

    assert torch.equal(draw(1), draw(1))
    assert not torch.equal(draw(1), draw(2))


def test_shape_dtype_and_layout_stay(images):
    changed = augment(images, POLICIES["light"])
    assert (changed.shape, changed.dtype) == (images.shape, images.dtype)
    assert changed.is_contiguous(memory_format=torch.channels_last)
