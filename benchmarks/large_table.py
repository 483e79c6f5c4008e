"""A large table: when has the search understood it, when is the first rung done, and how much memory does that take?

    python benchmarks/large_table.py [--rows 200000 1000000] [--timeout 5m]

Writes tables of 50 columns (41 numbers, 6 categories, a date with its time, yes/no with empty cells, the target), then
searches each with the default command. Memory is the peak of the process tree, shared pages counted once.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from machine import heading, measure, table

AT_ONCE = 100_000


def write(path: Path, rows: int) -> None:
    rng = np.random.default_rng(0)
    for start in range(0, rows, AT_ONCE):
        count = min(AT_ONCE, rows - start)
        numbers = rng.normal(size=(count, 40)).round(4)
        frame = pd.DataFrame(numbers, columns=[f"n{place}" for place in range(40)])
        for place in range(6):
            frame[f"c{place}"] = rng.choice([f"v{value}" for value in range(8 * (place + 1))], count)
        seconds = rng.integers(0, 10**8, count).astype("timedelta64[s]")
        frame["when"] = (np.datetime64("2020-01-01T00:00:00") + seconds).astype(str)
        frame["zip"] = rng.integers(10_000, 99_999, count)
        frame["flag"] = rng.choice(["yes", "no", ""], count)
        frame["y"] = (3 * numbers[:, 0] + numbers[:, 1] ** 2 + rng.normal(size=count)).round(4)
        frame.to_csv(path, mode="a" if start else "w", header=not start, index=False)


def search(path: str, timeout: str) -> None:
    """Searches the table and prints as JSON after how many seconds it was understood and the first rung was done."""
    out = Path(path).with_suffix(".run")
    command = [sys.executable, "-m", "automl", "search", path, "--target", "y", "--timeout", timeout, "--out", str(out)]
    seconds: dict[str, float] = {}
    started = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            for what, words in (("understood", "data  "), ("first rung", "rung 1 of"), ("model", "model  ")):
                if words in line:
                    seconds.setdefault(what, time.perf_counter() - started)
    print(json.dumps(seconds))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[200_000, 1_000_000])
    parser.add_argument("--timeout", default="5m")
    parser.add_argument("--search", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.search:
        return search(arguments.search, arguments.timeout)
    print(heading(note=f"Tables of 50 columns, `--timeout {arguments.timeout}`"))
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for count in arguments.rows:
            path = Path(folder) / f"{count}.csv"
            write(path, count)
            taken = measure([sys.executable, __file__, "--search", path, "--timeout", arguments.timeout])
            seconds = json.loads(taken.out)
            row = [f"{count:,}", f"{path.stat().st_size / 2**20:.0f} MiB"]
            row += [f"{seconds[what]:.0f} s" for what in ("understood", "first rung", "model")]
            rows.append([*row, f"{taken.peak / 2**30:.1f} GiB"])
    print("\n" + table(["rows", "file", "understood after", "first rung after", "model after", "peak memory"], rows))


if __name__ == "__main__":
    main()
