"""Colours against torchvision's functions, sample by sample."""

import pytest
import torch
from torchvision.transforms.v2 import functional as reference

from automl.data.augmentation.colour import adjust_brightness, adjust_contrast, adjust_hue, adjust_saturation

ADJUST = {
    adjust_brightness: reference.adjust_brightness,
    adjust_contrast: reference.adjust_contrast,
    adjust_saturation: reference.adjust_saturation,
}


@pytest.fixture
def images():
    """Seven images 3x9x11 from 0 to 255; the last two are grey and black."""
    images = 255 * torch.rand(7, 3, 9, 11, generator=torch.Generator().manual_seed(0))
    images[5] = images[5, :1]
    images[6] = 0
    return images


@pytest.mark.parametrize("adjust", ADJUST)
def test_each_sample_is_adjusted_by_its_own_factor_as_torchvision_does(adjust, images):
    factors = torch.linspace(0.0, 2.0, 7)
    changed = adjust(images, factors)
    for image, factor, result in zip(images, factors, changed, strict=True):
        expected = 255 * ADJUST[adjust](image / 255, factor.item())
        torch.testing.assert_close(result, expected, rtol=0, atol=1e-3)


def test_each_hue_is_turned_as_torchvision_does(images):
    turns = torch.linspace(-0.5, 0.5, 7)
    changed = adjust_hue(images, turns)
    for image, turn, result in zip(images, turns, changed, strict=True):
        expected = 255 * reference.adjust_hue(image / 255, turn.item())
        torch.testing.assert_close(result, expected, rtol=0, atol=2e-3)


@pytest.mark.parametrize("adjust", [adjust_brightness, adjust_contrast])
def test_brightness_and_contrast_of_one_channel_are_torchvisions(adjust, images):
    grey, factors = images[:, :1], torch.linspace(0.5, 1.5, 7)
    for image, factor, result in zip(grey, factors, adjust(grey, factors), strict=True):
        torch.testing.assert_close(result, 255 * ADJUST[adjust](image / 255, factor.item()), rtol=0, atol=1e-3)


@pytest.mark.parametrize("channels", [1, 2, 5])
def test_saturation_and_hue_leave_images_without_three_channels_alone(channels):
    images, extreme = 255 * torch.rand(4, channels, 5, 5), torch.full((4,), 0.5)
    assert adjust_saturation(images, extreme) is images
    assert adjust_hue(images, extreme) is images
    assert adjust_contrast(images, extreme).shape == images.shape
