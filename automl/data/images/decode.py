"""Turns image files into uint8 pixels: one channel (greyscale) or three (RGB), never clipped silently.

| file | becomes |
|---|---|
| 1 bit, 8-bit grey | grey as it is |
| 16-bit grey | grey, scaled by 255/65535 (by the real range for 9 to 15 bits in a TIFF) |
| palette, CMYK, YCbCr, Lab | RGB (a grey palette: grey) |
| transparency of any kind | flattened onto white |
| an EXIF orientation | turned upright |
| another size than the wanted one | resized to cover it, antialiased, and its centre cut out |
| 32-bit float or integer | refused: the range is unknown |
| more than 50 megapixels | refused from the header, before anything is decoded |
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from automl.data.mapped import release
from automl.errors import BadImage, DataError
from automl.open_file import open_file

MAX_PIXELS = 50_000_000
"""Pixels of one image; 50 million RGB pixels are 150 MB decoded."""

_BATCH = 256  # files per joblib task: small enough to share the work out, large enough to cost nothing
_FORMATS = ("PNG", "JPEG", "MPO", "BMP", "GIF", "TIFF", "WEBP", "PPM", "JPEG2000", "AVIF")  # no EPS: it runs a program
_FRAMED = ("GIF", "TIFF", "WEBP", "PNG", "AVIF")
_SIDEWAYS = (5, 6, 7, 8)  # EXIF orientations
_DRAFT = 1024  # a JPEG is decoded at 1/2, 1/4 or 1/8 of its size where this side is left, and twice the wanted one
_GREY = ("1", "L", "LA", "La")
_SHOWN = 20

Pixels = NDArray[np.uint8]
Size = tuple[int, int]
"""(height, width)"""


class Decoded(NamedTuple):
    """What decoding a list of files gave.

    pixels: uint8 [n, c, h, w], zeros where a file is bad. bad: index -> reason. sizes: (h, w) of each file that was
    resized, by index. colour: whether any file was in colour. framed: files of which only the first frame was used.
    """

    pixels: Pixels
    bad: dict[int, str]
    sizes: dict[int, Size]
    colour: bool
    framed: list[int]


def decode_files(paths: Sequence[str | Path], channels: int, size: Size) -> Pixels:
    """Decodes `paths` to uint8 [n, channels, h, w], as predict needs them; `size` is (h, w).

    Images of another size are resized as `read` does, and turned grey where the model takes one channel. Raises
    `DataError` that lists the files that are no usable images.
    """
    if channels not in (1, 3):
        raise DataError(f"image files have 1 or 3 channels, but the model takes {channels}; give an .npz")
    decoded = decode_all([os.fspath(path) for path in paths], channels, size)
    if decoded.bad:
        raise bad_files({os.fspath(paths[index]): reason for index, reason in decoded.bad.items()}, len(paths))
    return decoded.pixels


def bad_files(reasons: dict[str, str], total: int) -> DataError:
    """One error that lists all files that cannot be used (the first 20, and how many)."""
    lines = [f"  {path}: {reason}" for path, reason in list(reasons.items())[:_SHOWN]]
    more = [f"  ... and {len(reasons) - _SHOWN} more"] if len(reasons) > _SHOWN else []
    text = "\n".join([f"{len(reasons)} of {total} files are not usable images:", *lines, *more])
    return DataError(printable(text))


def printable(text: str) -> str:
    r"""`text` with what is not UTF-8 in a file's name written as \udcff, so that it can be printed and stored."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def decode_all(
    paths: Sequence[str], channels: int, size: Size, *, small: bool = False, out: Pixels | None = None
) -> Decoded:
    """Decodes all `paths` into one array, each at `size` (h, w); see `Decoded`. In parallel, unless they are `small`:
    then all is overhead, and threads only fight for the GIL (a 32x32 JPEG takes 265 us in one, 337 us with two). `out`
    [n, h, w, c], of zeros, takes the pixels, whose channels come last in memory.
    """
    import joblib

    pixels = np.zeros((len(paths), *size, channels), dtype=np.uint8) if out is None else out
    result = Decoded(pixels.transpose(0, 3, 1, 2), {}, {}, False, [])

    def batch(start: int) -> bool:
        """Decodes `_BATCH` images from `start` on; whether one of them has colours."""
        colour = False
        for index in range(start, min(start + _BATCH, len(paths))):
            try:
                image, found, framed = read(paths[index], size)
            except BadImage as problem:
                result.bad[index] = str(problem)
                continue
            colour |= image.mode == "RGB"
            if framed:
                result.framed.append(index)
            if found != size:
                result.sizes[index] = found
            pixels[index] = _channels_first(image, channels).transpose(1, 2, 0)
        release(pixels)
        return colour

    # Threads: PIL releases the GIL while it decodes, and the array is shared without copying.
    workers = joblib.Parallel(n_jobs=1 if small else joblib.cpu_count(), backend="threading")
    colour = any(list(workers(joblib.delayed(batch)(start) for start in range(0, len(paths), _BATCH))))
    return result._replace(
        colour=colour,
        bad=dict(sorted(result.bad.items())),
        sizes=dict(sorted(result.sizes.items())),
        framed=sorted(result.framed),
    )


def read(path: str, size: Size | None = None) -> tuple[Image.Image, Size, bool]:
    """One file as an upright PIL image of mode L or RGB, at `size`; its own size; whether it has more frames.

    To come to `size` the image is resized so that it just covers it, antialiased, and the centre is kept. Raises
    `BadImage`.
    """
    with _opened(path) as image:
        framed = image.format in _FRAMED and getattr(image, "n_frames", 1) > 1
        found = _upright(image)
        if size is not None:
            side = max(_DRAFT, 2 * max(size))
            image.draft(None, (side, side))
        kind = image.format
        image.load()
        ImageOps.exif_transpose(image, in_place=True)
        return _at(_plain(image, kind), size), found, framed


def _at(plain: Image.Image, size: Size | None) -> Image.Image:
    if size is None or plain.size == (size[1], size[0]):
        return plain
    return ImageOps.fit(plain, (size[1], size[0]), Image.Resampling.BILINEAR)  # antialiased when it shrinks


def decode_images(images: Sequence[str | Path | Image.Image], channels: int, size: Size) -> Pixels:
    """As `decode_files`, of images that PIL has opened as well: these are called by their number in errors."""
    if not any(isinstance(image, Image.Image) for image in images):
        return decode_files([path for path in images if not isinstance(path, Image.Image)], channels, size)
    pixels = np.zeros((len(images), channels, *size), dtype=np.uint8)
    for number, image in enumerate(images):
        if not isinstance(image, Image.Image):
            pixels[number] = decode_files([image], channels, size)[0]
            continue
        try:
            upright = image if image.getexif().get(0x0112, 1) == 1 else ImageOps.exif_transpose(image)
            pixels[number] = _channels_first(_at(_plain(upright, image.format), size), channels)
        except (BadImage, OSError) as problem:
            raise DataError(f"image {number}: {problem}") from None
    return pixels


def read_header(path: str) -> tuple[Size, str]:
    """The size of an image file as a viewer shows it, and PIL's mode; nothing is decoded. Raises `BadImage`."""
    with _opened(path) as image:
        return _upright(image), image.mode


def _upright(image: Image.Image) -> Size:
    sideways = image.getexif().get(0x0112) in _SIDEWAYS
    return (image.width, image.height) if sideways else (image.height, image.width)


@contextmanager
def _opened(path: str) -> Iterator[Image.Image]:
    """An image file whose header was read. What goes wrong with it, inside as well, is raised as `BadImage`."""
    try:
        with open_file(path) as file, Image.open(file, formats=_formats()) as image:
            if image.width * image.height > MAX_PIXELS:
                raise BadImage(_too_large(f"{image.width * image.height / 1e6:.0f} megapixels"))
            yield image
    except BadImage:
        raise
    except Image.DecompressionBombError as error:
        raise BadImage(_too_large("over 178 megapixels")) from error
    except UnidentifiedImageError as error:
        empty = os.path.getsize(path) == 0
        raise BadImage("the file is empty" if empty else "not an image of a known format") from error
    # A hostile or damaged file makes PIL's parsers raise almost anything; whatever it is, this file cannot be used.
    except Exception as error:
        raise BadImage(str(error).partition("\n")[0][:200] or type(error).__name__) from error


def _too_large(what: str) -> str:
    return f"{what}, more than the {MAX_PIXELS // 1_000_000} allowed; make it smaller"


@cache
def _formats() -> tuple[str, ...]:
    Image.init()
    return tuple(name for name in _FORMATS if name in Image.OPEN)


def _plain(image: Image.Image, kind: str | None) -> Image.Image:
    """`image` in mode L where it is grey, else RGB. Raises `BadImage` for pixels of an unknown range."""
    mode = image.mode
    if mode in ("L", "RGB") and "transparency" not in image.info:
        return image
    if mode == "F":
        raise BadImage("32-bit float pixels have no fixed range; save it with 8 or 16 bits")
    if mode.startswith("I"):
        return _from_sixteen_bits(image, kind)
    palette = image.getpalette("RGB") if mode in ("P", "PA") else None
    grey = mode in _GREY or (palette is not None and palette[0::3] == palette[1::3] == palette[2::3])
    if image.has_transparency_data:
        background = Image.new("RGBA", image.size, "white")
        background.alpha_composite(image.convert("RGBA"))
        image = background
    return image.convert("L" if grey else "RGB")


def _from_sixteen_bits(image: Image.Image, kind: str | None) -> Image.Image:
    if image.mode == "I" and kind not in ("PNG", "PPM"):
        raise BadImage("32-bit integer pixels have no fixed range; save it with 8 or 16 bits")
    values = np.asarray(image).astype(np.int64)
    tags: Any = getattr(image, "tag_v2", {})
    top = 2 ** int(tags.get(258, (16,))[0]) - 1  # BitsPerSample
    if tags.get(262) == 0:  # WhiteIsZero, which PIL undoes for 8 bits only
        values = top - values
    if "transparency" in image.info:
        values[values == image.info["transparency"]] = top
    if values.size and (values.min() < 0 or values.max() > top):
        raise BadImage(f"pixels outside 0..{top}; save it with 8 or 16 bits")
    return Image.fromarray(((values * 255 + top // 2) // top).astype(np.uint8))


def _channels_first(image: Image.Image, channels: int) -> Pixels:
    """The pixels [channels, h, w] of an image of mode L or RGB, turned grey or coloured where needed."""
    mode = "L" if channels == 1 else "RGB"
    plain = np.asarray(image if image.mode == mode else image.convert(mode))
    return plain[None] if channels == 1 else plain.transpose(2, 0, 1)
