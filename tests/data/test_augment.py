"""Augmentation: what is drawn for each image, what it does together, and mixup."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from automl.data.augmentation.augment import (
    BatchAugmentation,
    apply,
    augment,
    cut_mix,
    draw,
    draw_cutmix,
    draw_mixup,
    mix_up,
)
from automl.data.augmentation.policy import Policy
from automl.errors import TrialFailed

EVERYTHING = Policy(
    horizontal_flip=0.5,
    vertical_flip=0.5,
    rotation=30,
    shift=0.1,
    padded_crop=0.1,
    scale=0.2,
    crop_area=0.3,
    crop_ratio=2,
    brightness=0.3,
    contrast=0.3,
    saturation=0.3,
    hue=0.1,
    noise=0.05,
    cutout=0.3,
)
LIGHT = Policy(horizontal_flip=0.5, shift=0.1)
CPU = torch.device("cpu")


@pytest.fixture
def images() -> torch.Tensor:
    """400 times the same image 3x10x12, channels-last as in training."""
    image = (torch.arange(3 * 10 * 12) % 256).to(torch.uint8).reshape(1, 3, 10, 12)
    return image.repeat(400, 1, 1, 1).contiguous(memory_format=torch.channels_last)


def drawn(policy, shape=(400, 3, 10, 12), seed=0):
    torch.manual_seed(seed)
    return draw(policy, torch.Size(shape), CPU)


def test_nothing_is_drawn_and_nothing_changes_without_parts(images):
    assert drawn(Policy()) == {}
    assert augment(images, Policy()) is images
    y = torch.arange(400)
    assert all(a is b for a, b in zip(BatchAugmentation()(images, y, 400), (images, y), strict=True))


def test_about_half_of_the_images_are_flipped_each_exactly_as_torch_flips(images):
    torch.manual_seed(0)
    changed = augment(images, Policy(horizontal_flip=0.5))
    flipped = (changed == images.flip(3)).all(dim=(1, 2, 3))
    assert ((changed == images).all(dim=(1, 2, 3)) ^ flipped).all()
    assert 150 < int(flipped.sum()) < 250


def test_a_probability_of_one_flips_all(images):
    assert torch.equal(augment(images, Policy(vertical_flip=1.0)), images.flip(2))


def test_every_shift_up_to_the_share_of_the_side_occurs_and_repeats_the_border(images):
    torch.manual_seed(0)
    changed = augment(images, Policy(shift=0.1))
    padded = np.pad(images[0].numpy(), ((0, 0), (1, 1), (1, 1)), mode="edge")
    windows = {padded[:, dy : dy + 10, dx : dx + 12].tobytes() for dy in range(3) for dx in range(3)}
    assert {image.contiguous().numpy().tobytes() for image in changed} == windows


def test_a_padded_crop_is_black_outside(images):
    torch.manual_seed(0)
    changed = augment(images, Policy(padded_crop=0.1))
    padded = np.pad(images[0].numpy(), ((0, 0), (1, 1), (1, 1)))
    windows = {padded[:, dy : dy + 10, dx : dx + 12].tobytes() for dy in range(3) for dx in range(3)}
    assert {image.contiguous().numpy().tobytes() for image in changed} == windows


def test_what_is_drawn_fills_the_range_of_its_part():
    draws = drawn(EVERYTHING, (4000, 1, 10, 12))
    ranges = {"angle": (-30, 30), "factor": (0.8, 1.2), "hue": (-0.1, 0.1)} | dict.fromkeys(
        ("brightness", "contrast", "saturation"), (0.7, 1.3)
    )
    for name, (low, high) in ranges.items():
        assert low <= draws[name].min() < low + 0.01 * (high - low), name
        assert high >= draws[name].max() > high - 0.01 * (high - low), name
    assert draws["offset"].unique().tolist() == [-2, -1, 0, 1, 2]  # a shift and a padded crop by one pixel each
    assert draws["cutout"].amax(0).tolist() == [9, 11]
    assert draws["noise"].std() == pytest.approx(1, abs=0.02)


def test_crops_keep_to_the_image_the_least_area_and_the_ratio():
    top, left, height, width = drawn(Policy(crop_area=0.3, crop_ratio=1.5), (4000, 3, 32, 32))["box"].unbind(1)
    assert min(top.min(), left.min()) >= 0
    assert max((top + height).max(), (left + width).max()) <= 1 + 1e-6
    whole = (height < 1) & (width < 1)  # else narrowed to fit
    area, ratio = (height * width)[whole], (width / height)[whole]
    assert 0.3 - 1e-6 <= area.min() < 0.31
    assert 1 / 1.5 - 1e-6 <= ratio.min() < 0.68
    assert 1.47 < ratio.max() <= 1.5 + 1e-6


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_all_parts_together_work_for_any_channels_and_stay_within_the_range_of_bytes(channels):
    torch.manual_seed(0)
    images = torch.randint(0, 256, (50, channels, 9, 13), dtype=torch.uint8)
    changed = augment(images, EVERYTHING)
    assert changed.shape == images.shape
    assert changed.dtype is torch.float32
    assert 0 <= changed.min() <= changed.max() <= 255
    assert changed.is_contiguous(memory_format=torch.channels_last)
    assert (changed.var((1, 2, 3)) > 0).all()


@pytest.mark.parametrize("policy", [EVERYTHING, LIGHT, replace(LIGHT, cutout=0.3)])
def test_samples_are_independent_of_the_others_in_their_batch(policy):
    images = torch.randint(0, 256, (12, 3, 8, 8), dtype=torch.uint8)
    parts = [drawn(policy, (6, 3, 8, 8), seed) for seed in (1, 2)]
    stacked = apply(images, policy, {name: torch.cat([part[name] for part in parts]) for name in parts[0]})
    apart = torch.cat([apply(half, policy, part) for half, part in zip(images.split(6), parts, strict=True)])
    torch.testing.assert_close(stacked, apart)


def test_noise_has_its_deviation_as_a_share_of_255():
    torch.manual_seed(0)
    noise = augment(torch.full((20, 3, 16, 16), 128, dtype=torch.uint8), Policy(noise=0.1)) - 128
    assert noise.std() == pytest.approx(25.5, rel=0.03)
    assert noise.mean() == pytest.approx(0, abs=0.5)


def test_the_seed_decides(images):
    def result(seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        return augment(images, EVERYTHING)

    assert torch.equal(result(1), result(1))
    assert not torch.equal(result(1), result(2))


@pytest.mark.parametrize("policy", [LIGHT, Policy(vertical_flip=0.5, padded_crop=0.2, cutout=0.5)])
def test_flips_shifts_and_cutout_keep_shape_dtype_and_layout(images, policy):
    changed = augment(images, policy)
    assert (changed.shape, changed.dtype) == (images.shape, images.dtype)
    assert changed.is_contiguous(memory_format=torch.channels_last)


def test_mixup_mixes_images_and_targets_in_the_same_proportion():
    torch.manual_seed(0)
    images = torch.eye(8).view(8, 1, 8, 1) * 100  # image n is 100 in row n: the mixture can be read from it
    mixed, targets = mix_up(images, torch.arange(8), draw_mixup(8, 1.0, images.device), 8)
    torch.testing.assert_close(mixed.view(8, 8) / 100, targets)
    torch.testing.assert_close(targets.sum(1), torch.ones(8))
    own = targets.diagonal()
    assert (own >= 0.5).all()
    assert len(own.unique()) == 8
    torch.testing.assert_close(own + targets[torch.arange(8), torch.arange(8) - 1], torch.ones(8))


def test_the_cross_entropy_of_mixed_targets_is_the_mixture_of_the_two_losses():
    torch.manual_seed(0)
    y, output = torch.tensor([2, 0, 1, 1, 3]), torch.randn(5, 4)
    torch.manual_seed(1)
    _, mixed = mix_up(torch.zeros(5, 1, 2, 2), y, draw_mixup(5, 0.4, y.device), 4)
    torch.manual_seed(1)
    share = torch.distributions.Beta(torch.full((5,), 0.4), 0.4).sample()
    share = torch.maximum(share, 1 - share)
    one, other = (F.cross_entropy(output, labels, reduction="none") for labels in (y, y.roll(1)))
    torch.testing.assert_close(F.cross_entropy(output, mixed), (share * one + (1 - share) * other).mean())


def test_targets_of_a_regression_are_mixed_as_numbers():
    torch.manual_seed(0)
    y = torch.tensor([[0.0], [10.0], [20.0], [30.0]])
    images = y.view(4, 1, 1, 1).expand(4, 1, 3, 3)
    mixed, targets = mix_up(images, y, draw_mixup(len(images), 1.0, images.device), None)
    torch.testing.assert_close(mixed[:, 0, 0, 0], targets[:, 0])
    assert not torch.equal(targets, y)


@pytest.mark.parametrize("alpha", [0.001, 0.2, 10.0])
def test_proportions_are_finite_for_any_alpha(alpha):
    targets = mix_up(
        torch.zeros(500, 1, 2, 2), torch.zeros(500, dtype=torch.int64), draw_mixup(500, alpha, torch.device("cpu")), 3
    )[1]
    torch.testing.assert_close(targets[:, 0], torch.ones(500))


def test_a_single_sample_is_mixed_with_itself():
    images = torch.rand(1, 3, 4, 4)
    torch.testing.assert_close(mix_up(images, torch.tensor([1]), draw_mixup(1, 1.0, images.device), 2)[0], images)


def test_cutmix_mixes_targets_by_the_areas_of_the_rectangles_that_it_puts_in():
    torch.manual_seed(0)
    images = torch.arange(6.0).view(6, 1, 1, 1).expand(6, 1, 20, 30)
    boxes = draw_cutmix(images.shape, 1.0, images.device)
    mixed, targets = cut_mix(images, torch.arange(6), boxes, 6)
    for sample in range(6):
        values, other = mixed[sample, 0], (sample - 1) % 6
        assert set(values.unique().tolist()) <= {float(sample), float(other)}
        torch.testing.assert_close(targets[sample, other], (values == other).float().mean())
        rows, columns = torch.nonzero(values == other).unbind(1)
        if len(rows):  # a rectangle, and nothing else
            assert len(rows) == (rows.max() - rows.min() + 1) * (columns.max() - columns.min() + 1)
    torch.testing.assert_close(targets.sum(1), torch.ones(6))


def test_rectangles_of_cutmix_have_the_drawn_areas_where_they_do_not_leave_the_image():
    torch.manual_seed(0)
    boxes = draw_cutmix(torch.Size([4000, 1, 200, 100]), 1.0, torch.device("cpu"))
    top, left, bottom, right = boxes.unbind(1)
    inside = (top > 0) & (left > 0) & (bottom < 200) & (right < 100)
    torch.testing.assert_close((bottom - top)[inside], 2 * (right - left)[inside], atol=3, rtol=0)
    sides = (bottom - top)[inside] / 200  # of U(0, 1) the root, of those that fit: (1 - s)^2 as often
    s = torch.linspace(0, 1, 10_001)
    density = 2 * s * (1 - s) ** 2
    assert float(sides.mean()) == pytest.approx(float((s * density).sum() / density.sum()), abs=0.02)


def test_an_image_may_be_mixed_in_both_ways():
    torch.manual_seed(0)
    images, y = torch.rand(8, 3, 6, 6), torch.arange(8) % 3
    mixed, targets = BatchAugmentation(Policy(mixup=0.4, cutmix=1.0))(images, y, 3)
    assert mixed.shape == images.shape
    torch.testing.assert_close(targets.sum(1), torch.ones(8))


def test_a_plugins_function_comes_before_the_policy(images):
    both = BatchAugmentation(Policy(horizontal_flip=1.0), lambda x: x // 2)
    changed, _ = both(images, torch.zeros(400, dtype=torch.int64), 2)
    assert torch.equal(changed, (images // 2).flip(3))


@pytest.mark.parametrize(("function", "found"), [(lambda x: x[:, :1], r"\[400, 1, 10, 12\]"), (list, "list")])
def test_a_function_that_does_not_keep_the_shape_is_named(images, function, found):
    wrong = BatchAugmentation(function=function, source="plugin 'crop' (crop.py:3)")
    with pytest.raises(TrialFailed, match=rf"plugin 'crop' \(crop.py:3\): the augmentation made {found} of \[400, 3"):
        wrong(images, torch.zeros(400), 2)
