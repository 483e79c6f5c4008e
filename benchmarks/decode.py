"""How long does a folder of JPEGs take, the first time and from the cache? Do time and memory grow linearly?

    python benchmarks/decode.py [--counts 1000 10000 60000] [--from FOLDER] [--cores 2]

Writes that many JPEGs of 32 x 32 pixels, in ten classes, into a temporary folder (where `--from` names a folder of
images, they are those with noise; else smooth random ones), then loads the folder twice, each time in a new process
with an empty cache at first. Times are those of `automl.data.sources.load` without the start of Python; memory is the
peak of the whole process tree. Ends with the time until the search has its splits, for hashing and grouping images
counts too.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from machine import heading, measure, table
from PIL import Image

SIDE, CLASSES, QUALITY = 32, 10, 90


def sources(folder: Path | None, rng: np.random.Generator, count: int = 200) -> list[np.ndarray]:
    """Pictures [h, w, 3] to start from."""
    if folder is not None:
        files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg", ".png"))
        chosen = [files[i] for i in rng.permutation(len(files))[:count]]
        return [np.asarray(Image.open(file).convert("RGB").resize((SIDE, SIDE))) for file in chosen]
    coarse = rng.integers(0, 256, (count, 6, 6, 3), dtype=np.uint8)
    return [np.asarray(Image.fromarray(each).resize((SIDE, SIDE), Image.Resampling.BICUBIC)) for each in coarse]


def write(folder: Path, count: int, pictures: list[np.ndarray], rng: np.random.Generator) -> None:
    for number in range(CLASSES):
        (folder / f"class-{number}").mkdir(parents=True)
    for number in range(count):
        noisy = pictures[number % len(pictures)] + rng.normal(0, 8, (SIDE, SIDE, 3))
        image = Image.fromarray(noisy.clip(0, 255).astype(np.uint8))
        image.save(folder / f"class-{number % CLASSES}" / f"{number:06d}.jpg", quality=QUALITY)


def load_here(folder: str) -> None:
    """Loads the folder in this process and prints seconds as JSON."""
    import joblib  # noqa: F401
    import sklearn.model_selection  # noqa: F401

    from automl.data.sources.load import load
    from automl.data.splits import make_splits

    started, cpu = time.perf_counter(), time.process_time()
    dataset = load(folder)
    loaded, cpu = time.perf_counter(), time.process_time() - cpu
    make_splits(dataset, folds=5, seed=0)
    print(
        json.dumps(
            {"load": loaded - started, "cpu": cpu, "splits": time.perf_counter() - loaded, "images": len(dataset)}
        )
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--counts", type=int, nargs="+", default=[1000, 10_000, 60_000])
    parser.add_argument("--from", type=Path, dest="source")
    parser.add_argument("--cores", type=int, help="of the machine's, to be used (default: all)")
    parser.add_argument("--load", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.load:
        load_here(args.load)
        return
    rng = np.random.default_rng(0)
    pictures = sources(args.source, rng)
    print(heading(seeds=[0], note=f"JPEGs of {SIDE} x {SIDE}, quality {QUALITY}") + "\n", flush=True)
    rows = []
    for count in args.counts:
        with tempfile.TemporaryDirectory() as folder:
            images = Path(folder) / "images"
            write(images, count, pictures, rng)
            cells: list[object] = [f"{count:,}"]
            for _ in range(2):  # the first one decodes, the second one finds the cache
                command = [sys.executable, __file__, "--load", images]
                done = measure(command, cores=args.cores, env={"AUTOML_CACHE": f"{folder}/cache"})
                if done.code:
                    sys.exit(done.err)
                told = json.loads(done.out)
                cells += [
                    f"{told['load']:.2f} s",
                    f"{told['cpu']:.2f} s",
                    f"{1000 * told['cpu'] / count:.3f} ms",
                    f"{done.peak / 2**20:.0f} MiB",
                ]
            rows.append([*cells, f"{told['splits']:.2f} s"])
    again = ["from the cache", "CPU", "per image", "peak memory"]
    print(table(["images", "decoded", "CPU", "per image", "peak memory", *again, "splits"], rows))


if __name__ == "__main__":
    main()
