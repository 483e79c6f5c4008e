"""Flips, shifts, rotation, scale, crops and cutout against torchvision's functions, sample by sample."""

import pytest
import torch
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as reference

from automl.data.augmentation.geometry import cut_out, flip_and_shift, resample, sampling_matrices

BILINEAR = InterpolationMode.BILINEAR
FLIPS = torch.tensor([False, True, False, True, False, True])
OFFSETS = torch.tensor([[0, 0], [1, -2], [-3, 0], [2, 2], [0, 5], [-1, -1]])


@pytest.fixture
def images():
    """Six images 3x10x14, from 0 to 255."""
    return 255 * torch.rand(6, 3, 10, 14, generator=torch.Generator().manual_seed(0))


def resampled(images, black=True, **places):
    return resample(images, sampling_matrices(images.shape, images.device, **places), black=black)


def shifted(image, offset, padding_mode):
    """torchvision's padded crop: what the window shows after it has moved by `offset`."""
    pad = 6
    padded = reference.pad(image, [pad], padding_mode=padding_mode)
    return reference.crop(padded, pad + int(offset[0]), pad + int(offset[1]), *image.shape[1:])


@pytest.mark.parametrize("move", [flip_and_shift, resampled])
def test_flips_are_torchvisions_by_index_and_by_resampling(move, images):
    for name, flip in (("horizontal", reference.horizontal_flip), ("vertical", reference.vertical_flip)):
        changed = move(images, **{name: FLIPS})
        expected = torch.stack([flip(i) if f else i for i, f in zip(images, FLIPS, strict=True)])
        torch.testing.assert_close(changed, expected, rtol=0, atol=1e-3)


@pytest.mark.parametrize(("black", "mode"), [(False, "edge"), (True, "constant")])
@pytest.mark.parametrize("move", [flip_and_shift, resampled])
def test_shifts_are_torchvisions_padded_crops_by_index_and_by_resampling(move, black, mode, images):
    changed = move(images, offset=OFFSETS, black=black)
    expected = torch.stack([shifted(i, o, mode) for i, o in zip(images, OFFSETS, strict=True)])
    torch.testing.assert_close(changed, expected, rtol=0, atol=1e-3)


def test_flips_and_shifts_together_are_the_same_by_index_and_by_resampling(images):
    both = {"horizontal": FLIPS, "vertical": FLIPS.flip(0), "offset": OFFSETS}
    for black in (False, True):
        by_index = flip_and_shift(images, **both, black=black)
        torch.testing.assert_close(resampled(images, black=black, **both), by_index, rtol=0, atol=1e-3)


def test_flips_and_shifts_by_index_keep_bytes_as_bytes(images):
    changed = flip_and_shift(images.byte(), horizontal=FLIPS, offset=OFFSETS, black=True)
    assert changed.dtype is torch.uint8
    assert torch.equal(changed, flip_and_shift(images.byte().float(), horizontal=FLIPS, offset=OFFSETS, black=True))
    assert changed.is_contiguous(memory_format=torch.channels_last)


def test_each_sample_is_rotated_as_torchvision_rotates(images):
    angles = torch.tensor([0.0, 15.0, -30.0, 90.0, 180.0, 3.3])
    changed = resampled(images, angle=angles)
    for image, angle, result in zip(images, angles, changed, strict=True):
        expected = reference.rotate(image, angle.item(), interpolation=BILINEAR)
        torch.testing.assert_close(result, expected, rtol=0, atol=2e-2)


def test_rotation_scale_and_shift_together_are_torchvisions_affine(images):
    angles, factors = torch.tensor([0.0, 15.0, -30.0, 90.0, 10.0, 3.3]), torch.tensor([1.2, 1.0, 0.8, 0.5, 1.5, 1.0])
    changed = resampled(images, angle=angles, factor=factors, offset=OFFSETS)
    for n, image in enumerate(images):
        down, right = (-OFFSETS[n]).tolist()
        expected = reference.affine(
            image,
            angle=-angles[n].item(),  # torchvision turns clockwise here, but counter-clockwise in rotate()
            translate=[right, down],
            scale=factors[n].item(),
            shear=[0.0, 0.0],
            interpolation=BILINEAR,
        )
        torch.testing.assert_close(changed[n], expected, rtol=0, atol=2e-2)


def test_flips_come_before_rotation(images):
    angles = torch.linspace(-40, 40, 6)
    one_by_one = resampled(flip_and_shift(images, horizontal=FLIPS, vertical=FLIPS.flip(0)), angle=angles)
    torch.testing.assert_close(
        resampled(images, horizontal=FLIPS, vertical=FLIPS.flip(0), angle=angles), one_by_one, rtol=0, atol=2e-2
    )


def test_each_crop_is_resized_as_torchvision_resizes(images):
    height, width = images.shape[2:]
    boxes = [(0, 0, 10, 14), (0, 0, 5, 7), (5, 7, 5, 7), (2, 3, 6, 6), (1, 0, 9, 4), (3, 4, 3, 10)]
    sides = torch.tensor([height, width, height, width])
    changed = resampled(images, black=False, box=torch.tensor(boxes) / sides)
    for image, (top, left, high, wide), result in zip(images, boxes, changed, strict=True):
        expected = reference.resized_crop(image, top, left, high, wide, [height, width], interpolation=BILINEAR)
        # Between its outermost pixels and the crop's border torchvision repeats them; we see what lies beyond.
        y, x = -(-height // (2 * high)), -(-width // (2 * wide))
        y, x = slice(y, height - y), slice(x, width - x)
        torch.testing.assert_close(result[:, y, x], expected[:, y, x], rtol=0, atol=1e-2)


def test_each_rectangle_is_erased_as_torchvision_erases(images):
    centres, size = torch.tensor([[5, 7], [0, 0], [9, 13], [0, 13], [4, 4], [9, 0]]), (4, 5)
    changed = cut_out(images, centres, size)
    for image, (row, column), result in zip(images, centres.tolist(), changed, strict=True):
        top, left = max(0, row - 2), max(0, column - 2)
        high, wide = min(row - 2 + 4, 10) - top, min(column - 2 + 5, 14) - left
        expected = reference.erase(image, top, left, high, wide, image.mean((1, 2), keepdim=True))
        torch.testing.assert_close(result, expected)


def test_erased_bytes_stay_bytes(images):
    changed = cut_out(images.byte(), torch.full((6, 2), 5), (3, 3))
    assert changed.dtype is torch.uint8
    expected = images.byte().float().mean((2, 3)).round()
    assert torch.equal(changed[:, :, 5, 5].float(), expected)


def test_nothing_is_erased_by_a_size_of_zero(images):
    assert torch.equal(cut_out(images, torch.full((6, 2), 5), (0, 3)), images)
