"""Photos inside the page: small, as data of the page itself."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from automl.results.report.context import Context

LARGE = 48  # pixels of a side, above which a JPEG is smaller than a PNG by far, and its errors are not seen
QUALITY = 85


class Thumbnail(NamedTuple):
    """A small picture as an address with its data, its label, and what is said of it."""

    picture: str
    label: str
    title: str


def embed(pixels: NDArray[np.uint8]) -> str:
    """An image [c, h, w] with one or three channels as an address that holds it."""
    from PIL import Image

    kind = "jpeg" if max(pixels.shape[1:]) > LARGE else "png"
    options: dict[str, Any] = {"optimize": True} | ({"quality": QUALITY} if kind == "jpeg" else {})
    buffer = io.BytesIO()
    image = Image.fromarray(pixels[0] if pixels.shape[0] == 1 else np.moveaxis(pixels, 0, 2))
    image.save(buffer, kind, **options)
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"


def embed_sample(context: Context, sample: int) -> str:
    """The picture of a sample; "" where the run keeps none."""
    pixels = context.pictures.by_sample.get(sample)
    return "" if pixels is None else embed(pixels)


def neighbours_of(context: Context) -> Mapping[int, Sequence[Thumbnail]]:
    """The training photos that are near to mistakes, by the mistake's number, as far as there are pictures of them."""
    known = context.photos.neighbours
    if known is None:
        return {}
    found: dict[int, Sequence[Thumbnail]] = {}
    for sample, near in known.of.items():
        shown = [
            Thumbnail(picture, each.label, f"{each.name}: {each.label}, cosine {each.similarity:.2f}")
            for each in near
            if (picture := embed_sample(context, each.sample))
        ]
        if shown:
            found[sample] = shown
    return found
