"""Folders of photos as nobody means to have them, and tables far too wide."""

from __future__ import annotations

import io
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

SMALL = ["--space", "smoke", "--architecture", "mlp", "--folds", 2, "--epochs", 1, "--trials", 1, "--quiet"]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for number in range(24):
        path = tmp_path / "photos" / "ab"[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (8, 8), dtype=np.uint8)).save(path)
    return tmp_path / "photos"


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(*more: bytes) -> bytes:
    """A grey image of 8 x 8 pixels with further chunks."""
    pixels = zlib.compress(bytes(9 * 8))
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 8, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(more) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def text_bomb(path: Path) -> None:
    path.write_bytes(png(chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(200 << 20), 1))))


def svg(path: Path) -> None:
    path.write_text('<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>')


STRANGE = {
    "pipe": (os.mkfifo, "x.png: not a regular file"),
    "loop": (lambda path: path.symlink_to(path.parent.parent), "leads back to a folder above it"),
    "device": (lambda path: path.symlink_to("/dev/zero"), "leads out of the data folder"),
    "svg": (svg, "x.png: not an image"),
    "text bomb": (text_bomb, "x.png: "),
}


@pytest.mark.parametrize("name", STRANGE)
def test_strange_photos_are_named_and_nothing_is_waited_for(name, automl, photos):
    make, words = STRANGE[name]
    make(photos / "a" / "x.png")
    answer = automl("search", photos, *SMALL)
    assert answer.code == 2
    assert words in answer.err
    assert "Traceback" not in answer.err
    assert not list(Path.cwd().iterdir())


def test_strange_photos_with_endless_metadata_or_100_000_frames_are_read_as_one_image(automl, photos, tmp_path):
    entries = b"MM\0*\0\0\0\x08" + struct.pack(">H", 65535) + bytes(12 * 65535)
    (photos / "a" / "exif.png").write_bytes(png(chunk(b"eXIf", entries)))
    file = io.BytesIO()
    Image.new("P", (8, 8)).save(file, "GIF")
    gif = file.getvalue()
    begin = 13 + 3 * (2 << (gif[10] & 7))  # behind the header and the palette
    (photos / "b" / "frames.gif").write_bytes(gif[:begin] + gif[begin:-1] * 100_000 + gif[-1:])
    answer = automl("search", photos, "--out", tmp_path / "run", *SMALL)
    assert answer.code == 0, answer.err
    assert "1 images have several frames" in (tmp_path / "run" / "run.yaml").read_text()


def test_strange_photos_20_000_empty_files_are_told_in_a_few_lines(automl, photos):
    for number in range(20_000):
        (photos / "a" / f"empty-{number}.png").touch()
    answer = automl("search", photos, *SMALL)
    assert answer.code == 2
    assert len(answer.err) < 5_000


def test_wide_tables_are_read_in_the_time_that_their_columns_take(automl, tmp_path):
    names = ",".join(f"c{number}" for number in range(5_000))
    rows = [",".join([str(row % 3)] * 5_000) + ",0" for row in range(6)]
    (tmp_path / "wide.csv").write_text("\n".join([f"{names},y", *rows]))
    answer = automl("search", tmp_path / "wide.csv", "--target", "y", *SMALL)
    assert answer.code == 2
    assert "at least two classes" in answer.err  # there is one answer only, as is known when all columns were read
    assert len(answer.err) < 5_000


def test_wide_tables_of_100_000_classes_or_labels_of_a_megabyte_are_refused(automl, tmp_path):
    (tmp_path / "classes.csv").write_text("x,y\n" + "\n".join(f"{n},c{n}" for n in range(100_000)))
    (tmp_path / "long.csv").write_text("x,y\n" + "\n".join(f"{n},{'ab'[n % 2] * (1 << 20)}" for n in range(20)))
    for name, words in (("classes.csv", "class"), ("long.csv", "line 2: field larger than field limit")):
        answer = automl("search", tmp_path / name, "--target", "y", *SMALL)
        assert answer.code == 2
        assert words in answer.err
        assert len(answer.err) < 5_000
        assert "Traceback" not in answer.err
