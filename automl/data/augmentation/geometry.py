"""Where the pixels of augmented images come from: flips and shifts by index, anything else in one bilinear resampling.

All functions take one value per sample and treat the whole batch at once.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def flip_and_shift(
    images: Tensor,
    *,
    horizontal: Tensor | None = None,
    vertical: Tensor | None = None,
    offset: Tensor | None = None,
    black: bool = False,
) -> Tensor:
    """Images [b, c, h, w] of any dtype, flipped where `horizontal` or `vertical` [b] say so, then shifted.

    `offset` [b, 2] holds whole rows and columns: the new pixel (y, x) is the old one at (y + rows, x + columns).
    Outside the image the border repeats; with `black` it is 0. The result has the channels-last layout.
    """
    batch, _, height, width = images.shape
    rows = torch.arange(height, device=images.device).expand(batch, height)
    columns = torch.arange(width, device=images.device).expand(batch, width)
    outside: Tensor | None = None
    if offset is not None:
        rows, columns = rows + offset[:, :1], columns + offset[:, 1:]
        if black:
            outside = ((rows < 0) | (rows >= height))[:, :, None] | ((columns < 0) | (columns >= width))[:, None, :]
        rows, columns = rows.clamp(0, height - 1), columns.clamp(0, width - 1)
    if vertical is not None:
        rows = torch.where(vertical[:, None], height - 1 - rows, rows)
    if horizontal is not None:
        columns = torch.where(horizontal[:, None], width - 1 - columns, columns)
    sample = torch.arange(batch, device=images.device)[:, None, None]
    changed = images.permute(0, 2, 3, 1)[sample, rows[:, :, None], columns[:, None, :]]
    if outside is not None:
        changed.masked_fill_(outside[..., None], 0)
    return changed.permute(0, 3, 1, 2)


def sampling_matrices(
    shape: torch.Size,
    device: torch.device,
    *,
    box: Tensor | None = None,
    horizontal: Tensor | None = None,
    vertical: Tensor | None = None,
    angle: Tensor | None = None,
    factor: Tensor | None = None,
    offset: Tensor | None = None,
) -> Tensor:
    """[b, 2, 3]: from the place of a new pixel to that of the old one, both from -1 to 1 as `affine_grid` has it.

    In this order: the part `box` [b, 4] (top, left, height, width as shares of the sides) is resized to the whole;
    flipped; turned by `angle` [b] degrees counter-clockwise and enlarged by `factor` [b] about the centre; shifted as
    in `flip_and_shift`.
    """
    batch, _, height, width = shape
    one = torch.ones(batch, device=device)
    angle = torch.deg2rad(angle) if angle is not None else 0 * one
    shrink = one if factor is None else 1 / factor
    cos, sin = angle.cos() * shrink, angle.sin() * shrink
    turn = torch.stack((cos, -sin * height / width, sin * width / height, cos), 1).view(batch, 2, 2)
    if offset is None:
        move = torch.zeros(batch, 2, 1, device=device)
    else:
        rows, columns = offset.unbind(1)
        move = torch.stack((2 * columns / width, 2 * rows / height), 1)[:, :, None]
    top, left, high, wide = (0 * one, 0 * one, one, one) if box is None else box.unbind(1)
    across = wide if horizontal is None else torch.where(horizontal, -wide, wide)
    down = high if vertical is None else torch.where(vertical, -high, high)
    linear = torch.stack((across, down), 1)[:, :, None] * turn
    centre = torch.stack((2 * left + wide - 1, 2 * top + high - 1), 1)[:, :, None]
    return torch.cat((linear, linear @ move + centre), 2)


def resample(images: Tensor, matrices: Tensor, *, black: bool = False) -> Tensor:
    """Float images [b, c, h, w], bilinear at the places that `matrices` [b, 2, 3] give; outside as `flip_and_shift`."""
    grid = F.affine_grid(matrices, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, padding_mode="zeros" if black else "border", align_corners=False)


def cut_out(images: Tensor, centre: Tensor, size: tuple[int, int]) -> Tensor:
    """Images of any dtype with a rectangle of `size` (rows, columns) around `centre` [b, 2] in the image's mean colour.

    The rectangle may reach over the border. Of an even size the larger half lies before the centre.
    """
    inside = []
    for dimension, (side, length) in enumerate(zip(images.shape[2:], size, strict=True)):
        first = centre[:, dimension, None] - length // 2
        place = torch.arange(side, device=images.device)
        inside.append((place >= first) & (place < first + length))
    mean = images.mean((2, 3), keepdim=True, dtype=torch.float32)
    if not images.is_floating_point():
        mean = mean.round()
    return torch.where(inside[0][:, None, :, None] & inside[1][:, None, None, :], mean.to(images.dtype), images)
