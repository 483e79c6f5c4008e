"""More photos than memory: how long do decoding, a second start and an epoch take, and how much memory do they need?

    python benchmarks/many_photos.py [--photos 5000] [--side 224] [--big 256] [--folder DIR]

Writes so many JPEGs, of two classes and of several sizes, into DIR (default: a temporary folder; a named one is kept
and used again), then in a new process each: loads them with an empty cache; loads them again; gathers an epoch of
batches of 64 as a training does. Memory is the peak of the process tree. `--big` is the size in MiB from which on
pixels are kept in a file, so that fewer photos show what many do; 1024 is what a search uses.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from machine import heading, measure, table
from PIL import Image


def write(folder: Path, count: int) -> None:
    rng = np.random.default_rng(0)
    for name in ("a", "b"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for number in range(count):
        path = folder / "ab"[number % 2] / f"{number:06d}.jpg"
        if not path.exists():
            coarse = Image.fromarray(rng.integers(0, 256, (9, 12, 3), dtype=np.uint8))
            coarse.resize((320 + number % 7, 240), Image.Resampling.BICUBIC).save(path, quality=85)


def work(what: str, folder: str, side: int, big: int) -> None:
    """One of the measurements, in this process; prints seconds as JSON."""
    import torch

    from automl.data import mapped, resident
    from automl.data.sources import cache, images

    for module in (cache, mapped, resident):
        module.BIG = big << 20
    started = time.perf_counter()
    dataset = images.load_folder(Path(folder), image_size=side)
    seconds = {"load": time.perf_counter() - started}
    if what == "epoch":
        started = time.perf_counter()
        data = resident.Resident(dataset, torch.device("cpu"))
        seconds["moments"] = time.perf_counter() - started
        started = time.perf_counter()
        for batch in torch.randperm(len(dataset), generator=torch.Generator().manual_seed(0)).split(64):
            data.batch(batch)
        seconds["gathered"] = time.perf_counter() - started
    print(json.dumps(seconds))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, default=5_000)
    parser.add_argument("--side", type=int, default=224)
    parser.add_argument("--big", type=int, default=256)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--work", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.work:
        work(args.work, str(args.folder), args.side, args.big)
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.folder or Path(temporary) / "photos"
        write(folder, args.photos)
        print(heading(note=f"Kept in a file from {args.big} MiB on"))
        size = args.photos * args.side**2 * 3 / 2**30
        print(f"{args.photos:,} photos at {args.side} x {args.side}: {size:.2f} GiB of pixels\n", flush=True)
        os.environ["AUTOML_CACHE"] = str(Path(temporary) / "cache")
        rows = []
        for what, text in (("load", "first start"), ("load", "second start"), ("epoch", "an epoch of batches")):
            command = [sys.executable, __file__, "--work", what, "--folder", str(folder)]
            done = measure([*command, "--side", str(args.side), "--big", str(args.big)])
            if done.code:
                sys.exit(done.err)
            seconds = json.loads(done.out)
            told = ", ".join(f"{name} {value:.1f} s" for name, value in seconds.items())
            rows.append([text, told, f"{done.peak / 2**20:.0f} MiB"])
        print(table(["what", "time", "memory"], rows))


if __name__ == "__main__":
    main()
