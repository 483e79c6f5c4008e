"""The built-in augmentations that are functions."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torchvision.transforms import v2

from automl.data.augmentation.augment import BatchAugmentation


def changed(host: Any, images: torch.Tensor, seed: int = 0) -> torch.Tensor:
    function = host.augmentation("trivial").build()
    torch.manual_seed(seed)
    return BatchAugmentation(function=function).transform(images)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_trivial_makes_of_a_few_images_what_torchvision_makes_of_them(
    host: Any, channels: int, dtype: torch.dtype
) -> None:
    images = torch.randint(0, 256, (10, channels, 16, 16), generator=torch.Generator().manual_seed(1)).to(dtype)
    found = changed(host, images)
    torch.manual_seed(0)
    transform = v2.TrivialAugmentWide()
    expected = torch.cat([transform(part) for part in images.to(torch.uint8).split(4)])
    assert found.dtype == dtype
    assert torch.equal(found.to(torch.uint8), expected)


def test_trivial_changes_images_of_a_batch_in_several_ways_that_its_seed_decides(host: Any) -> None:
    images = torch.randint(0, 256, (1, 3, 16, 16), dtype=torch.uint8).expand(40, 3, 16, 16)
    found = changed(host, images)
    assert len(found.flatten(1).unique(dim=0)) > 5
    assert torch.equal(found, changed(host, images))
    assert not torch.equal(found, changed(host, images, seed=1))
