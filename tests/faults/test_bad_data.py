"""Data that would be learnt wrongly in silence: pixels of many kinds, bombs, copies and groups across the folds."""

from __future__ import annotations

import os
import struct
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

SMALL = ["--space", "smoke", "--architecture", "mlp", "--trials", 1, "--folds", 2, "--epochs", 1, "--threads", 1]


@pytest.fixture
def search(automl, tmp_path):
    """Searches a little; returns what it printed, the run's folder and its `run.yaml`."""

    def go(data: Path, *more: object):
        run = tmp_path / f"run-{len(list(tmp_path.glob('run-*')))}"
        answer = automl("search", data, "--out", run, *SMALL, *more)
        assert answer.code == 0, answer.err
        return answer, run, yaml.safe_load((run / "run.yaml").read_text())

    return go


@pytest.fixture
def refused(automl, tmp_path):
    """The message with which a search was refused."""

    def go(data: Path, *more: object) -> str:
        answer = automl("search", data, "--out", tmp_path / "refused", *SMALL, *more)
        assert answer.code == 2, answer.err or answer.out
        assert "Traceback" not in answer.err
        assert not (tmp_path / "refused").exists()
        return answer.err

    return go


def folder_of(folder: Path, **images: list[Image.Image]) -> Path:
    for name, pictures in images.items():
        (folder / name).mkdir(parents=True)
        for number, picture in enumerate(pictures):
            picture.save(folder / name / f"{number:02}.png", exif=picture.getexif())
    return folder


def noise(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def plain_images(count: int, seed: int = 0) -> list[Image.Image]:
    return [Image.fromarray(noise(seed + number, 6, 8, 3)) for number in range(count)]


def same_in_other_modes() -> list[tuple[str, Image.Image, np.ndarray]]:
    """(mode, an image in it, the RGB pixels that it shows)."""
    grey, rgb = noise(1, 6, 8), noise(2, 6, 8, 3)
    shown = (noise(3, 6, 8) > 127).astype(np.uint8) * 255  # an alpha channel
    greys = np.repeat(grey[..., None], 3, axis=2)
    white = np.where(shown[..., None] == 255, rgb, 255).astype(np.uint8)
    palette = Image.fromarray(grey % 16).convert("P")
    palette.putpalette(rgb.reshape(-1)[:48].tolist())
    turned = Image.fromarray(np.rot90(rgb).copy())
    turned.getexif()[0x0112] = 6  # to be turned by 90 degrees clockwise
    ink = noise(5, 6, 8, 4) & np.uint8([255, 255, 255, 0])
    return [
        ("L", Image.fromarray(grey), greys),
        ("LA", Image.fromarray(np.stack([grey, shown], 2)), np.where(shown[..., None] == 255, greys, 255)),
        ("P", palette, rgb.reshape(-1)[:48].reshape(16, 3)[grey % 16]),
        ("RGBA", Image.fromarray(np.concatenate([rgb, shown[..., None]], 2)), white),
        ("16-bit", Image.fromarray(grey.astype(np.uint16) * 257), greys),
        ("EXIF", turned, rgb),
        ("CMYK", Image.fromarray(ink, mode="CMYK"), 255 - ink[..., :3]),
    ]


def test_mixed_modes_are_the_pixels_that_a_viewer_shows(search, tmp_path):
    # The run notes a fingerprint of all pixels: it must be that of the same pictures saved as plain RGB.
    kinds = same_in_other_modes()
    filler = plain_images(20)
    mixed = folder_of(tmp_path / "mixed", a=filler[:10], b=filler[10:])
    plain = folder_of(tmp_path / "plain", a=filler[:10], b=filler[10:])
    for mode, image, pixels in kinds:
        suffix = "tif" if mode == "CMYK" else "png"
        image.save(mixed / "b" / f"mode-{mode}.{suffix}", exif=image.getexif())
        Image.fromarray(pixels.astype(np.uint8)).save(plain / "b" / f"mode-{mode}.png")
    _, _, record = search(mixed)
    assert record["data"]["input_shape"] == [3, 6, 8]
    assert record["data"]["fingerprint"] == search(plain)[2]["data"]["fingerprint"]


@pytest.mark.parametrize(
    ("pixels", "name"), [(np.float32(0.5), "float.tif"), (np.int32(70_000), "int.tif"), (np.uint32(70_000), "uint.tif")]
)
def test_mixed_modes_of_an_unknown_range_are_refused_and_never_clipped(refused, tmp_path, pixels, name):
    folder = folder_of(tmp_path / "data", a=plain_images(8), b=plain_images(8, seed=8))
    Image.fromarray(np.full((6, 8), pixels)).save(folder / "b" / name)
    message = refused(folder)
    assert f"b/{name}" in message
    assert "--skip-bad" in message


def write_bomb(path: Path, side: int) -> Path:
    """A valid grey PNG of `side` x `side` black pixels: small on the disk, huge when decoded."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    packer = zlib.compressobj(1)
    row = bytes(side + 1)
    body = b"".join(packer.compress(row) for _ in range(side)) + packer.flush()
    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b""))
    return path


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the unit of the peak memory is another one elsewhere")
def test_image_bomb_of_400_megapixels_is_refused_in_bounded_memory(start, tmp_path):
    def peak_of(folder: Path, *words: str) -> int:
        """Peak memory in bytes of a search that is refused for a bad image."""
        process = start("search", folder, "--out", tmp_path / "run", *SMALL)
        err = process.stderr.read()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 2, err
        assert [word for word in words if word not in err] == []
        return used.ru_maxrss * 1024

    folder = folder_of(tmp_path / "data", a=plain_images(8), b=plain_images(8, seed=8))
    (folder / "a" / "bad.png").write_bytes(b"not an image")
    usual = peak_of(folder, "a/bad.png")
    assert write_bomb(folder / "a" / "bad.png", 20_000).stat().st_size < 8e6
    bomb = peak_of(folder, "a/bad.png", "megapixels, more than the 50 allowed")
    assert bomb < usual + 60e6  # decoded it would be 400e6


def test_duplicate_leak_copies_lie_in_one_fold_and_those_under_two_labels_are_listed(search, tmp_path):
    cats, dogs = plain_images(12), plain_images(12, seed=100)
    # Each of the first four cats is there five times, and the last of them is called a dog as well.
    folder = folder_of(tmp_path / "data", cat=[*cats, *cats[:4] * 4], dog=[*dogs, cats[3]])
    answer, run, record = search(folder, "--folds", 3)
    fold = np.load(run / "splits.npz")["fold"]
    files = sorted(folder.glob("*/*.png"))
    places: dict[bytes, set[int]] = {}
    for path, place in zip(files, fold.tolist(), strict=True):
        places.setdefault(path.read_bytes(), set()).add(place)
    assert len(places) == 24
    assert all(len(place) == 1 for place in places.values())
    listed = "cat/03.png ('cat') = dog/12.png ('dog')"
    assert "1 images stand under two labels" in answer.out + answer.err
    assert listed in " ".join((answer.out + answer.err).split())
    assert any(listed in note for note in record["data"]["notes"])
    assert "cat/03.png" in (run / "report.html").read_text()


def rows_of_patients(patients: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    patient = np.repeat(np.arange(patients), 6)
    return rng.normal(size=(len(patient), 3)), np.tile([0, 1], len(patient) // 2), patient


def assert_no_group_is_torn(run: Path, groups: np.ndarray) -> None:
    fold = np.load(run / "splits.npz")["fold"]
    assert set(fold.tolist()) == {-1, 0, 1, 2}
    for group in np.unique(groups):
        assert len(np.unique(fold[groups == group])) == 1


@pytest.mark.parametrize("kind", ["npz", "csv", "folder"])
def test_group_leak_no_group_is_in_two_folds_or_in_the_test_set_too(kind, search, tmp_path):
    x, y, patient = rows_of_patients(12)
    if kind == "npz":
        data, options = tmp_path / "data.npz", ["--groups", "patient"]
        np.savez(data, x=x.astype(np.float32), y=y, patient=patient)
    elif kind == "csv":
        data, options = tmp_path / "data.csv", ["--groups", "patient", "--target", "ill"]
        rows = [f"{a:.6f},{b:.6f},{c:.6f},p{p},{'yn'[t]}" for (a, b, c), t, p in zip(x, y, patient, strict=True)]
        data.write_text("a,b,c,patient,ill\n" + "\n".join(rows))
    else:
        pictures = plain_images(len(y))
        data = folder_of(
            tmp_path / "data",
            ill=[pictures[i] for i in np.flatnonzero(y == 0)], well=[pictures[i] for i in np.flatnonzero(y == 1)],
        )  # fmt: skip
        patient = np.concatenate([patient[y == 0], patient[y == 1]])
        lines = [f"{path.relative_to(data)},p{p}" for path, p in zip(sorted(data.glob("*/*")), patient, strict=True)]
        (tmp_path / "groups.csv").write_text("file,group\n" + "\n".join(lines))
        options = ["--groups", str(tmp_path / "groups.csv")]
    _, run, _ = search(data, "--folds", 3, *options)
    assert_no_group_is_torn(run, patient)


def test_group_leak_too_few_groups_stop_with_the_largest_k(refused, tmp_path):
    x, y, patient = rows_of_patients(3)
    np.savez(tmp_path / "data.npz", x=x.astype(np.float32), y=y, patient=patient)
    message = refused(tmp_path / "data.npz", "--groups", "patient", "--folds", 5)
    assert "3 groups are too few for 5 folds; use at most 3 folds" in message
    message = refused(tmp_path / "data.npz", "--groups", "patent")
    assert "did you mean 'patient'?" in message
